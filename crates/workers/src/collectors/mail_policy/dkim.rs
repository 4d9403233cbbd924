//! DKIM (RFC 6376): keys under the names that mailers usually give them, and how strong they are.

use data_encoding::BASE64;
use hickory_proto::rr::{RData, RecordType};
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::relation::Relation;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::publication::{below, tags, value};
use super::report::{Report, Severity};
use super::{Claim, CollectError, presentation, text_records};
use crate::collectors::questions;
use crate::probe::{DnsAnswer, Probe};

/// Names of keys at the large mailers, and what administrators choose themselves.
pub(super) const SELECTORS: &str = "default,dkim,dkim1,dkim2,everlytickey1,everlytickey2,fm1,fm2,fm3,google,k1,k2,k3,\
    key1,key2,krs,m1,mail,mailjet,mandrill,mx,mxvault,pm,protonmail,protonmail2,protonmail3,s1,s2,scph0920,selector1,\
    selector2,sig1,smtp,smtpapi,ses,zoho";
/// Names that are asked for.
const SELECTORS_MAX: usize = 128;
/// Below it a key is broken with little effort (RFC 8301 §3.2).
const RSA_BITS_MIN: usize = 1024;

/// Reports the keys that are there: to whom a name leads, and which are weak.
pub(super) async fn collect(
    selectors: &str,
    probe: &dyn Probe,
    report: &mut Report<'_>,
) -> Result<(), CollectError> {
    let mut names = names(selectors, report.domain());
    if names.len() > SELECTORS_MAX {
        report
            .found
            .remark("cap-reached", "dkim-selectors", names.len().to_string());
        names.truncate(SELECTORS_MAX);
    }
    let questions: Vec<_> = names
        .iter()
        .map(|(_, name)| (name.clone(), RecordType::TXT))
        .collect();
    let mut outcome = Ok(());
    let mut present = Vec::new();
    for ((selector, name), answer) in names.iter().zip(questions::ask(probe, &questions).await) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                outcome = outcome.and(Err(error));
                continue;
            }
        };
        if key(name, &answer, report) {
            present.push(selector.clone());
            report.says("dkim_selectors", present.clone(), answer.evidence);
        }
    }
    outcome
}

/// Each selector with its full name, sorted.
fn names(selectors: &str, domain: &str) -> Vec<(String, String)> {
    let words = selectors.split(',').map(str::trim);
    let words = words.filter(|word| !word.is_empty());
    let mut names: Vec<_> = words
        .filter_map(|word| {
            let name = below(&format!("{word}._domainkey"), domain)?;
            Some((word.to_owned(), name))
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Reports one key; whether there is one.
fn key(name: &str, answer: &DnsAnswer, report: &Report<'_>) -> bool {
    let mut is_there = false;
    let mut weakest: Option<usize> = None;
    for text in text_records::all(answer) {
        if let Some(key) = parse(&text) {
            is_there = true;
            let bits = rsa_bits(&key);
            weakest = weakest.into_iter().chain(bits).min();
        }
    }
    if !is_there {
        return false;
    }
    if let Some(bits) = weakest.filter(|bits| *bits < RSA_BITS_MIN) {
        let headline = format!("the DKIM key {name} has only {bits} bits and can be broken");
        report.exposes(
            "dkim-weak-key",
            Severity::Medium,
            name,
            headline,
            answer.evidence,
        );
    }
    // An alias gives the key into another's hands, who may then sign for the domain.
    let target = answer
        .answers
        .iter()
        .rev()
        .find_map(|record| match &record.data {
            RData::CNAME(target) => presentation::domain(target),
            _ => None,
        });
    if let Some(target) = target.filter(|target| target.kind() == Kind::Domain) {
        let signer: Entity = target;
        let claim = Claim::out(Relation::Authorises, signer, answer.evidence);
        report.found.add(claim.with("dkim", name));
    }
    true
}

/// The key's bytes if the text is a key record; an empty key was revoked (§3.6.1), and is none.
fn parse(text: &str) -> Option<Vec<u8>> {
    let tags = tags(text);
    if value(&tags, "v").is_some_and(|version| version != "DKIM1") {
        return None;
    }
    let mut base64: String = value(&tags, "p")?.to_owned();
    base64.retain(|c| !c.is_ascii_whitespace());
    let key = BASE64.decode(base64.as_bytes()).ok()?;
    (!key.is_empty()).then_some(key)
}

/// Bits of an RSA key; none for another key, or bytes that are none.
fn rsa_bits(der: &[u8]) -> Option<usize> {
    let (_, info) = SubjectPublicKeyInfo::from_der(der).ok()?;
    match info.parsed().ok()? {
        PublicKey::RSA(key) => {
            let modulus = key.modulus.iter().skip_while(|byte| **byte == 0);
            let mut modulus = modulus.copied();
            let first = modulus.next()?;
            Some(modulus.count() * 8 + 8 - first.leading_zeros() as usize)
        }
        _ => None,
    }
}
