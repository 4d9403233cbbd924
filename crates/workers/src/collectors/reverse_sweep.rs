//! reverse-sweep: the names of all addresses in a block.
//!
//! The block is a seed's, or the one around an address in scope.
//! Neighbours are asked about in DNS and never contacted. Addresses of one block give the same findings, and the
//! probe answers their questions from its cache.

use std::net::IpAddr;

use async_trait::async_trait;
use hickory_proto::rr::RecordType;
use ipnet::IpNet;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::module::{Manifest, Profile, Setting};
use mirage_domain::relation::Relation;

use super::reverse_dns::{names, pointer};
use super::{Claim, CollectError, Collector, Found, Handle, Input, questions};
use crate::probe::{DnsAnswer, Probe};

pub(super) struct ReverseSweep;

static MANIFEST: Manifest = Manifest {
    name: "reverse-sweep",
    summary: "Names of the addresses around an address, or in a netblock",
    consumes: &[Kind::Ip, Kind::Netblock],
    produces: &[Kind::Domain, Kind::Ip, Kind::Netblock],
    profile: Profile::Active,
    parallel: 4,
    deadline_s: 600,
    settings: &[Setting {
        key: "prefix",
        help: "length of the block around an address, 22 to 32; IPv6 addresses have none",
        default: "24",
        is_secret: false,
        is_operators: false,
    }],
    ..Manifest::DEFAULT
};

/// Questions for one input: a /22.
const ADDRESSES_MAX: usize = 1024;

#[async_trait]
impl Collector for ReverseSweep {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn collect(
        &self,
        input: &Input,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError> {
        let Some(block) = block(input)? else {
            return Ok(());
        };
        let addresses = swept(block);
        if is_larger(block) {
            found.remark("cap-reached", "addresses-of-block", block.to_string());
        }
        let asked = addresses.iter().map(|ip| (pointer(*ip), RecordType::PTR));
        let asked: Vec<_> = asked.collect();
        let answers = questions::ask(probe, &asked).await;
        report(input, block, &addresses, answers, found)
    }
}

/// What to sweep for an input; none around an IPv6 address, whose neighbours are too far away to be met.
fn block(input: &Input) -> Result<Option<IpNet>, CollectError> {
    let Some(address) = input.entity.as_ip().filter(IpAddr::is_ipv4) else {
        return Ok(input.entity.as_netblock());
    };
    let setting = input.setting("prefix");
    let prefix = setting.parse().ok().filter(|bits| (22..=32).contains(bits));
    let net = prefix.and_then(|bits| IpNet::new(address, bits).ok());
    let wrong = || CollectError::Refused(format!("prefix `{setting}` is not 22 to 32"));
    Ok(Some(net.ok_or_else(wrong)?.trunc()))
}

fn is_larger(block: IpNet) -> bool {
    let bits = block.max_prefix_len() - block.prefix_len();
    bits > 10
}

/// The first addresses of a block, its ends included: in a larger net they are addresses like any.
fn swept(block: IpNet) -> Vec<IpAddr> {
    let (first, bits) = (block.network(), block.max_prefix_len() - block.prefix_len());
    let count = 1_usize.checked_shl(bits.into()).unwrap_or(ADDRESSES_MAX);
    (0..count.min(ADDRESSES_MAX) as u32)
        .map(|offset| match first {
            // A block is aligned, so nothing overflows.
            IpAddr::V4(four) => IpAddr::from((u32::from(four) | offset).to_be_bytes()),
            IpAddr::V6(six) => IpAddr::from((u128::from(six) | u128::from(offset)).to_be_bytes()),
        })
        .collect()
}

/// Reports each named address as a part of the block; the first failure is the outcome.
fn report(
    input: &Input,
    block: IpNet,
    addresses: &[IpAddr],
    answers: Vec<Result<DnsAnswer, CollectError>>,
    found: &Found,
) -> Result<(), CollectError> {
    let (mut outcome, mut whole) = (Ok(()), None);
    for (address, answer) in addresses.iter().zip(answers) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                outcome = outcome.and(Err(error));
                continue;
            }
        };
        let names = names(&answer, *address, found);
        if names.is_empty() {
            continue;
        }
        let whole: &Handle = whole.get_or_insert_with(|| match input.entity.kind() {
            Kind::Netblock => found.input().clone(),
            _ => found.add(Claim::out(
                Relation::PartOf,
                netblock(block),
                answer.evidence,
            )),
        });
        let part = Claim::inward(Relation::PartOf, Entity::from(*address), answer.evidence);
        let part = found.add_under(whole, part);
        for name in names {
            let claim = Claim::out(Relation::NamedBy, name, answer.evidence);
            found.add_under(&part, claim);
        }
    }
    outcome
}

