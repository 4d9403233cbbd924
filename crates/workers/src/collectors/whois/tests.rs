//! What answers on port 43 lead to, and what hostile ones do not.

use super::*;
use crate::collectors::testing::{Outcome, Tape, given, replay};

const ROOT: &str = "192.0.2.43:43";

/// A world in which no RDAP server is listed for `.test` and 198.51.100.0/24; the root is `whois.iana.org`.
fn world() -> Tape {
    let file = r#"{"services":[[["com"],["https://rdap.test/"]],[["203.0.113.0/24"],["https://rdap.test/"]]]}"#;
    let tape = Tape::new()
        .http("https://data.iana.org/rdap/dns.json", 200, &[], file)
        .http("https://data.iana.org/rdap/ipv4.json", 200, &[], file);
    host(tape, "whois.iana.org", "192.0.2.43")
}

fn host(tape: Tape, name: &str, address: &str) -> Tape {
    tape.dns(name, "A", &[address]).dns(name, "AAAA", &[])
}

fn referring() -> Tape {
    let root = "% IANA WHOIS server\nrefer: whois.nic.test\ndomain: TEST\norganisation: Registry of Test\ne-mail: tld@nic.test\n";
    let tape = world().line(ROOT, "example.test", root);
    host(tape, "whois.nic.test", "192.0.2.44")
}

async fn of_domain(answer: impl AsRef<[u8]>) -> Outcome {
    let tape = referring().line("192.0.2.44:43", "example.test", answer);
    replay(&Whois, &["example.test"], tape).await
}

#[tokio::test]
async fn a_registry_that_the_root_refers_to_names_the_holder() {
    let outcome = of_domain(
        "Domain Name: EXAMPLE.TEST\r\nRegistrar WHOIS Server: whois.nic.test\r\n\
        Registrar: Registrar, Inc.\r\nRegistrant Organization: Example Ltd\r\nRegistrant Email: Owner@Example.test\r\n\
        Registrant Name: REDACTED FOR PRIVACY\r\nTech Email: noc@example.test\r\n\
        Registrar Abuse Contact Email: abuse@registrar.test\r\n>>> Last update: now <<<\r\n",
    );
    let outcome = outcome
        .await
        .attribute("organization:example ltd", "name", "Example Ltd");
    let confidences: Vec<u8> = outcome
        .findings()
        .iter()
        .map(|own| own.confidence)
        .collect();
    assert!(confidences.iter().all(|own| *own <= 40), "{confidences:?}");
    outcome.claims(&[
        "domain:example.test registered-to organization:example ltd",
        "domain:example.test registered-to email:owner@example.test",
        "domain:example.test registered-through organization:registrar, inc.",
        "domain:example.test mentions email:noc@example.test",
        "domain:example.test mentions email:abuse@registrar.test",
    ]);
}

#[tokio::test]
async fn other_forms_are_understood_too() {
    for answer in [
        "    Domain name:\n        example.test\n\n    Registrant:\n        Example Ltd\n",
        "Domain: example.test\nRegistrant\n  Organization:  Example Ltd\n",
        "a. [Domain Name]   EXAMPLE.TEST\ng. [Organization]   Example Ltd\n",
        "domain: example.test\n\norganisation: ORG-EX1-TEST\norg-name: Example Ltd\norg: ORG-EX1-TEST\nholder: EX1-TEST\n",
    ] {
        of_domain(answer).await.finds(&["organization:example ltd"]);
    }
    let latin = b"domain: example.test\norg-name: Gr\xfcn \xc4G\n";
    of_domain(latin)
        .await
        .finds(&["organization:gr\u{fc}n \u{e4}g"]);
}

#[tokio::test]
async fn the_last_server_that_knows_the_name_counts() {
    let thin = "Domain Name: example.test\nRegistrar: Registrar, Inc.\nRegistrar WHOIS Server: whois.registrar.test\n";
    let tape = referring().line("192.0.2.44:43", "example.test", thin);
    let tape = host(tape, "whois.registrar.test", "192.0.2.45");
    let full = "Domain Name: example.test\nRegistrant Organization: Example Ltd\n";
    let known = tape.clone().line("192.0.2.45:43", "example.test", full);
    replay(&Whois, &["example.test"], known)
        .await
        .finds(&["organization:example ltd"]);
    let other = tape
        .clone()
        .line("192.0.2.45:43", "example.test", "No match");
    let registrar = ["organization:registrar, inc."];
    replay(&Whois, &["example.test"], other)
        .await
        .finds(&registrar);
    let silent = replay(&Whois, &["example.test"], tape).await;
    silent.remarks("server-unavailable").finds(&registrar);
}

