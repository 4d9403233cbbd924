//! Origins against recorded answers and small tables.

use std::io::Write;

use super::*;
use crate::collectors::testing::{Tape, given, replay};

#[tokio::test]
async fn an_address_has_its_block_system_and_name() {
    let tape = Tape::new()
        .dns(
            "1.2.0.192.origin.asn.cymru.com",
            "TXT",
            &[
                "\"64500 64501 | 192.0.2.0/24 | DE | ripencc | 2020-01-01\"",
                "\"64502 | 192.0.0.0/16 | DE | ripencc | 2020-01-01\"",
            ],
        )
        .dns(
            "AS64500.asn.cymru.com",
            "TXT",
            &["\"64500 | DE | ripencc | 2020-01-01 | MIRAGE - Mirage Corp GmbH, DE\""],
        )
        .nxdomain("AS64501.asn.cymru.com", "TXT");
    replay(&Asn, &["192.0.2.1"], tape).await.claims(&[
        "ip:192.0.2.1 part-of netblock:192.0.2.0/24",
        "netblock:192.0.2.0/24 announced-by autonomous-system:AS64500",
        "netblock:192.0.2.0/24 announced-by autonomous-system:AS64501",
        "autonomous-system:AS64500 registered-to organization:mirage - mirage corp gmbh",
    ]);
}

#[tokio::test]
async fn an_address_of_six_is_asked_for_nibble_by_nibble() {
    let tape = Tape::new()
        .dns(
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.origin6.example",
            "TXT",
            &["\"64500 | 2001:db8::/32 | DE | ripencc | \""],
        )
        .nxdomain("AS64500.asn.cymru.com", "TXT");
    let given = given().setting("origin6-zone", "origin6.example");
    let outcome = given.replay(&Asn, &["2001:db8::1"], tape).await;
    outcome.finds(&["netblock:2001:db8::/32", "autonomous-system:AS64500"]);
}

#[tokio::test]
async fn what_nobody_announces_is_not_asked_about() {
    let inputs = [
        "10.1.2.3",
        "127.0.0.1",
        "fe80::1",
        "100.64.0.1",
        "224.0.0.1",
    ];
    replay(&Asn, &inputs, Tape::new()).await.finds(&[]);
    let tape = Tape::new().nxdomain("1.2.0.192.origin.asn.cymru.com", "TXT");
    replay(&Asn, &["192.0.2.1"], tape).await.finds(&[]);
}

#[tokio::test]
async fn silence_and_another_form_are_failures_and_another_s_block_is_nothing() {
    let outcome = replay(&Asn, &["192.0.2.1"], Tape::new()).await;
    outcome.fails("unavailable").finds(&[]);
    let name = "1.2.0.192.origin.asn.cymru.com";
    let tape = Tape::new().dns(name, "TXT", &["\"\u{1b}[2J | <script>\""]);
    let outcome = replay(&Asn, &["192.0.2.1"], tape).await;
    outcome.fails("malformed").finds(&[]);
    let tape = Tape::new().dns(name, "TXT", &["\"64500 | 198.51.100.0/24 | DE | x | \""]);
    replay(&Asn, &["192.0.2.1"], tape).await.finds(&[]);
}

#[tokio::test]
async fn a_crowd_of_systems_is_cut() {
    let numbers: Vec<String> = (1..=40).map(|number| number.to_string()).collect();
    let text = format!("\"{} | 192.0.2.0/24 | DE | x | \"", numbers.join(" "));
    let tape = Tape::new().dns("1.2.0.192.origin.asn.cymru.com", "TXT", &[&text]);
    let tape = (1..=40).fold(tape, |tape, number| {
        tape.nxdomain(&format!("AS{number}.asn.cymru.com"), "TXT")
    });
    let outcome = replay(&Asn, &["192.0.2.1"], tape).await;
    assert_eq!(
        outcome.remarks("cap-reached").findings().len(),
        2 * ORIGINS_MAX
    );
}

#[tokio::test]
async fn a_route_table_stands_in_for_the_zones() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"10.0.0.0/8\t64500\tMirage Corp\n10.1.0.0/16\t64501\n")
        .unwrap();
    let given = given().setting("table", file.path().to_str().unwrap());
    let inputs = ["10.1.2.3", "10.2.2.3", "192.0.2.1"];
    let outcome = given.replay(&Asn, &inputs, Tape::new()).await;
    let outcome = outcome.claims(&[
        "ip:10.1.2.3 part-of netblock:10.1.0.0/16",
        "netblock:10.1.0.0/16 announced-by autonomous-system:AS64501",
        "ip:10.2.2.3 part-of netblock:10.0.0.0/8",
        "netblock:10.0.0.0/8 announced-by autonomous-system:AS64500",
        "autonomous-system:AS64500 registered-to organization:mirage corp",
    ]);
    let confidence = |f: &&mirage_domain::finding::Finding| f.confidence == NAME_CONFIDENCE;
    assert_eq!(outcome.findings().iter().filter(confidence).count(), 1);
}

#[tokio::test]
async fn a_table_that_is_not_there_is_refused_and_a_broken_one_malformed() {
    let missing = given().setting("table", "no/such/table");
    let outcome = missing.replay(&Asn, &["192.0.2.1"], Tape::new()).await;
    outcome.fails("refused").finds(&[]);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"10.0.0.0/8 64500").unwrap();
    let broken = given().setting("table", file.path().to_str().unwrap());
    let outcome = broken.replay(&Asn, &["192.0.2.1"], Tape::new()).await;
    outcome.fails("malformed").finds(&[]);
}
