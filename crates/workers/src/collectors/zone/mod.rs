//! zone: whole zones, by transfer (RFC 5936) from a name server or along NSEC records (RFC 4034).
//!
//! A server that declines is the rule and says nothing; one that gives the zone to anyone is an exposure.
//! **Never:** a name that is not below the zone, whatever a server sends.

mod nsec;
mod transfer;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use async_trait::async_trait;
use hickory_proto::rr::{RData, RecordType};
use mirage_domain::entity::Kind;
use mirage_domain::module::{Manifest, Profile, Setting};

use self::transfer::Report;
use super::{CollectError, Collector, Found, Input, presentation};
use crate::probe::{DnsAnswer, Probe};

pub(super) struct Zone;

static MANIFEST: Manifest = Manifest {
    name: "zone",
    summary: "Whole zones, by transfer from the name servers or along NSEC records",
    consumes: &[Kind::Domain],
    produces: &[Kind::Domain, Kind::Exposure, Kind::Ip],
    profile: Profile::Active,
    parallel: 4,
    deadline_s: 900,
    settings: &[Setting {
        key: "port",
        help: "TCP port of the name servers",
        default: "53",
        is_secret: false,
        is_operators: false,
    }],
    ..Manifest::DEFAULT
};

/// Servers of a zone that are asked, addresses counted apart; the root has 26.
const SERVERS_MAX: usize = 32;

