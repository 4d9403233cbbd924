//! Records of recorded answers, and what they name.

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
