//! Recorded handshakes with certificates made here.

use rcgen::{CertificateParams, DnType, Issuer, KeyPair, SanType};

use super::*;
use crate::collectors::testing::{Tape, given, replay};

const LEAF: &str = "leaf.example.com";

/// A leaf with these names and its issuer, in DER.
fn chain(names: &[&str]) -> (Vec<u8>, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let mut above = CertificateParams::default();
    above
        .distinguished_name
        .push(DnType::CommonName, "Example CA");
    above
        .distinguished_name
        .push(DnType::OrganizationName, "Trust Ltd");
    let above_der = above.self_signed(&key).unwrap().der().to_vec();
    let issuer = Issuer::new(above, key);
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut leaf = CertificateParams::new(names).unwrap();
    leaf.distinguished_name.push(DnType::CommonName, LEAF);
    leaf.distinguished_name
        .push(DnType::OrganizationName, "Example  GmbH");
    let mail = "box@example.com".try_into().unwrap();
    leaf.subject_alt_names.push(SanType::Rfc822Name(mail));
    let own = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&own, &issuer).unwrap().der().to_vec();
    (leaf, above_der)
}

fn resolved() -> Tape {
    Tape::new()
        .dns("example.com", "A", &["192.0.2.1"])
        .dns("example.com", "AAAA", &[])
}

fn key(der: &[u8]) -> String {
    format!("certificate:{}", Digest::of(der))
}

#[tokio::test]
async fn a_name_is_asked_for_by_sni_and_its_chain_is_reported() {
    let (leaf, above) = chain(&["a.example.com", "*.example.com", "192.0.2.9"]);
    let tape = resolved().tls("192.0.2.1:443", Some("example.com"), &[&leaf, &above]);
    let (leaf, above) = (key(&leaf), key(&above));
    replay(&Tls, &["example.com"], tape)
        .await
        .claims(&[
            "domain:example.com offers service:192.0.2.1:443/tcp",
            &format!("service:192.0.2.1:443/tcp presents {leaf}"),
            &format!("{leaf} names domain:a.example.com"),
            &format!("{leaf} names domain:{LEAF}"),
            &format!("{leaf} names ip:192.0.2.9"),
            &format!("{leaf} names email:box@example.com"),
            &format!("{leaf} names organization:example gmbh"),
            &format!("{leaf} issued-by organization:trust ltd"),
            &format!("{leaf} issued-by {above}"),
        ])
        .attribute(&leaf, "wildcards", serde_json::json!(["*.example.com"]))
        .attribute(&leaf, "key_bits", 256)
        .attribute(&leaf, "cipher", "TLS13_AES_256_GCM_SHA384")
        .attribute(&above, "self_issued", true);
}

#[tokio::test]
async fn a_service_is_asked_without_sni() {
    let (leaf, _) = chain(&["a.example.com"]);
    let tape = Tape::new().tls("192.0.2.1:8443", None, &[&leaf]);
    let outcome = replay(&Tls, &["service:192.0.2.1:8443/tcp"], tape).await;
    let leaf = key(&leaf);
    outcome.claims(&[
        &format!("service:192.0.2.1:8443/tcp presents {leaf}"),
        &format!("{leaf} names domain:a.example.com"),
        &format!("{leaf} names domain:{LEAF}"),
        &format!("{leaf} names email:box@example.com"),
        &format!("{leaf} names organization:example gmbh"),
        &format!("{leaf} issued-by organization:trust ltd"),
    ]);
}

#[tokio::test]
async fn each_port_of_the_setting_is_asked_and_a_closed_one_is_nothing() {
    let (leaf, _) = chain(&[]);
    let tape = resolved().tls("192.0.2.1:8443", Some("example.com"), &[&leaf]);
    let given = given().setting("ports", "443,8443");
    let outcome = given.replay(&Tls, &["example.com"], tape).await;
    assert_eq!(outcome.findings().len(), 6);
    given
        .replay(&Tls, &["example.com"], resolved())
        .await
        .finds(&[]);
}

#[tokio::test]
async fn a_name_without_an_address_is_nothing_and_one_that_cannot_be_resolved_a_failure() {
    let tape = Tape::new()
        .nxdomain("example.com", "A")
        .nxdomain("example.com", "AAAA");
    replay(&Tls, &["example.com"], tape).await.finds(&[]);
    let outcome = replay(&Tls, &["example.com"], Tape::new()).await;
    outcome.fails("unavailable").finds(&[]);
}

#[tokio::test]
async fn bytes_that_are_no_certificate_are_malformed() {
    let tape = resolved().tls("192.0.2.1:443", Some("example.com"), &[b"no certificate"]);
    let outcome = replay(&Tls, &["example.com"], tape).await;
    outcome.fails("malformed").finds(&[]);
    let bad = given().setting("ports", "https");
    let outcome = bad.replay(&Tls, &["example.com"], resolved()).await;
    outcome.fails("malformed").finds(&[]);
}

#[tokio::test]
async fn a_certificate_in_the_chain_that_issued_nothing_is_left_out() {
    let ((leaf, _), (stranger, _)) = (chain(&[]), chain(&[]));
    let tape = resolved().tls("192.0.2.1:443", Some("example.com"), &[&leaf, &stranger]);
    let outcome = replay(&Tls, &["example.com"], tape).await;
    assert!(!format!("{outcome:?}").contains(&key(&stranger)));
    outcome.remarks("chain-broken");
}

#[tokio::test]
async fn names_beyond_the_cap_are_left_out_and_remarked() {
    let names: Vec<String> = (0..=certificate::NAMES_MAX)
        .map(|n| format!("h{n}.example.com"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (leaf, _) = chain(&names);
    let tape = resolved().tls("192.0.2.1:443", Some("example.com"), &[&leaf]);
    let outcome = replay(&Tls, &["example.com"], tape).await;
    let domains = outcome.findings().iter().filter(|f| f.kind == Kind::Domain);
    assert_eq!(domains.count(), certificate::NAMES_MAX);
    outcome.remarks("cap-reached");
}