#[tokio::test]
async fn an_address_is_part_of_a_block_that_is_registered() {
    let answer = "NetRange: 198.51.100.0 - 198.51.100.255\nCIDR: 198.51.100.0/24\nNetName: EXAMPLE-NET\n\
        Organization: Example Ltd (EXAMPLE-7)\nOrgName: Example Ltd\nCountry: DE\nOrgAbuseEmail: abuse@example.test\n\n\
        inetnum: 0.0.0.0 - 255.255.255.255\n% Abuse contact for '198.51.100.0 - 198.51.100.255' is 'cert@example.test'\n";
    let tape = world().line("192.0.2.50:4343", "198.51.100.7", answer);
    let given = given().setting("server", "192.0.2.50:4343");
    let (ip, block) = ("ip:198.51.100.7", "netblock:198.51.100.0/24");
    let outcome = given.replay(&Whois, &[ip], tape).await;
    outcome
        .attribute(block, "name", "EXAMPLE-NET")
        .attribute(block, "country", "DE")
        .claims(&[
            &format!("{ip} part-of {block}"),
            &format!("{block} registered-to organization:example ltd"),
            &format!("{block} registered-to email:abuse@example.test"),
            &format!("{block} registered-to email:cert@example.test"),
        ]);
}

#[tokio::test]
async fn where_a_registry_lists_an_rdap_server_nobody_is_asked() {
    for input in ["example.com", "ip:203.0.113.1"] {
        replay(&Whois, &[input], world()).await.finds(&[]);
    }
    for name in ["www.example.test", "test"] {
        replay(&Whois, &[name], Tape::new()).await.finds(&[]);
    }
    replay(&Whois, &["example.test"], Tape::new())
        .await
        .fails("unavailable")
        .finds(&[]);
}

#[tokio::test]
async fn an_answer_about_something_else_is_none() {
    for answer in [
        "No match for example.test\n",
        "Domain Name: other.test\nRegistrant Organization: Other\n",
        "\u{7}\n",
    ] {
        of_domain(answer).await.remarks("not-registered").finds(&[]);
    }
    let all = "inetnum: 0.0.0.0 - 255.255.255.255\norg-name: Everybody\n";
    let tape = world().line(ROOT, "198.51.100.7", all);
    replay(&Whois, &["ip:198.51.100.7"], tape)
        .await
        .remarks("not-registered")
        .finds(&[]);
}

#[tokio::test]
async fn a_server_in_trouble_never_found_nothing() {
    for (answer, reason) in [
        ("", "unavailable"),
        (" \r\n", "unavailable"),
        ("Query rate limit exceeded\n", "limited"),
    ] {
        of_domain(answer).await.fails(reason).finds(&[]);
    }
    replay(&Whois, &["example.test"], referring())
        .await
        .fails("unavailable")
        .finds(&[]);
    let given = given().setting("server", "nowhere at all");
    given
        .replay(&Whois, &["example.test"], world())
        .await
        .fails("refused")
        .finds(&[]);
}

#[tokio::test]
async fn referrals_end_and_obey_the_egress_policy() {
    let around = of_domain("refer: whois.iana.org\n").await;
    around
        .remarks("referral-loop")
        .remarks("not-registered")
        .finds(&[]);
    let mut tape = world().line(ROOT, "example.test", "refer: 192.0.2.100\n");
    for step in 100..110 {
        let answer = format!("domain: example.test\nrefer: 192.0.2.{}\n", step + 1);
        tape = tape.line(&format!("192.0.2.{step}:43"), "example.test", answer);
    }
    replay(&Whois, &["example.test"], tape)
        .await
        .remarks("cap-reached")
        .finds(&[]);
    for inside in ["127.0.0.1", "169.254.169.254:80", "[::1]:43", "10.0.0.1"] {
        let tape = world().line(ROOT, "example.test", format!("refer: {inside}\n"));
        replay(&Whois, &["example.test"], tape)
            .await
            .fails("forbidden")
            .finds(&[]);
    }
}

#[tokio::test]
async fn a_long_answer_is_cut_and_its_claims_are_bounded() {
    let mut answer = "domain: example.test\n".to_owned();
    for i in 0..10_000 {
        answer.push_str(&format!("e-mail: a{i}@example.test\n"));
    }
    let outcome = of_domain(&answer).await.remarks("cap-reached");
    assert_eq!(outcome.findings().len(), 64);
}
