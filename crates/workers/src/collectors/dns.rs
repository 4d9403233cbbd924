//! dns: the addresses and aliases of a name, from the scan's resolvers.
//!
//! Names outside the scope are resolved too, and asked nothing else. What only a wildcard answers is marked.

use async_trait::async_trait;
use hickory_proto::rr::{RData, Record, RecordType};
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::module::{Manifest, Reach};
use mirage_domain::relation::Relation;

use super::wildcard::Wildcard;
use super::{Claim, CollectError, Collector, Found, Input};
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
            Some(_) if input.is_in_scope => Wildcard::above(input.key(), probe).await?,
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
        let Ok(entity) = Entity::new(Kind::Domain, &target) else {
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

fn alias(record: &Record) -> Option<String> {
    match &record.data {
        RData::CNAME(name) => Some(name.to_ascii()),
        _ => None,
    }
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
