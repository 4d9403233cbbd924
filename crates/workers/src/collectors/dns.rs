//! dns: the addresses and aliases of a name, from the scan's resolvers.
//!
//! Names outside the scope are resolved too, and asked nothing else. What only a wildcard answers is marked.

use async_trait::async_trait;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::module::{Manifest, Reach};
use mirage_domain::relation::Relation;

use super::wildcard::Wildcard;
use super::{Claim, CollectError, Collector, Found, Input, presentation};
use crate::probe::{DnsAnswer, Probe};

pub(super) struct Dns;

static MANIFEST: Manifest = Manifest {
    name: "dns",
    summary: "Addresses and aliases of a name",
    consumes: &[Kind::Domain],
    produces: &[Kind::Ip, Kind::Domain],
    reach: Reach::AllNames,
    parallel: 64,
    ..Manifest::DEFAULT
};

#[async_trait]
impl Collector for Dns {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn collect(
        &self,
        input: &Input,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError> {
        let (four, six) = futures::join!(
            probe.dns(input.key(), RecordType::A),
            probe.dns(input.key(), RecordType::AAAA)
        );
        let (four, six) = (four?, six?);
        let wildcard = match addresses(&four).chain(addresses(&six)).next() {
            Some(_) if input.is_in_scope => Wildcard::above(input.key(), probe, found).await?,
            _ => None,
        };
        for answer in [&four, &six] {
            report(answer, wildcard.as_ref(), found);
        }
        Ok(())
    }
}

/// The answer's chain of aliases, and the addresses at its end as the input's own.
fn report(answer: &DnsAnswer, wildcard: Option<&Wildcard>, found: &Found) {
    let mut parent = found.input().clone();
    for target in answer.answers.iter().filter_map(alias) {
        let Some(entity) = presentation::domain(target) else {
            continue;
        };
        parent = found.add_under(
            &parent,
            Claim::out(Relation::AliasOf, entity, answer.evidence),
        );
    }
    for address in addresses(answer) {
        let Ok(entity) = Entity::new(Kind::Ip, &address) else {
            continue;
        };
        let mut claim = Claim::out(Relation::ResolvesTo, entity, answer.evidence);
        if let Some(wildcard) = wildcard.filter(|wildcard| wildcard.covers(&address)) {
            claim = claim
                .with("wildcard", wildcard.zone())
                .and_evidence(wildcard.evidence());
        }
        found.add(claim);
    }
}

fn alias(record: &Record) -> Option<&Name> {
    match &record.data {
        RData::CNAME(target) => Some(target),
        _ => None,
    }
}

/// The names that an answer leads over, as text, in its order.
pub(super) fn aliases(answer: &DnsAnswer) -> impl Iterator<Item = String> + '_ {
    let targets = answer.answers.iter().filter_map(alias);
    targets.map(|target| presentation::name(target).to_ascii_lowercase())
}

/// The addresses of an answer, as text.
pub(super) fn addresses(answer: &DnsAnswer) -> impl Iterator<Item = String> + '_ {
    answer
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(address) => Some(address.0.to_string()),
            RData::AAAA(address) => Some(address.0.to_string()),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{Tape, given, replay};

    #[tokio::test]
    async fn a_name_has_its_addresses() {
        let tape = Tape::new()
            .dns("example.com", "A", &["192.0.2.1", "192.0.2.2"])
            .dns("example.com", "AAAA", &["2001:db8::1"]);
        replay(&Dns, &["example.com"], tape).await.finds(&[
            "ip:192.0.2.1",
            "ip:192.0.2.2",
            "ip:2001:db8::1",
        ]);
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_no_failure_and_silence_is_one() {
        let tape = Tape::new()
            .nxdomain("example.com", "A")
            .nxdomain("example.com", "AAAA");
        replay(&Dns, &["example.com"], tape).await.finds(&[]);
        let tape = Tape::new().dns("example.com", "A", &["192.0.2.1"]);
        let outcome = replay(&Dns, &["example.com"], tape).await;
        outcome.fails("unavailable").finds(&[]);
    }

    #[tokio::test]
    async fn aliases_form_a_chain_and_the_address_belongs_to_the_name() {
        let chain = ["CNAME b.example.com.", "CNAME C.cdn.example.", "192.0.2.1"];
        let tape = Tape::new()
            .dns("a.example.com", "A", &chain)
            .dns("a.example.com", "AAAA", &chain[..2])
            .unregistered("example.com", &[], &[]);
        replay(&Dns, &["a.example.com"], tape).await.claims(&[
            "domain:a.example.com alias-of domain:b.example.com",
            "domain:b.example.com alias-of domain:c.cdn.example",
            "domain:a.example.com resolves-to ip:192.0.2.1",
        ]);
    }

    #[tokio::test]
    async fn what_a_wildcard_answers_is_marked_and_nothing_else() {
        let tape = Tape::new()
            .dns("a.wild.example.com", "A", &["192.0.2.7", "192.0.2.8"])
            .dns("a.wild.example.com", "AAAA", &["2001:db8::7"])
            .unregistered("wild.example.com", &["192.0.2.7"], &["2001:db8::7"]);
        let outcome = replay(&Dns, &["a.wild.example.com"], tape)
            .await
            .attribute("ip:192.0.2.7", "wildcard", "wild.example.com")
            .attribute("ip:2001:db8::7", "wildcard", "wild.example.com")
            .finds(&["ip:192.0.2.7", "ip:192.0.2.8", "ip:2001:db8::7"]);
        let marked = outcome.findings().iter().filter(|f| f.evidence.len() == 2);
        assert_eq!(marked.count(), 2);
    }

    #[tokio::test]
    async fn a_name_outside_the_scope_is_resolved_and_no_wildcard_is_looked_for() {
        let tape =
            Tape::new()
                .dns("a.example.com", "A", &["192.0.2.1"])
                .dns("a.example.com", "AAAA", &[]);
        given()
            .out_of_scope()
            .replay(&Dns, &["a.example.com"], tape)
            .await
            .finds(&["ip:192.0.2.1"]);
    }
}
