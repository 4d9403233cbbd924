//! Wildcard zones: proven by three names that nobody can have registered, once per zone.

use std::collections::BTreeSet;

use hickory_proto::rr::RecordType;
use mirage_domain::id::Digest;

use crate::collectors::dns::{addresses, aliases};
use crate::collectors::{CollectError, Found};
use crate::probe::Probe;

/// Names that must all be answered.
const LABELS: u8 = 3;

/// A zone that answers any name, and what it answers.
#[derive(Debug, Clone)]
pub(in crate::collectors) struct Wildcard {
    zone: String,
    answers: BTreeSet<String>,
    evidence: Digest,
}

impl Wildcard {
    /// The wildcard right above a name, if there is one.
    pub(in crate::collectors) async fn above(
        name: &str,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<Option<Self>, CollectError> {
        match name.split_once('.') {
            Some((_, zone)) if zone.contains('.') => Self::of(zone, probe, found).await,
            _ => Ok(None),
        }
    }

    /// The wildcard of a zone, if it has one.
    pub(in crate::collectors) async fn of(
        zone: &str,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<Option<Self>, CollectError> {
        let mut answers = BTreeSet::new();
        let mut evidence = None;
        for n in 0..LABELS {
            let name = format!("{}.{zone}", label(|text| found.keyed(text), zone, n));
            let (four, six) = futures::join!(
                probe.dns(&name, RecordType::A),
                probe.dns(&name, RecordType::AAAA)
            );
            let (four, six) = (four?, six?);
            let own = [&four, &six].map(|answer| addresses(answer).chain(aliases(answer)));
            let own: BTreeSet<String> = own.into_iter().flatten().collect();
            if own.is_empty() {
                return Ok(None);
            }
            answers.extend(own);
            let shows = if four.answers.is_empty() { six } else { four };
            evidence.get_or_insert(shows.evidence);
        }
        Ok(evidence.map(|evidence| Self {
            zone: zone.to_owned(),
            answers,
            evidence,
        }))
    }

    pub(in crate::collectors) fn zone(&self) -> &str {
        &self.zone
    }
    /// The first of the proof's answers.
    pub(in crate::collectors) fn evidence(&self) -> Digest {
        self.evidence
    }
    /// Whether the wildcard gives this address, or leads to this name.
    pub(in crate::collectors) fn covers(&self, answer: &str) -> bool {
        self.answers.contains(answer)
    }
}

/// A label that is the same for one zone in one workspace, and that nobody outside can foresee: the probe's cache
/// answers the second asker, and stored answers a replay.
fn label(keyed: impl Fn(&str) -> String, zone: &str, n: u8) -> String {
    keyed(&format!("{n}.{zone}"))[..16].to_owned()
}

#[cfg(test)]
impl crate::collectors::testing::Tape {
    /// What names answer that nobody has registered in the zone: the records, or that they do not exist.
    pub(in crate::collectors) fn unregistered(
        self,
        zone: &str,
        four: &[&str],
        six: &[&str],
    ) -> Self {
        (0..LABELS).fold(self, |tape, n| {
            let name = format!(
                "{}.{zone}",
                label(crate::collectors::testing::keyed, zone, n)
            );
            match (four, six) {
                ([], []) => tape.nxdomain(&name, "A").nxdomain(&name, "AAAA"),
                _ => tape.dns(&name, "A", four).dns(&name, "AAAA", six),
            }
        })
    }
}
