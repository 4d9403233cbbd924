//! What a task has reported and not yet committed; equal claims are merged, equal remarks counted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mirage_domain::event::Event;
use mirage_domain::finding::Finding;
use mirage_domain::id::{Digest, EntityId, FindingId};
use mirage_domain::task;
use mirage_log::commit::{Entry, event_bytes};

use crate::collectors::Reported;

/// A commit is written when this much waits; with one finding more it is still a legal commit.
const BYTES_FULL: usize = 160 * 1024;
/// Longest detail of a failure or remark, in bytes.
const DETAIL_BYTES_MAX: usize = 512;
/// Distinct remarks of one task; more are counted under the last one's code.
const REMARKS_MAX: usize = 256;

type RemarkKey = (&'static str, String, Option<EntityId>, String);

#[derive(Default)]
struct State {
    findings: Vec<(Finding, Timestamp)>,
    /// Where a finding stands among those that wait.
    waiting: HashMap<FindingId, usize>,
    /// Claims that were committed: id, attributes and evidence together.
    written: HashSet<Digest>,
    remarks: BTreeMap<RemarkKey, u32>,
    bytes: usize,
    since: Option<Instant>,
    total: u64,
}

pub(super) struct Buffer {
    state: Mutex<State>,
}

impl Buffer {
    /// `already`: claims that stand in the task's stream from earlier attempts.
    pub(super) fn new(already: HashSet<Digest>) -> Self {
        let total = already.len() as u64;
        Self {
            state: Mutex::new(State {
                written: already,
                total,
                ..State::default()
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    pub(super) fn take(&self, reported: Reported, at: Timestamp) {
        match reported {
            Reported::Finding(finding) => self.add(*finding, at),
            Reported::Remark(remark) => {
                self.remark(remark.code, remark.rule, Some(remark.input), remark.detail);
            }
        }
    }

    pub(super) fn add(&self, finding: Finding, at: Timestamp) {
        let mut state = self.state();
        if state.written.contains(&claim(&finding)) {
            return;
        }
        if let Some(&index) = state.waiting.get(&finding.id)
            && merge(&mut state.findings[index].0, &finding)
        {
            return;
        }
        state.since.get_or_insert_with(Instant::now);
        state.bytes += event_bytes(&task::Event::Found(finding.clone()).into());
        let index = state.findings.len();
        state.waiting.insert(finding.id, index);
        state.findings.push((finding, at));
    }

    pub(super) fn remark(
        &self,
        code: &'static str,
        rule: String,
        input: Option<EntityId>,
        detail: String,
    ) {
        let mut state = self.state();
        state.since.get_or_insert_with(Instant::now);
        let mut key = (code, short(&rule), input, short(&detail));
        if state.remarks.len() >= REMARKS_MAX && !state.remarks.contains_key(&key) {
            key = (code, "more".to_owned(), None, String::new());
        }
        *state.remarks.entry(key).or_insert(0) += 1;
    }

    pub(super) fn is_full(&self) -> bool {
        self.state().bytes >= BYTES_FULL
    }

    /// How long the oldest report has waited.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.state().since.map(|since| since.elapsed())
    }

    /// Findings of all attempts, those that wait included.
    pub(super) fn total(&self) -> u64 {
        let state = self.state();
        state.total + state.findings.len() as u64
    }

    /// Everything that waits, as events, at most about one commit's worth.
    pub(super) fn drain(&self, now: Timestamp) -> Vec<Entry> {
        let mut state = self.state();
        let (mut bytes, mut many) = (0, 0);
        for (finding, _) in &state.findings {
            if bytes >= BYTES_FULL {
                break;
            }
            bytes += event_bytes(&task::Event::Found(finding.clone()).into());
            many += 1;
        }
        let findings: Vec<(Finding, Timestamp)> = state.findings.drain(..many).collect();
        state.total += many as u64;
        state.bytes = state.bytes.saturating_sub(bytes);
        state.written.extend(
            findings
                .iter()
                .map(|(finding, _)| claim(finding))
                .collect::<Vec<_>>(),
        );
        state.waiting = (state.findings.iter().enumerate())
            .map(|(at, (f, _))| (f.id, at))
            .collect();
        let remarks = std::mem::take(&mut state.remarks);
        state.since = (!state.findings.is_empty()).then(Instant::now);
        let found = findings
            .into_iter()
            .map(|(finding, at)| (task::Event::Found(finding), at));
        let remarked = remarks
            .into_iter()
            .map(|((code, rule, input, detail), count)| {
                let (code, detail) = (code.to_owned(), detail.into());
                (
                    task::Remarked {
                        code,
                        rule,
                        input,
                        detail,
                        count,
                    }
                    .into(),
                    now,
                )
            });
        found
            .chain(remarked)
            .map(|(event, at)| Entry {
                event: Event::from(event),
                at,
            })
            .collect()
    }
}

/// What makes two claims the same: their id, attributes and evidence.
pub(super) fn claim(finding: &Finding) -> Digest {
    let attributes = serde_json::to_string(&finding.attributes).unwrap_or_default();
    let evidence: Vec<String> = finding.evidence.iter().map(Digest::to_string).collect();
    Digest::of(format!("{}\0{attributes}\0{}", finding.id, evidence.join(",")).as_bytes())
}

/// Joins a claim to one that waits, unless the two disagree about an attribute.
fn merge(waiting: &mut Finding, other: &Finding) -> bool {
    let (Some(have), Some(more)) = (waiting.attributes.open(), other.attributes.open()) else {
        return false;
    };
    let agree = more
        .iter()
        .all(|(name, value)| have.get(name).is_none_or(|own| own == value));
    if !agree || waiting.evidence.len() + other.evidence.len() > 64 {
        return false;
    }
    let mut joined = have.clone();
    joined.extend(
        more.iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    waiting.attributes = joined.into();
    waiting.confidence = waiting.confidence.max(other.confidence);
    for evidence in &other.evidence {
        if !waiting.evidence.contains(evidence) {
            waiting.evidence.push(*evidence);
        }
    }
    true
}

/// At most [`DETAIL_BYTES_MAX`] bytes of a text.
pub(super) fn short(text: &str) -> String {
    let mut end = text.len().min(DETAIL_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
