//! `ip`: an address in RFC 5952 form; a v4-mapped one becomes v4.

use std::net::IpAddr;

use super::{Entity, KeyError, Kind};

/// Zone ids are refused: they name a link of one machine.
pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let address: IpAddr = text
        .parse()
        .map_err(|_| KeyError::Form("an ip is an address such as 192.0.2.1"))?;
    Ok(address.to_canonical().to_string())
}

impl Entity {
    /// The address of an `ip`.
    pub fn as_ip(&self) -> Option<IpAddr> {
        (self.kind() == Kind::Ip)
            .then(|| self.key().parse().ok())
            .flatten()
    }
}

impl From<IpAddr> for Entity {
    fn from(address: IpAddr) -> Self {
        Self::recorded(Kind::Ip, &address.to_canonical().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ip_gives_its_address() {
        let address: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(
            Entity::from(address),
            Entity::new(Kind::Ip, "2001:DB8::1").unwrap()
        );
        assert_eq!(Entity::from(address).as_ip(), Some(address));
        assert_eq!(Entity::recorded(Kind::Domain, "192.0.2.1").as_ip(), None);
    }

    #[test]
    fn one_address_has_one_key() {
        for (text, key) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key));
        }
        for text in ["fe80::1%eth0", "192.0.2", "0x7f.1", "192.0.2.1:80"] {
            assert!(normalise(text).is_err(), "{text}");
        }
    }
}
