//! The egress policy: a table of refused address ranges with named rules.
//!
//! **Invariant:** an IPv6 address that carries an IPv4 address is judged by the address inside.
//! **Never:** a judgement of a name: only the address that is about to be connected counts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::IpNet;

/// Refused ranges, the most special first. Source: IANA's special-purpose registries; documentation ranges may pass.
const REFUSED: &[(&str, &str)] = &[
    ("0.0.0.0/8", "this-network"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.169.254/32", "metadata"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "protocol"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "benchmark"),
    ("224.0.0.0/3", "multicast"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("::/96", "v4-compatible"),
    ("64:ff9b:1::/48", "local-nat64"),
    ("2001::/32", "teredo"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "private"),
    ("ff00::/8", "multicast"),
];

static TABLE: LazyLock<Vec<(IpNet, &str)>> = LazyLock::new(|| {
    let parse = |(net, rule): &(&str, &'static str)| {
        (net.parse().expect("the table holds networks"), *rule)
    };
    REFUSED.iter().map(parse).collect()
});

/// The policy of one scan: the table, less the ranges that the user named.
#[derive(Debug, Clone, Default)]
pub struct Egress {
    allowed: Vec<IpNet>,
}

impl Egress {
    /// `allow_private` names the exceptions.
    pub fn new(allow_private: Vec<IpNet>) -> Self {
        Self {
            allowed: allow_private,
        }
    }

    /// Whether `address` may be contacted; else the name of the rule that refuses it.
    pub fn check(&self, address: IpAddr) -> Result<(), &'static str> {
        let judged = inner(address);
        let is_named = |net: &IpNet| net.contains(&judged) || net.contains(&address);
        if self.allowed.iter().any(is_named) {
            return Ok(());
        }
        let rule = TABLE.iter().find(|(net, _)| net.contains(&judged));
        rule.map_or(Ok(()), |(_, rule)| Err(rule))
    }
}

/// The IPv4 address that an IPv6 one stands for: mapped (RFC 4291), NAT64 (RFC 6052) or 6to4 (RFC 3056).
fn inner(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else {
        return address;
    };
    carried(six).map_or(address, IpAddr::V4)
}

fn carried(six: Ipv6Addr) -> Option<Ipv4Addr> {
    let word = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match six.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(word(high, low))
        }
        [0x2002, high, low, ..] => Some(word(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str) -> Result<(), &'static str> {
        Egress::default().check(address.parse().unwrap())
    }

    #[test]
    fn each_refused_range_is_refused_from_its_first_to_its_last_address() {
        for (net, _) in TABLE.iter() {
            for address in [net.network(), net.broadcast()] {
                assert!(
                    Egress::default().check(address).is_err(),
                    "{net}: {address}"
                );
            }
        }
    }

    #[test]
    fn the_rule_says_what_kind_of_address_it_is() {
        for (address, rule) in [
            ("127.0.0.1", "loopback"),
            ("169.254.169.254", "metadata"),
            ("169.254.0.1", "link-local"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("::ffff:10.1.2.3", "private"),
            ("64:ff9b::7f00:1", "loopback"),
            ("2002:c0a8:0101::1", "private"),
            ("fd00:ec2::254", "private"),
            ("255.255.255.255", "multicast"),
        ] {
            assert_eq!(check(address), Err(rule), "{address}");
        }
    }

    #[test]
    fn public_and_documentation_addresses_pass() {
        for address in [
            "1.1.1.1",
            "172.32.0.1",
            "192.0.2.1",
            "198.51.100.7",
            "203.0.113.9",
            "2001:db8::1",
            "2606:4700::1",
            "64:ff9b::101:101",
            "::ffff:1.1.1.1",
        ] {
            assert_eq!(check(address), Ok(()), "{address}");
        }
    }

    #[test]
    fn an_exception_opens_its_own_range_alone() {
        let egress = Egress::new(vec!["127.0.0.0/8".parse().unwrap()]);
        assert_eq!(egress.check("127.9.9.9".parse().unwrap()), Ok(()));
        assert_eq!(egress.check("::ffff:127.0.0.1".parse().unwrap()), Ok(()));
        assert_eq!(egress.check("10.0.0.1".parse().unwrap()), Err("private"));
        assert_eq!(egress.check("::1".parse().unwrap()), Err("loopback"));
    }
}
