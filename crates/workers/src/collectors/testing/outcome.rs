//! What came out of a test's run, and what the test says about it.

use std::collections::{BTreeMap, BTreeSet};

use mirage_domain::entity::{Entity, Kind};
use mirage_domain::finding::Finding;
use mirage_domain::id::IdKey;
use mirage_domain::module::Manifest;
use mirage_domain::relation::Direction;

use crate::collectors::CollectError;
use crate::collectors::found::{Remark, Reported};

/// What came out.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    findings: Vec<Finding>,
    remarks: Vec<Remark>,
    failures: Vec<CollectError>,
    default: Kind,
    /// What the ids in findings stand for.
    names: BTreeMap<String, String>,
}

impl Outcome {
    pub(super) fn new(
        manifest: &Manifest,
        key: IdKey,
        inputs: &[Entity],
        reports: Vec<Reported>,
        failures: Vec<CollectError>,
    ) -> Self {
        let (mut findings, mut remarks) = (Vec::new(), Vec::new());
        let mut names = BTreeMap::new();
        for input in inputs {
            names.insert(input.id(&key).to_string(), input.to_string());
        }
        for report in reports {
            match report {
                Reported::Finding(finding) => {
                    let entity = finding.entity().expect("nothing is erased here");
                    names.insert(finding.entity.to_string(), entity.to_string());
                    assert!(!finding.evidence.is_empty(), "{entity} has no evidence");
                    findings.push(*finding);
                }
                Reported::Remark(remark) => remarks.push(remark),
            }
        }
        Self {
            findings,
            remarks,
            failures,
            default: manifest.consumes[0],
            names,
        }
    }

    /// Every finding, as reported.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Exactly these entities were found, in any order, and no input failed that [`fails`](Self::fails) did not name
    /// before.
    #[track_caller]
    pub fn finds(self, entities: &[&str]) -> Self {
        let found = self.findings.iter().map(|finding| self.name(finding));
        let expected = entities.iter().map(|text| self.full(text));
        self.compare(found.collect(), expected.collect());
        self
    }

    /// Exactly these claims were made: `SUBJECT RELATION OBJECT`, in any order, and no input failed unnamed.
    #[track_caller]
    pub fn claims(self, claims: &[&str]) -> Self {
        let made = self.findings.iter().map(|finding| self.claim(finding));
        let expected = claims.iter().map(|text| (*text).to_owned());
        self.compare(made.collect(), expected.collect());
        self
    }

    #[track_caller]
    fn compare(&self, found: BTreeSet<String>, expected: BTreeSet<String>) {
        let missing: Vec<_> = expected.difference(&found).collect();
        let further: Vec<_> = found.difference(&expected).collect();
        assert!(
            missing.is_empty() && further.is_empty() && self.failures.is_empty(),
            "missing: {missing:#?}\nnot expected: {further:#?}\nfailures: {:#?}\nremarks: {:#?}",
            self.failures,
            self.remarks,
        );
    }

    /// An input failed with this reason; its failures count as named.
    #[track_caller]
    pub fn fails(mut self, reason: &str) -> Self {
        let before = self.failures.len();
        self.failures.retain(|error| error.reason() != reason);
        let is_there = self.failures.len() < before;
        assert!(is_there, "none failed as {reason}: {:#?}", self.failures);
        self
    }

    /// A remark with this code was made.
    #[track_caller]
    pub fn remarks(self, code: &str) -> Self {
        let is_there = self.remarks.iter().any(|remark| remark.code == code);
        assert!(is_there, "no remark {code}: {:#?}", self.remarks);
        self
    }

    /// Some finding of the entity has this attribute.
    #[track_caller]
    pub fn attribute(self, entity: &str, name: &str, value: impl Into<serde_json::Value>) -> Self {
        let (entity, value) = (self.full(entity), value.into());
        let of_entity = self.findings.iter().filter(|f| self.name(f) == entity);
        let values =
            of_entity.filter_map(|finding| finding.attributes.open()?.read().ok()?.remove(name));
        let values: Vec<_> = values.collect();
        assert!(
            values.contains(&value),
            "{entity} {name}: {values:?}, not {value}"
        );
        self
    }

    fn name(&self, finding: &Finding) -> String {
        self.names[&finding.entity.to_string()].clone()
    }

    fn claim(&self, finding: &Finding) -> String {
        let own = self.name(finding);
        let parent = finding.parent.map(|parent| parent.entity.to_string());
        let parent = parent
            .and_then(|id| self.names.get(&id).cloned())
            .unwrap_or_default();
        let relation = finding.relation.map_or("", |relation| relation.as_str());
        match finding.direction {
            Direction::Out => format!("{parent} {relation} {own}"),
            Direction::In => format!("{own} {relation} {parent}"),
        }
    }

    fn full(&self, text: &str) -> String {
        let kind = text.split_once(':').map(|(kind, _)| kind.parse::<Kind>());
        match kind {
            Some(Ok(_)) => text.to_owned(),
            _ => format!("{}:{text}", self.default),
        }
    }
}