fn netblock(block: IpNet) -> Entity {
    Entity::new(Kind::Netblock, &block.to_string()).expect("a truncated net is a key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{Tape, given, replay};

    /// A block without names but for these last octets.
    fn tape(count: u32, named: &[(u32, &str)]) -> Tape {
        (0..count).fold(Tape::new(), |tape, n| {
            let pointer = format!("{}.{}.0.192.in-addr.arpa", n % 256, 8 + n / 256);
            match named.iter().find(|(own, _)| *own == n) {
                Some((_, name)) => tape.dns(&pointer, "PTR", &[name]),
                None => tape.nxdomain(&pointer, "PTR"),
            }
        })
    }

    #[tokio::test]
    async fn the_block_around_an_address_is_swept() {
        let tape = tape(256, &[(0, "net.example.com."), (255, "last.example.com.")]);
        replay(&ReverseSweep, &["192.0.8.77"], tape).await.claims(&[
            "ip:192.0.8.77 part-of netblock:192.0.8.0/24",
            "ip:192.0.8.0 part-of netblock:192.0.8.0/24",
            "ip:192.0.8.0 named-by domain:net.example.com",
            "ip:192.0.8.255 part-of netblock:192.0.8.0/24",
            "ip:192.0.8.255 named-by domain:last.example.com",
        ]);
    }

    #[tokio::test]
    async fn neighbours_are_out_of_scope_and_their_names_as_the_scope_says() {
        let tape = tape(256, &[(1, "a.example.com."), (2, "b.example.net.")]);
        let given = given().scope("example.com");
        let outcome = given.replay(&ReverseSweep, &["192.0.8.77"], tape).await;
        let in_scope = outcome.findings().iter().filter(|f| f.scope.is_in);
        let in_scope: Vec<_> = in_scope.map(|f| f.entity().unwrap().to_string()).collect();
        assert_eq!(in_scope, ["domain:a.example.com"]);
    }

    #[tokio::test]
    async fn a_netblock_is_swept_up_to_its_first_1024_addresses() {
        let tape = tape(1024, &[(1023, "a.example.com.")]);
        let outcome = replay(&ReverseSweep, &["netblock:192.0.8.0/21"], tape).await;
        outcome.remarks("cap-reached").claims(&[
            "ip:192.0.11.255 part-of netblock:192.0.8.0/21",
            "ip:192.0.11.255 named-by domain:a.example.com",
        ]);
    }

    #[tokio::test]
    async fn the_size_of_the_block_is_a_setting_within_bounds() {
        let narrow = given().setting("prefix", "31");
        let outcome = narrow.replay(&ReverseSweep, &["192.0.8.1"], tape(2, &[]));
        outcome.await.finds(&[]);
        let wide = given().setting("prefix", "8");
        let outcome = wide
            .replay(&ReverseSweep, &["192.0.8.1"], tape(2, &[]))
            .await;
        outcome.fails("refused").finds(&[]);
    }

    #[tokio::test]
    async fn an_address_that_is_not_answered_for_fails_the_sweep_and_hides_no_other() {
        let outcome = replay(
            &ReverseSweep,
            &["192.0.8.1"],
            tape(9, &[(3, "a.example.com.")]),
        )
        .await;
        outcome.fails("unavailable").finds(&[
            "192.0.8.3",
            "domain:a.example.com",
            "netblock:192.0.8.0/24",
        ]);
        let outcome = replay(&ReverseSweep, &["2001:db8::1"], Tape::new()).await;
        outcome.finds(&[]);
    }
}