#[async_trait]
impl Collector for Zone {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn collect(
        &self,
        input: &Input,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError> {
        let zone = input.key();
        let setting = input.setting("port");
        let wrong = |_| CollectError::Refused(format!("port `{setting}` is no number of a port"));
        let port: u16 = setting.parse().map_err(wrong)?;
        let answer = probe.dns(zone, RecordType::NS).await?;
        let names = servers(&answer, zone);
        if names.is_empty() {
            return Ok(());
        }
        let transferred = transfer_all(zone, &names, port, probe, found).await;
        transferred.and(nsec::walk(zone, probe, found).await)
    }
}

/// The zone's own servers; a name that is no zone has none, and those behind an alias are not its own.
fn servers(answer: &DnsAnswer, zone: &str) -> BTreeSet<String> {
    let own = answer.answers.iter();
    let own = own.filter(|record| presentation::is_of(record, zone));
    let name = own.filter_map(|record| match &record.data {
        RData::NS(name) => Some(presentation::domain(name)?.key().to_owned()),
        _ => None,
    });
    name.collect()
}

/// Asks every server, one after the other: a zone may be large, and an honest one is told once. Fails if none answers.
async fn transfer_all(
    zone: &str,
    names: &BTreeSet<String>,
    port: u16,
    probe: &dyn Probe,
    found: &Found,
) -> Result<(), CollectError> {
    let mut failures = Vec::new();
    let sockets = sockets(names, port, probe, found, &mut failures).await;
    let mut report = Report::new(zone, found);
    let mut has_answer = false;
    for socket in sockets {
        match probe.transfer(zone, socket).await {
            Ok(transfer) => {
                has_answer = true;
                report.add(socket, &transfer);
            }
            Err(error) => failures.push((socket.to_string(), error)),
        }
    }
    report.conclude();
    for (server, error) in &failures {
        found.remark("server-unavailable", server.clone(), error.to_string());
    }
    match failures.into_iter().next() {
        Some((_, error)) if !has_answer => Err(error),
        _ => Ok(()),
    }
}

async fn sockets(
    names: &BTreeSet<String>,
    port: u16,
    probe: &dyn Probe,
    found: &Found,
    failures: &mut Vec<(String, CollectError)>,
) -> BTreeSet<SocketAddr> {
    let mut sockets = BTreeSet::new();
    for name in names {
        match probe.addresses(name).await {
            Ok(addresses) => {
                let own = addresses.into_iter();
                sockets.extend(own.map(|ip| SocketAddr::new(ip, port)));
            }
            Err(error) => failures.push((name.clone(), error)),
        }
    }
    if sockets.len() > SERVERS_MAX {
        found.remark("cap-reached", "servers", sockets.len().to_string());
    }
    sockets.into_iter().take(SERVERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{Tape, given, replay};

    const SOA: &str = "example.com SOA ns.example.com. me.example.com. 1 2 3 4 5";

    /// A zone with one server.
    fn zone() -> Tape {
        Tape::new()
            .dns("example.com", "NS", &["ns.example.com."])
            .dns("ns.example.com", "A", &["192.0.2.53"])
            .dns("ns.example.com", "AAAA", &[])
    }

    fn unsigned(tape: Tape) -> Tape {
        tape.dns("example.com", "NSEC", &[])
            .dns("example.com", "NSEC3PARAM", &[])
    }

    #[tokio::test]
    async fn a_transferred_zone_gives_hosts_addresses_and_an_exposure() {
        let lines = [
            SOA,
            "example.com NS ns.example.com.",
            "example.com A 192.0.2.1",
            "A.b.example.com A 192.0.2.2",
            "a.b.example.com AAAA 2001:db8::2",
            "www.example.com CNAME cdn.example.net.",
            "*.wild.example.com A 192.0.2.3",
            "_dmarc.example.com TXT v=DMARC1",
            "victim.example.net A 192.0.2.4",
            "badexample.com A 192.0.2.5",
            SOA,
        ];
        let tape = unsigned(zone()).transfer("example.com", "192.0.2.53:53", &lines);
        let outcome = replay(&Zone, &["example.com"], tape).await;
        let exposure = "exposure:zone-transfer domain example.com";
        outcome
            .attribute(exposure, "severity", "high")
            .attribute(exposure, "servers", serde_json::json!(["192.0.2.53:53"]))
            .claims(&[
                "domain:example.com resolves-to ip:192.0.2.1",
                "domain:a.b.example.com subdomain-of domain:example.com",
                "domain:a.b.example.com resolves-to ip:192.0.2.2",
                "domain:a.b.example.com resolves-to ip:2001:db8::2",
                "domain:www.example.com subdomain-of domain:example.com",
                "domain:www.example.com alias-of domain:cdn.example.net",
                "domain:_dmarc.example.com subdomain-of domain:example.com",
                "domain:example.com shows exposure:zone-transfer domain example.com",
            ]);
    }

    #[tokio::test]
    async fn a_server_that_declines_and_a_name_that_is_no_zone_give_nothing() {
        let tape = unsigned(zone()).transfer("example.com", "192.0.2.53:53", &[]);
        replay(&Zone, &["example.com"], tape).await.finds(&[]);
        let tape = Tape::new().dns(
            "www.example.com",
            "NS",
            &["CNAME example.com.", "ns.example.com."],
        );
        replay(&Zone, &["www.example.com"], tape).await.finds(&[]);
    }

    #[tokio::test]
    async fn one_silent_server_is_remarked_and_all_silent_fail() {
        let two = || {
            let tape = Tape::new()
                .dns(
                    "example.com",
                    "NS",
                    &["ns.example.com.", "gone.example.com."],
                )
                .dns("ns.example.com", "A", &["192.0.2.53"])
                .dns("ns.example.com", "AAAA", &[]);
            unsigned(tape)
        };
        let tape = two().transfer("example.com", "192.0.2.53:5353", &[]);
        let given = given().setting("port", "5353");
        let outcome = given.replay(&Zone, &["example.com"], tape).await;
        outcome.remarks("server-unavailable").finds(&[]);
        let outcome = replay(&Zone, &["example.com"], two()).await;
        outcome
            .remarks("server-unavailable")
            .fails("unavailable")
            .finds(&[]);
    }

    #[tokio::test]
    async fn a_transfer_that_was_cut_counts_and_is_remarked() {
        let lines = [SOA, "a.example.com A 192.0.2.2"];
        let tape = unsigned(zone()).transfer("example.com", "192.0.2.53:53", &lines);
        let outcome = replay(&Zone, &["example.com"], tape).await;
        outcome.remarks("cap-reached").finds(&[
            "a.example.com",
            "ip:192.0.2.2",
            "exposure:zone-transfer domain example.com",
        ]);
    }

    /// RDATA of an NSEC record that has types A, NS, SOA or so, by its bitmap's only byte.
    fn nsec(next: &str, types: u8) -> String {
        let labels = next.split('.').filter(|label| !label.is_empty());
        let wire = labels.flat_map(|label| [&[label.len() as u8][..], label.as_bytes()].concat());
        let mut bytes: Vec<u8> = wire.collect();
        bytes.extend([0, 0, 1, types]);
        format!(
            "\\# {} {}",
            bytes.len(),
            data_encoding::HEXUPPER.encode(&bytes)
        )
    }

    const A: u8 = 0x40;
    const NS_SOA: u8 = 0x22;

    /// A zone that is signed with these links.
    fn signed(links: &[(&str, &str, u8)]) -> Tape {
        let tape = zone().transfer("example.com", "192.0.2.53:53", &[]);
        links.iter().fold(tape, |tape, (owner, next, types)| {
            tape.dns(owner, "NSEC", &[&nsec(next, *types)])
        })
    }

    #[tokio::test]
    async fn names_along_nsec_records_are_found() {
        let tape = signed(&[
            ("example.com", "*.example.com", NS_SOA),
            ("*.example.com", "A.example.com", A),
            ("a.example.com", "b.a.example.com", A),
            ("b.a.example.com", "example.com", A),
        ]);
        let outcome = replay(&Zone, &["example.com"], tape).await;
        outcome.attribute("example.com", "denial", "nsec").claims(&[
            "domain:example.com about domain:example.com",
            "domain:a.example.com subdomain-of domain:example.com",
            "domain:b.a.example.com subdomain-of domain:example.com",
        ]);
    }

    #[tokio::test]
    async fn a_walk_that_leads_nowhere_ends_and_says_so() {
        for links in [
            &[
                ("example.com", "a.example.com", NS_SOA),
                ("a.example.com", "a.example.com", A),
            ][..],
            &[
                ("example.com", "a.example.com", NS_SOA),
                ("a.example.com", "b.example.net", A),
            ],
            &[
                ("example.com", "a.example.com", NS_SOA),
                ("a.example.com", "b.a.example.com", NS_SOA),
            ],
            &[
                ("example.com", "a.example.com", NS_SOA),
                ("a.example.com", "\0.a.example.com", A),
            ],
        ] {
            let outcome = replay(&Zone, &["example.com"], signed(links)).await;
            outcome
                .remarks("walk-ended")
                .finds(&["example.com", "a.example.com"]);
        }
        let broken = signed(&[("example.com", "a.example.com", NS_SOA)]);
        let outcome = replay(&Zone, &["example.com"], broken).await;
        outcome
            .fails("unavailable")
            .finds(&["example.com", "a.example.com"]);
    }

    #[tokio::test]
    async fn a_zone_with_nsec3_is_noted() {
        let tape = zone()
            .transfer("example.com", "192.0.2.53:53", &[])
            .dns("example.com", "NSEC", &[])
            .dns("example.com", "NSEC3PARAM", &["\\# 7 0100000A02ABCD"]);
        let outcome = replay(&Zone, &["example.com"], tape).await;
        outcome
            .attribute("example.com", "denial", "nsec3")
            .attribute("example.com", "nsec3-iterations", 10)
            .finds(&["example.com"]);
    }
}
