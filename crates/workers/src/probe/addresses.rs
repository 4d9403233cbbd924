//! Which addresses of a host may be contacted: the DNS answers, the egress policy, the cap.

use std::net::IpAddr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};
use url::Host;

use super::policy::Egress;
use super::{ADDRESSES_MAX, DnsAnswer};
use crate::collectors::CollectError;

/// The address that a host's text names by itself, in any spelling a browser takes: `127.1`, `0x7f.1`, `[::1]`.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    if let Ok(address) = host.parse() {
        return Some(address);
    }
    match Host::parse(host).ok()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// Allowed addresses, IPv4 first, in numeric order; and what was refused, with the rule's name.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    pub(crate) allowed: Vec<IpAddr>,
    pub(crate) refused: Vec<(IpAddr, &'static str)>,
}

impl Choice {
    pub(crate) fn of(egress: &Egress, mut addresses: Vec<IpAddr>) -> Self {
        addresses.sort_unstable();
        addresses.dedup();
        let mut choice = Self::default();
        for address in addresses {
            match egress.check(address) {
                Ok(()) => choice.allowed.push(address),
                Err(rule) => choice.refused.push((address, rule)),
            }
        }
        choice.allowed.truncate(ADDRESSES_MAX);
        choice
    }

    /// The allowed ones, or why there is none.
    pub(crate) fn outcome(self) -> Result<Vec<IpAddr>, CollectError> {
        match (self.allowed.is_empty(), self.refused.first()) {
            (false, _) => Ok(self.allowed),
            (true, Some((_, rule))) => Err(CollectError::Forbidden((*rule).to_owned())),
            (true, None) => Err(CollectError::Unavailable("no address".into())),
        }
    }
}

/// The addresses in the answers to A and AAAA. One of the two may fail if the other tells.
pub(crate) fn listed(
    four: Result<DnsAnswer, CollectError>,
    six: Result<DnsAnswer, CollectError>,
) -> Result<Vec<IpAddr>, CollectError> {
    let is_no_name = |answer: &Result<DnsAnswer, CollectError>| {
        answer
            .as_ref()
            .is_ok_and(|a| a.code == ResponseCode::NXDomain)
    };
    if is_no_name(&four) || is_no_name(&six) {
        return Ok(Vec::new());
    }
    let answers = [four.as_ref(), six.as_ref()];
    let records = answers.iter().flatten().flat_map(|answer| &answer.answers);
    let addresses: Vec<IpAddr> = records
        .filter_map(|record| match &record.data {
            RData::A(address) => Some(address.0.into()),
            RData::AAAA(address) => Some(address.0.into()),
            _ => None,
        })
        .collect();
    match (addresses.is_empty(), four, six) {
        (true, Err(error), _) | (true, _, Err(error)) => Err(error),
        _ => Ok(addresses),
    }
}

/// The two questions.
pub(crate) const KINDS: [RecordType; 2] = [RecordType::A, RecordType::AAAA];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_spelling_of_an_address_is_the_address() {
        for text in [
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "2130706433",
            "017700000001",
            "0x7f000001",
        ] {
            assert_eq!(literal(text), Some([127, 0, 0, 1].into()), "{text}");
        }
        for text in ["::1", "[::1]", "[0:0::1]"] {
            assert_eq!(literal(text), "::1".parse().ok(), "{text}");
        }
        assert_eq!(literal("example.com"), None);
    }

    #[test]
    fn allowed_addresses_are_sorted_and_capped_and_refusals_named() {
        let addresses = ["2001:db8::1", "192.0.2.9", "10.0.0.1", "192.0.2.1"];
        let addresses = addresses.map(|text| text.parse().unwrap()).to_vec();
        let choice = Choice::of(&Egress::default(), addresses);
        assert_eq!(choice.refused, [([10, 0, 0, 1].into(), "private")]);
        let texts: Vec<_> = choice
            .outcome()
            .unwrap()
            .iter()
            .map(IpAddr::to_string)
            .collect();
        assert_eq!(texts, ["192.0.2.1", "192.0.2.9", "2001:db8::1"]);
        let many = (0..100).map(|n| [192, 0, 2, n].into()).collect();
        let choice = Choice::of(&Egress::default(), many);
        assert_eq!(choice.allowed.len(), ADDRESSES_MAX);
    }

    #[test]
    fn without_an_allowed_address_the_rule_says_why() {
        let outcome = |addresses: Vec<IpAddr>| Choice::of(&Egress::default(), addresses).outcome();
        let forbidden = CollectError::Forbidden("loopback".into());
        assert_eq!(outcome(vec![[127, 0, 0, 1].into()]), Err(forbidden));
        assert_eq!(outcome(vec![]).unwrap_err().reason(), "unavailable");
    }
}
