//! What a certificate says: its names as entities, everything else as attributes (RFC 5280).
//!
//! **Never:** a signature check, a clock: both hang on more than the certificate.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;
use mirage_domain::entity::{Entity, Kind};
use serde_json::{Value, json};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use crate::collectors::CollectError;

/// Names of one certificate that are reported.
pub(super) const NAMES_MAX: usize = 500;
/// Wildcards that are kept as an attribute.
const WILDCARDS_MAX: usize = 50;
/// Characters of a distinguished name that are kept.
const DN_CHARS_MAX: usize = 512;

/// What one certificate says.
pub(super) struct Certificate {
    /// Domains, addresses and mail boxes, each once.
    pub(super) names: BTreeSet<Entity>,
    /// Whether some names are missing.
    pub(super) is_cut: bool,
    pub(super) organization: Option<Entity>,
    pub(super) issuer_organization: Option<Entity>,
    subject: Vec<u8>,
    issuer: Vec<u8>,
    attributes: Vec<(&'static str, Value)>,
}

impl Certificate {
    pub(super) fn parse(der: &[u8]) -> Result<Self, CollectError> {
        let wrong = |cause: String| CollectError::Malformed(format!("certificate: {cause}"));
        let (_, x509) = X509Certificate::from_der(der).map_err(|e| wrong(e.to_string()))?;
        let mut certificate = Self {
            names: BTreeSet::new(),
            is_cut: false,
            organization: organization(x509.subject()),
            issuer_organization: organization(x509.issuer()),
            subject: x509.subject().as_raw().to_vec(),
            issuer: x509.issuer().as_raw().to_vec(),
            attributes: attributes(&x509),
        };
        certificate.read_names(&x509);
        Ok(certificate)
    }

    pub(super) fn is_issued_by(&self, other: &Self) -> bool {
        self.issuer == other.subject
    }

    pub(super) fn attributes(&self) -> impl Iterator<Item = (&'static str, Value)> {
        self.attributes.iter().cloned()
    }

    fn read_names(&mut self, x509: &X509Certificate<'_>) {
        let mut wildcards = BTreeSet::new();
        let alternatives = x509.subject_alternative_name().ok().flatten();
        let alternatives = alternatives.map_or(&[][..], |extension| &extension.value.general_names);
        for name in alternatives {
            match name {
                GeneralName::DNSName(name) if name.starts_with("*.") => {
                    wildcards.insert(*name);
                }
                name => self.add(of_general(name)),
            }
        }
        self.is_cut |= wildcards.len() > WILDCARDS_MAX;
        let subject = x509.subject();
        // A common name is whatever its owner liked; with a dot it was meant as a host's (RFC 6125, B.2).
        let common = subject.iter_common_name().filter_map(text);
        common
            .filter(|name| name.contains('.'))
            .for_each(|name| self.add(Entity::new(Kind::Domain, name).ok()));
        let boxes = subject.iter_email().filter_map(text);
        boxes.for_each(|name| self.add(Entity::new(Kind::Email, name).ok()));
        let wildcards: Vec<&str> = wildcards.into_iter().take(WILDCARDS_MAX).collect();
        if !wildcards.is_empty() {
            self.attributes.push(("wildcards", json!(wildcards)));
        }
    }

    fn add(&mut self, entity: Option<Entity>) {
        let Some(entity) = entity else { return };
        if self.names.len() < NAMES_MAX || self.names.contains(&entity) {
            self.names.insert(entity);
        } else {
            self.is_cut = true;
        }
    }
}

fn of_general(name: &GeneralName<'_>) -> Option<Entity> {
    match name {
        GeneralName::DNSName(name) => Entity::new(Kind::Domain, name).ok(),
        GeneralName::RFC822Name(name) => Entity::new(Kind::Email, name).ok(),
        GeneralName::IPAddress(bytes) => Entity::new(Kind::Ip, &address(bytes)?.to_string()).ok(),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let six = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| six()).ok()
}

fn text<'a>(attribute: &AttributeTypeAndValue<'a>) -> Option<&'a str> {
    attribute.as_str().ok()
}

fn organization(name: &X509Name<'_>) -> Option<Entity> {
    let name = name.iter_organization().find_map(text)?;
    Entity::new(Kind::Organization, name).ok()
}

fn attributes(x509: &X509Certificate<'_>) -> Vec<(&'static str, Value)> {
    let dn = |name: &X509Name<'_>| {
        name.to_string()
            .chars()
            .take(DN_CHARS_MAX)
            .collect::<String>()
    };
    let (kind, bits) = key(x509);
    let mut attributes = vec![
        ("subject", json!(dn(x509.subject()))),
        ("issuer", json!(dn(x509.issuer()))),
        ("serial", json!(serial(x509.raw_serial()))),
        ("key_type", json!(kind)),
        ("is_ca", json!(x509.is_ca())),
        (
            "self_issued",
            json!(x509.subject().as_raw() == x509.issuer().as_raw()),
        ),
        ("scts", json!(scts(x509))),
    ];
    attributes.extend(bits.map(|bits| ("key_bits", json!(bits))));
    let validity = x509.validity();
    let not_before = time(validity.not_before).map(|time| ("not_before", json!(time)));
    let not_after = time(validity.not_after).map(|time| ("not_after", json!(time)));
    attributes.extend(not_before.into_iter().chain(not_after));
    attributes
}

/// In hexadecimal; a legal one has at most 20 bytes (RFC 5280, 4.1.2.2).
fn serial(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&bytes[..bytes.len().min(32)])
}

fn time(time: ASN1Time) -> Option<String> {
    let time = Timestamp::from_second(time.timestamp()).ok()?;
    Some(time.to_string())
}

/// Its kind, and its size in bits where the kind leaves it open.
fn key(x509: &X509Certificate<'_>) -> (String, Option<usize>) {
    let info = x509.public_key();
    let size = |key: PublicKey<'_>| Some(key.key_size()).filter(|bits| *bits > 0);
    let kind = match info.parsed() {
        Ok(key @ PublicKey::RSA(_)) => return ("rsa".into(), size(key)),
        Ok(key @ PublicKey::EC(_)) => return ("ec".into(), size(key)),
        Ok(key @ PublicKey::DSA(_)) => return ("dsa".into(), size(key)),
        _ => info.algorithm.algorithm.to_id_string(),
    };
    // RFC 8410.
    match kind.as_str() {
        "1.3.101.112" => ("ed25519".into(), None),
        "1.3.101.113" => ("ed448".into(), None),
        _ => (kind, None),
    }
}

/// Embedded timestamps of certificate logs (RFC 6962, 3.3).
fn scts(x509: &X509Certificate<'_>) -> usize {
    let counts = x509
        .iter_extensions()
        .map(|extension| match extension.parsed_extension() {
            ParsedExtension::SCT(list) => list.len(),
            _ => 0,
        });
    counts.sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Certificate::parse(&bytes);
        }

        #[test]
        fn a_certificate_with_wrong_bytes_is_read_or_refused(at in 0..4096_usize, byte in any::<u8>()) {
            let names = vec!["a.example.com".to_owned(), "*.example.com".to_owned()];
            let made = rcgen::generate_simple_self_signed(names).unwrap();
            let mut der = made.cert.der().to_vec();
            let at = at % der.len();
            der[at] = byte;
            let _ = Certificate::parse(&der);
        }
    }
}
