//! Wildcard zones: proven by three names that nobody can have registered, once per zone.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use hickory_proto::rr::RecordType;
use mirage_domain::id::{Digest, IdKey};

use super::CollectError;
use super::dns::addresses;
use crate::probe::Probe;

/// Names that must all be answered.
const LABELS: u8 = 3;

/// A zone that answers any name, and what it answers.
#[derive(Debug, Clone)]
pub(super) struct Wildcard {
    zone: String,
    answers: BTreeSet<String>,
    evidence: Digest,
}

impl Wildcard {
    /// The wildcard right above a name, if there is one.
    pub(super) async fn above(name: &str, probe: &dyn Probe) -> Result<Option<Self>, CollectError> {
        match name.split_once('.') {
            Some((_, zone)) if zone.contains('.') => Self::of(zone, probe).await,
            _ => Ok(None),
        }
    }

    /// The wildcard of a zone, if it has one.
    pub(super) async fn of(zone: &str, probe: &dyn Probe) -> Result<Option<Self>, CollectError> {
        let mut answers = BTreeSet::new();
        let mut evidence = None;
        for n in 0..LABELS {
            let answer = probe
                .dns(&format!("{}.{zone}", label(zone, n)), RecordType::A)
                .await?;
            let before = answers.len();
            answers.extend(addresses(&answer));
            if answers.is_empty() || (before == 0 && n > 0) {
                return Ok(None);
            }
            evidence.get_or_insert(answer.evidence);
        }
        Ok(evidence.map(|evidence| Self {
            zone: zone.to_owned(),
            answers,
            evidence,
        }))
    }

    pub(super) fn zone(&self) -> &str {
        &self.zone
    }
    /// The first of the proof's answers.
    pub(super) fn evidence(&self) -> Digest {
        self.evidence
    }
    pub(super) fn covers(&self, address: &str) -> bool {
        self.answers.contains(address)
    }
}

/// A label that is the same for one zone in one process, so that the probe's cache answers the second asker.
fn label(zone: &str, n: u8) -> String {
    static SALT: OnceLock<IdKey> = OnceLock::new();
    let salt = SALT.get_or_init(|| {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the system has random numbers");
        IdKey::new(bytes)
    });
    salt.mac(format!("{n}.{zone}").as_bytes()).to_string()[..16].to_owned()
}
