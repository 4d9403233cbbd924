//! dns-records: what a name publishes besides its addresses, and the services of a zone under their usual names.
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
mod tests {
    use super::*;
    use crate::collectors::testing::{Tape, given, replay};

    /// Nothing is published at the name but the records.
    fn tape(name: &str, records: &[(&str, &[&str])]) -> Tape {
        TYPES.iter().fold(Tape::new(), |tape, kind| {
            let kind = kind.to_string();
            let own = records.iter().find(|(own, _)| *own == kind);
            tape.dns(name, &kind, own.map_or(&[], |(_, records)| records))
        })
    }

    /// No service announces itself below the name but those that the tape has.
    fn quiet(tape: Tape, name: &str) -> Tape {
        SERVICES.iter().fold(tape, |tape, service| {
            tape.nxdomain(&format!("{service}.{name}"), "SRV")
        })
    }

    #[test]
    fn services_are_sorted() {
        assert!(SERVICES.is_sorted());
    }

    #[tokio::test]
    async fn every_type_gives_its_record_and_the_names_in_it() {
        let tape = tape(
            "example.com",
            &[
                ("CAA", &["0 issue \"ca.example\""]),
                ("DNSKEY", &["\\# 6 01010310AAFF"]),
                ("DS", &["\\# 6 00010D02ABCD"]),
                ("MX", &["10 Mail.example.com.", "0 ."]),
                ("NS", &["ns1.example.net."]),
                (
                    "SOA",
                    &["ns1.example.net. host\\.master.example.com. 1 2 3 4 5"],
                ),
                ("TXT", &["\"v=spf1 -all\""]),
            ],
        );
        let tape = tape.dns(
            "_sip._tcp.example.com",
            "SRV",
            &["1 2 5060 sip.example.com."],
        );
        let outcome = replay(&DnsRecords, &["example.com"], quiet(tape, "example.com")).await;
        outcome
            .attribute("dns-record:example.com NS ns1.example.net.", "ttl", 300)
            .attribute("sip.example.com", "port", 5060)
            .claims(&[
                "domain:example.com has-record dns-record:example.com CAA 0 issue \"ca.example\"",
                "domain:example.com has-record dns-record:example.com DNSKEY 257 3 16 qv8=",
                "domain:example.com has-record dns-record:example.com DS 1 13 2 ABCD",
                "domain:example.com has-record dns-record:example.com MX 0 .",
                "domain:example.com has-record dns-record:example.com MX 10 mail.example.com.",
                "domain:example.com mail-handled-by domain:mail.example.com",
                "domain:example.com has-record dns-record:example.com NS ns1.example.net.",
                "domain:example.com served-by domain:ns1.example.net",
                "domain:example.com has-record dns-record:example.com SOA ns1.example.net. host\\.master.example.com. 1 2 3 4 5",
                "dns-record:example.com SOA ns1.example.net. host\\.master.example.com. 1 2 3 4 5 mentions domain:ns1.example.net",
                "dns-record:example.com SOA ns1.example.net. host\\.master.example.com. 1 2 3 4 5 mentions email:host.master@example.com",
                "domain:example.com has-record dns-record:example.com TXT \"v=spf1 -all\"",
                "domain:example.com has-record dns-record:_sip._tcp.example.com SRV 1 2 5060 sip.example.com.",
                "dns-record:_sip._tcp.example.com SRV 1 2 5060 sip.example.com. mentions domain:sip.example.com",
            ]);
    }

    #[tokio::test]
    async fn services_are_asked_about_at_zones_alone() {
        let below = |records| {
            let tape = tape("a.example.com", records);
            async move {
                let given = given().scope("example.com");
                given.replay(&DnsRecords, &["a.example.com"], tape).await
            }
        };
        below(&[]).await.finds(&[]);
        let soa: &[&str] = &["ns.example.net. . 1 2 3 4 5"];
        below(&[("SOA", soa)]).await.fails("unavailable");
    }

    #[tokio::test]
    async fn records_behind_an_alias_are_not_the_name_s_own() {
        let mx: &[&str] = &["CNAME cdn.example.net.", "MX 1 mail.example.net."];
        let tape = tape("a.example.com", &[("MX", mx)]);
        let given = given().scope("example.com");
        let outcome = given.replay(&DnsRecords, &["a.example.com"], tape).await;
        outcome.finds(&[]);
    }

    #[tokio::test]
    async fn a_type_that_fails_does_not_hide_the_others() {
        let tape = Tape::new().dns("example.com", "MX", &["10 mail.example.com."]);
        let outcome = replay(&DnsRecords, &["example.com"], tape).await;
        outcome.fails("unavailable").finds(&[
            "dns-record:example.com MX 10 mail.example.com.",
            "mail.example.com",
        ]);
    }

    #[tokio::test]
    async fn hostile_text_is_escaped_and_a_record_beyond_every_bound_is_remarked() {
        let hostile = "\\# 13 0C1B5D35323B3C623E07C3BC00";
        let long = format!("\\# 9472 {}", format!("FF{}", "41".repeat(255)).repeat(37));
        let tape = tape("example.com", &[("TXT", &[hostile, &long])]);
        let outcome = replay(&DnsRecords, &["example.com"], quiet(tape, "example.com")).await;
        outcome
            .remarks("record-unreadable")
            .finds(&["dns-record:example.com TXT \"\\027]52;<b>\\007\\195\\188\\000\""]);
    }
}
