//! What transferred zones say: hosts, addresses, aliases, and that anyone may read them.

use std::collections::HashMap;
use std::net::SocketAddr;

use hickory_proto::rr::{RData, Record};
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::id::Digest;
use mirage_domain::relation::Relation;

use crate::collectors::{Claim, Found, Handle, presentation};
use crate::probe::Transfer;

/// Names of one zone that are reported, over all its servers.
const NAMES_MAX: usize = 20_000;

/// The report on one zone over all its servers.
pub(super) struct Report<'a> {
    zone: &'a str,
    found: &'a Found,
    /// What was reported of the zone, its apex included.
    hosts: HashMap<String, Handle>,
    /// Servers that gave it, and the proof.
    given: Vec<(SocketAddr, Digest)>,
}

impl<'a> Report<'a> {
    pub(super) fn new(zone: &'a str, found: &'a Found) -> Self {
        Self {
            zone,
            found,
            hosts: HashMap::from([(zone.to_owned(), found.input().clone())]),
            given: Vec::new(),
        }
    }

    /// A server's answer; none of its records are of the zone if it declined.
    pub(super) fn add(&mut self, server: SocketAddr, transfer: &Transfer) {
        let mut has_record = false;
        for record in &transfer.records {
            let Some(host) = self.host(record, transfer.evidence) else {
                continue;
            };
            has_record |= !matches!(record.data, RData::SOA(_));
            self.address(&host, record, transfer.evidence);
        }
        if has_record {
            self.given.push((server, transfer.evidence));
        }
        if transfer.is_cut {
            self.found
                .remark("cap-reached", "transfer", server.to_string());
        }
    }

    /// The owner of a record, reported at its first sight; none for what is no host of the zone.
    fn host(&mut self, record: &Record, evidence: Digest) -> Option<Handle> {
        let entity = presentation::domain(&record.name)?;
        let name = entity.key();
        if let Some(known) = self.hosts.get(name) {
            return Some(known.clone());
        }
        if !name.strip_suffix(self.zone)?.ends_with('.') {
            return None;
        }
        if self.hosts.len() > NAMES_MAX {
            self.found.remark("cap-reached", "names", self.zone);
            return None;
        }
        let name = name.to_owned();
        let claim = Claim::inward(Relation::SubdomainOf, entity, evidence);
        let handle = self.found.add(claim);
        self.hosts.insert(name, handle.clone());
        Some(handle)
    }

    fn address(&self, host: &Handle, record: &Record, evidence: Digest) {
        let claim = match &record.data {
            RData::A(four) => Some((
                Relation::ResolvesTo,
                Entity::from(std::net::IpAddr::V4(four.0)),
            )),
            RData::AAAA(six) => Some((
                Relation::ResolvesTo,
                Entity::from(std::net::IpAddr::V6(six.0)),
            )),
            RData::CNAME(target) => {
                presentation::domain(target).map(|entity| (Relation::AliasOf, entity))
            }
            _ => None,
        };
        if let Some((relation, entity)) = claim {
            self.found
                .add_under(host, Claim::out(relation, entity, evidence));
        }
    }

    /// Reports the exposure, if there is one, with every server that has it.
    pub(super) fn conclude(self) {
        let Some((_, first)) = self.given.first() else {
            return;
        };
        let key = format!("zone-transfer domain {}", self.zone);
        let Ok(exposure) = Entity::new(Kind::Exposure, &key) else {
            return;
        };
        let servers: Vec<String> = self
            .given
            .iter()
            .map(|(server, _)| server.to_string())
            .collect();
        let headline = format!(
            "{} gives the whole zone {} to anyone",
            servers.join(", "),
            self.zone
        );
        let claim = Claim::out(Relation::Shows, exposure, *first)
            .with("severity", "high")
            .with("headline", headline)
            .with("servers", servers);
        let further = self.given.iter().skip(1);
        self.found
            .add(further.fold(claim, |claim, (_, evidence)| claim.and_evidence(*evidence)));
    }
}
