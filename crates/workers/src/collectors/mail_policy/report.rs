//! What the policies of one domain come to: a finding about it, exposures and mail boxes.

use std::collections::BTreeMap;

use mirage_domain::entity::{Entity, Kind};
use mirage_domain::id::Digest;
use mirage_domain::relation::Relation;
use serde_json::Value;

use super::{Claim, Found, Input};
use crate::collectors::Handle;

/// Bytes of a record that stand in the finding; the evidence has the rest.
const RECORD_BYTES_MAX: usize = 2048;
/// Addresses of one list of reports.
const ADDRESSES_MAX: usize = 32;

/// Takes what is found out about one domain.
pub(super) struct Report<'a> {
    input: &'a Input,
    pub(super) found: &'a Found,
    attributes: BTreeMap<&'static str, Value>,
    evidence: Vec<Digest>,
}

/// How bad an exposure is.
#[derive(Clone, Copy)]
pub(super) enum Severity {
    Low,
    Medium,
    High,
}

impl<'a> Report<'a> {
    pub(super) fn new(input: &'a Input, evidence: Digest, found: &'a Found) -> Self {
        Self {
            input,
            found,
            attributes: BTreeMap::new(),
            evidence: vec![evidence],
        }
    }

    /// The name that is asked about.
    pub(super) fn domain(&self) -> &'a str {
        self.input.key()
    }

    pub(super) fn entity(&self) -> &'a Entity {
        &self.input.entity
    }

    pub(super) fn handle(&self) -> &'a Handle {
        self.found.input()
    }

    /// Something that the domain publishes.
    pub(super) fn says(&mut self, name: &'static str, value: impl Into<Value>, evidence: Digest) {
        self.attributes.insert(name, value.into());
        if !self.evidence.contains(&evidence) {
            self.evidence.push(evidence);
        }
    }

    /// Something wrong about `subject`, a name of the domain's.
    pub(super) fn exposes(
        &self,
        rule: &str,
        severity: Severity,
        subject: &str,
        headline: String,
        evidence: Digest,
    ) {
        let Ok(exposure) = Entity::new(Kind::Exposure, &format!("{rule} domain {subject}")) else {
            return;
        };
        let severity = match severity {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
        };
        let claim = Claim::out(Relation::Shows, exposure, evidence);
        let claim = claim.with("severity", severity).with("headline", headline);
        self.found.add(claim);
    }

    /// The mail boxes of a list of addresses for reports: `mailto:a@b.example!10m,https://…` (RFC 7489 §6.2).
    pub(super) fn reports_to(&self, list: &str, purpose: &str, evidence: Digest) {
        for (at, uri) in list.split(',').enumerate() {
            if at == ADDRESSES_MAX {
                self.found
                    .remark("cap-reached", "report-addresses", self.domain());
                return;
            }
            if let Some(email) = mailbox(uri) {
                let claim = Claim::out(Relation::Mentions, email, evidence);
                self.found.add(claim.with("purpose", purpose));
            }
        }
    }

    pub(super) fn conclude(self) {
        let [first, further @ ..] = self.evidence.as_slice() else {
            return;
        };
        let claim = Claim::out(Relation::About, self.input.entity.clone(), *first);
        let claim = further
            .iter()
            .fold(claim, |claim, evidence| claim.and_evidence(*evidence));
        let attributes = self.attributes.into_iter();
        let claim = attributes.fold(claim, |claim, (name, value)| claim.with(name, value));
        self.found.add(claim);
    }
}

/// The mail box of a `mailto:` URI; a size limit after `!` and fields after `?` are no part of it.
fn mailbox(uri: &str) -> Option<Entity> {
    let uri = uri.trim();
    let is_mail = uri.get(..7)?.eq_ignore_ascii_case("mailto:");
    let address = uri.get(7..)?.split(['!', '?']).next()?;
    let email = || Entity::new(Kind::Email, address).ok();
    is_mail.then(email).flatten()
}

/// A record as printable ASCII, bounded.
pub(super) fn shown(text: &str) -> String {
    let bytes = &text.as_bytes()[..text.len().min(RECORD_BYTES_MAX)];
    bytes.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_box_stands_between_scheme_and_limits() {
        let key = |uri| mailbox(uri).map(|email| email.key().to_owned());
        for uri in [
            "mailto:a@b.example",
            " MAILTO:a@b.example!10m",
            "mailto:a@b.example?subject=x",
        ] {
            assert_eq!(key(uri).as_deref(), Some("a@b.example"), "{uri}");
        }
        for uri in [
            "https://b.example/",
            "mailto:",
            "mailt",
            "a@b.example",
            "mailto:\u{1b}",
        ] {
            assert_eq!(key(uri), None, "{uri}");
        }
    }

    #[test]
    fn a_record_is_shown_printable_and_bounded() {
        assert_eq!(shown("v=spf1\u{1b}ü"), "v=spf1\\x1b\\xc3\\xbc");
        assert_eq!(shown(&"x".repeat(64_000)).len(), RECORD_BYTES_MAX);
    }
}
