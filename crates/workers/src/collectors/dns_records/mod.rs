//! dns-records: what a name publishes besides its addresses, and the usual services of a zone.
//!
//! Records of an alias belong to the name that it leads to, and are reported there.
//! What is found does not hang on the order of answers; a type that fails does not hide the others.

use async_trait::async_trait;
use hickory_proto::rr::{Name, RData, RecordType};
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::id::Digest;
use mirage_domain::module::Manifest;
use mirage_domain::relation::Relation;

use super::{Claim, CollectError, Collector, Found, Handle, Input, presentation, questions};
use crate::probe::{DnsAnswer, Probe};

pub(super) struct DnsRecords;

static MANIFEST: Manifest = Manifest {
    name: "dns-records",
    summary: "Mail, name servers, policies, keys and services that a name publishes in DNS",
    consumes: &[Kind::Domain],
    produces: &[Kind::DnsRecord, Kind::Domain, Kind::Email],
    ..Manifest::DEFAULT
};

const TYPES: &[RecordType] = &[
    RecordType::CAA,
    RecordType::DNSKEY,
    RecordType::DS,
    RecordType::MX,
    RecordType::NS,
    RecordType::SOA,
    RecordType::SRV,
    RecordType::TXT,
];

/// Where services announce themselves (RFC 2782), sorted.
const SERVICES: &[&str] = &[
    "_autodiscover._tcp",
    "_caldav._tcp",
    "_caldavs._tcp",
    "_carddav._tcp",
    "_carddavs._tcp",
    "_gc._tcp",
    "_h323cs._tcp",
    "_imap._tcp",
    "_imaps._tcp",
    "_jabber._tcp",
    "_kerberos._tcp",
    "_kerberos._udp",
    "_kpasswd._tcp",
    "_ldap._tcp",
    "_ldap._tcp.dc._msdcs",
    "_ldaps._tcp",
    "_matrix-fed._tcp",
    "_matrix._tcp",
    "_mongodb._tcp",
    "_ntp._udp",
    "_pop3s._tcp",
    "_sip._tcp",
    "_sip._udp",
    "_sipfederationtls._tcp",
    "_sips._tcp",
    "_stun._udp",
    "_submission._tcp",
    "_submissions._tcp",
    "_turn._udp",
    "_vlmcs._tcp",
    "_xmpp-client._tcp",
    "_xmpp-server._tcp",
];

#[async_trait]
impl Collector for DnsRecords {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn collect(
        &self,
        input: &Input,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError> {
        let name = input.key();
        let own: Vec<_> = TYPES.iter().map(|kind| (name.to_owned(), *kind)).collect();
        let answers = questions::ask(probe, &own).await;
        let is_zone = answers.iter().flatten().any(|answer| is_zone(answer, name));
        let mut outcome = report_all(&own, answers, found);
        if is_zone || found.is_topmost() {
            let services = SERVICES
                .iter()
                // A name too long for a service has none.
                .filter(|service| service.len() + 1 + name.len() <= NAME_CHARACTERS_MAX)
                .map(|service| (format!("{service}.{name}"), RecordType::SRV));
            let services: Vec<_> = services.collect();
            let answers = questions::ask(probe, &services).await;
            outcome = outcome.and(report_all(&services, answers, found));
        }
        outcome
    }
}

/// Of a name without its final dot (RFC 1035 §2.3.4).
const NAME_CHARACTERS_MAX: usize = 253;

fn is_zone(answer: &DnsAnswer, name: &str) -> bool {
    let mut soas = answer
        .answers
        .iter()
        .filter(|record| matches!(record.data, RData::SOA(_)));
    soas.any(|record| presentation::is_of(record, name))
}

/// Reports what was answered; the first failure is the outcome.
fn report_all(
    questions: &[(String, RecordType)],
    answers: Vec<Result<DnsAnswer, CollectError>>,
    found: &Found,
) -> Result<(), CollectError> {
    let mut outcome = Ok(());
    for ((name, kind), answer) in questions.iter().zip(answers) {
        match answer {
            Ok(answer) => report(name, *kind, &answer, found),
            Err(error) => outcome = outcome.and(Err(error)),
        }
    }
    outcome
}

fn report(name: &str, kind: RecordType, answer: &DnsAnswer, found: &Found) {
    for record in &answer.answers {
        if record.record_type() != kind || !presentation::is_of(record, name) {
            continue;
        }
        let Some(data) = presentation::rdata(&record.data) else {
            continue;
        };
        let entity = match Entity::new(Kind::DnsRecord, &format!("{name} {kind} {data}")) {
            Ok(entity) => entity,
            Err(error) => {
                found.remark(
                    "record-unreadable",
                    kind.to_string(),
                    format!("{name}: {error}"),
                );
                continue;
            }
        };
        let claim = Claim::out(Relation::HasRecord, entity, answer.evidence);
        let handle = found.add(claim.with("ttl", record.ttl));
        report_names(&record.data, &handle, answer.evidence, found);
    }
}

/// The hosts and the mailbox that a record names.
fn report_names(data: &RData, record: &Handle, evidence: Digest, found: &Found) {
    let claim = |relation, name: &Name| {
        let entity = presentation::domain(name)?;
        Some(Claim::out(relation, entity, evidence))
    };
    match data {
        RData::NS(target) => {
            claim(Relation::ServedBy, target).map(|claim| found.add(claim));
        }
        RData::MX(mx) => {
            let claim = claim(Relation::MailHandledBy, &mx.exchange);
            claim.map(|claim| found.add(claim.with("preference", mx.preference)));
        }
        RData::SRV(srv) => {
            let claim = claim(Relation::Mentions, &srv.target);
            claim.map(|claim| found.add_under(record, claim.with("port", srv.port)));
        }
        RData::SOA(soa) => {
            let primary = claim(Relation::Mentions, &soa.mname);
            let contact = mailbox(&soa.rname);
            let contact = contact.map(|email| Claim::out(Relation::Mentions, email, evidence));
            for claim in primary.into_iter().chain(contact) {
                found.add_under(record, claim);
            }
        }
        _ => {}
    }
}

/// A mailbox as a name: its first label is the local part (RFC 1035 §8).
fn mailbox(name: &Name) -> Option<Entity> {
    let local = std::str::from_utf8(name.iter().next()?).ok()?;
    let host = presentation::domain(&name.base_name())?;
    Entity::new(Kind::Email, &format!("{local}@{}", host.key())).ok()
}

#[cfg(test)]
mod tests;
