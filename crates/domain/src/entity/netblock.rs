//! `netblock`: a CIDR block with its host bits zero; a v4-mapped one becomes v4.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv4Subnets, Ipv6Subnets};

use super::{Entity, KeyError, Kind};

const FORM: KeyError = KeyError::Form("a netblock is a block such as 192.0.2.0/24");
const RANGE: KeyError = KeyError::Form("a range has two addresses of one family, the lower first");

/// Bits before the IPv4 address in a v4-mapped one.
const MAPPED_BITS: u8 = 96;

/// A range `FIRST-LAST` is a netblock if it is exactly one block; `from_range` splits the others.
pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    if let Some((first, last)) = range(text) {
        return match from_range(first, last)?.as_slice() {
            [block] => Ok(block.key().to_owned()),
            _ => Err(KeyError::Form(
                "a range of several blocks is several netblocks",
            )),
        };
    }
    let block: IpNet = text.parse().map_err(|_| FORM)?;
    Ok(canonical(block).to_string())
}

/// The two addresses of `FIRST-LAST`.
pub(super) fn range(text: &str) -> Option<(IpAddr, IpAddr)> {
    let (first, last) = text.split_once('-')?;
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

/// The fewest blocks that hold `first` to `last` and nothing else, in order: at most 62 for IPv4, 254 for IPv6.
pub fn from_range(first: IpAddr, last: IpAddr) -> Result<Vec<Entity>, KeyError> {
    let (first, last) = (first.to_canonical(), last.to_canonical());
    let entity = |block: IpNet| Entity::recorded(Kind::Netblock, &canonical(block).to_string());
    match (first, last) {
        _ if first > last => Err(RANGE),
        (IpAddr::V4(first), IpAddr::V4(last)) => Ok(Ipv4Subnets::new(first, last, 0)
            .map(IpNet::V4)
            .map(entity)
            .collect()),
        (IpAddr::V6(first), IpAddr::V6(last)) => Ok(Ipv6Subnets::new(first, last, 0)
            .map(IpNet::V6)
            .map(entity)
            .collect()),
        _ => Err(RANGE),
    }
}

fn canonical(block: IpNet) -> IpNet {
    let block = block.trunc();
    let IpNet::V6(six) = block else { return block };
    match (
        six.addr().to_ipv4_mapped(),
        six.prefix_len().checked_sub(MAPPED_BITS),
    ) {
        (Some(four), Some(bits)) => Ipv4Net::new(four, bits).map_or(block, IpNet::V4),
        _ => block,
    }
}

impl Entity {
    /// The block of a `netblock`.
    pub fn as_netblock(&self) -> Option<IpNet> {
        (self.kind() == Kind::Netblock)
            .then(|| self.key().parse().ok())
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_block_has_one_key() {
        for (text, key) in [
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("192.0.2.0 - 192.0.2.255", "192.0.2.0/24"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("2001:DB8::1/32", "2001:db8::/32"),
            ("0.0.0.0-255.255.255.255", "0.0.0.0/0"),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key), "{text}");
        }
        for text in [
            "192.0.2.1",
            "192.0.2.0/33",
            "192.0.2.0/",
            "192.0.2.9-192.0.2.1",
            "a-b",
            "1-::1",
        ] {
            assert!(normalise(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_range_splits_into_the_fewest_blocks() {
        let blocks = |first: &str, last: &str| {
            let blocks = from_range(first.parse().unwrap(), last.parse().unwrap());
            blocks.map(|blocks| {
                blocks
                    .iter()
                    .map(|e| e.key().to_owned())
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(
            blocks("192.0.2.1", "192.0.2.4"),
            Ok(vec![
                "192.0.2.1/32".into(),
                "192.0.2.2/31".into(),
                "192.0.2.4/32".into()
            ])
        );
        assert_eq!(
            blocks("0.0.0.1", "255.255.255.254").map(|blocks| blocks.len()),
            Ok(62)
        );
        assert_eq!(
            blocks("::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe").map(|blocks| blocks.len()),
            Ok(254)
        );
        assert_eq!(blocks("192.0.2.1", "2001:db8::"), Err(RANGE));
        assert_eq!(blocks("192.0.2.2", "192.0.2.1"), Err(RANGE));
    }

    #[test]
    fn a_netblock_gives_its_block() {
        let block = Entity::new(Kind::Netblock, "192.0.2.0/24").unwrap();
        assert_eq!(block.as_netblock(), Some("192.0.2.0/24".parse().unwrap()));
        assert_eq!(
            Entity::recorded(Kind::Ip, "192.0.2.0/24").as_netblock(),
            None
        );
    }
}
