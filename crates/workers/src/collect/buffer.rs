//! What a task has reported and not yet committed; equal claims are merged, equal remarks counted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use mirage_domain::event::Event;
use mirage_domain::finding::Finding;
use mirage_domain::id::{Digest, EntityId, FindingId};
use mirage_domain::task;
use mirage_log::commit::{Entry, event_bytes};
use tokio::sync::Notify;

use crate::collectors::{Reported, Room};

/// A commit is written when this much waits. One finding more, all remarks and all failures of a batch are about as
/// much again, and together they are still a legal commit.
const BYTES_FULL: usize = 96 * 1024;
/// Longest detail of a failure or remark, in bytes of JSON.
const DETAIL_BYTES_MAX: usize = 512;
/// Distinct remarks of one task; more are counted under the last one's code.
const REMARKS_MAX: usize = 32;

type RemarkKey = (&'static str, String, Option<EntityId>, String);

#[derive(Default)]
struct State {
    findings: Vec<(Finding, Timestamp)>,
    /// Where a finding stands among those that wait.
    waiting: HashMap<FindingId, usize>,
    /// Claims that were committed: id, attributes and evidence together.
    written: HashSet<Claimed>,
    remarks: BTreeMap<RemarkKey, u32>,
    bytes: usize,
    since: Option<Instant>,
    total: u64,
}

#[derive(Default)]
pub(super) struct Buffer {
    state: Mutex<State>,
    /// Rings when a commit's worth waits.
    full: Notify,
    /// Rings when something was taken out.
    drained: Notify,
}

#[async_trait]
impl Room for Buffer {
    async fn wait(&self) {
        loop {
            let drained = self.drained.notified();
            if !self.is_full() {
                return;
            }
            drained.await;
        }
    }
}

impl Buffer {
    /// `already`: claims that stand in the task's stream from earlier attempts.
    pub(super) fn new(already: HashSet<Claimed>) -> Self {
        let total = already.len() as u64;
        Self {
            state: Mutex::new(State {
                written: already,
                total,
                ..State::default()
            }),
            ..Self::default()
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
        if let Some(&index) = state.waiting.get(&finding.id) {
            let waiting = &mut state.findings[index].0;
            let before = size(waiting);
            if merge(waiting, &finding) {
                let grown = size(waiting).saturating_sub(before);
                state.bytes += grown;
                return;
            }
        }
        state.since.get_or_insert_with(Instant::now);
        state.bytes += size(&finding);
        let index = state.findings.len();
        state.waiting.insert(finding.id, index);
        state.findings.push((finding, at));
        if state.bytes >= BYTES_FULL {
            self.full.notify_one();
        }
    }

    /// Returns when a commit's worth waits.
    pub(super) async fn full(&self) {
        self.full.notified().await;
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

    /// Whether what waits is more than one commit takes.
    pub(super) fn needs_more_than_one(&self) -> bool {
        let state = self.state();
        state
            .findings
            .iter()
            .map(|(finding, _)| size(finding))
            .sum::<usize>()
            >= BYTES_FULL
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
            bytes += size(finding);
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
        self.drained.notify_waiters();
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

/// What makes two claims the same: half of the hash of their id, attributes and evidence. A task keeps one for each
/// claim that it has committed.
pub(super) type Claimed = [u8; 16];

pub(super) fn claim(finding: &Finding) -> Claimed {
    let attributes = serde_json::to_string(&finding.attributes).unwrap_or_default();
    let evidence: Vec<String> = finding.evidence.iter().map(Digest::to_string).collect();
    let text = format!("{}\0{attributes}\0{}", finding.id, evidence.join(","));
    let hash = Digest::of(text.as_bytes());
    hash.0[..16].try_into().expect("a digest has 32 bytes")
}

/// Joins a claim to one that waits, unless the two disagree about an attribute.
fn merge(waiting: &mut Finding, other: &Finding) -> bool {
    let read = |finding: &Finding| finding.attributes.open()?.read().ok();
    let (Some(mut have), Some(more)) = (read(waiting), read(other)) else {
        return false;
    };
    let agree = more
        .iter()
        .all(|(name, value)| have.get(name).is_none_or(|own| own == value));
    if !agree || waiting.evidence.len() + other.evidence.len() > 64 {
        return false;
    }
    have.extend(more);
    waiting.attributes = have.into();
    waiting.confidence = waiting.confidence.max(other.confidence);
    for evidence in &other.evidence {
        if !waiting.evidence.contains(evidence) {
            waiting.evidence.push(*evidence);
        }
    }
    true
}

fn size(finding: &Finding) -> usize {
    event_bytes(&task::Event::Found(finding.clone()).into())
}

/// The beginning of a text that takes at most [`DETAIL_BYTES_MAX`] bytes in JSON.
pub(super) fn short(text: &str) -> String {
    let mut bytes = 0;
    let fits = |character: &char| {
        bytes += match character {
            '"' | '\\' => 2,
            control if control.is_control() => 6,
            other => other.len_utf8(),
        };
        bytes <= DETAIL_BYTES_MAX
    };
    text.chars().take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mirage_log::contract::found;

    fn finding(n: u64) -> Finding {
        match found(n).1 {
            Event::Task(task::Event::Found(finding)) => finding,
            other => panic!("{other:?}"),
        }
    }

    fn drained(buffer: &Buffer) -> Vec<usize> {
        let mut commits = Vec::new();
        loop {
            let entries = buffer.drain(Timestamp::UNIX_EPOCH);
            if entries.is_empty() {
                return commits;
            }
            commits.push(entries.len());
        }
    }

    #[test]
    fn claims_that_grow_while_they_wait_are_all_drained() {
        let buffer = Buffer::new(HashSet::new());
        for evidence in 0..40u64 {
            for n in 0..120 {
                let evidence = vec![Digest::of(&evidence.to_be_bytes())];
                buffer.add(
                    Finding {
                        evidence,
                        ..finding(n)
                    },
                    Timestamp::UNIX_EPOCH,
                );
            }
        }
        assert!(buffer.is_full() && buffer.needs_more_than_one());
        assert_eq!(drained(&buffer).iter().sum::<usize>(), 120);
        assert!(!buffer.needs_more_than_one());
    }

    #[test]
    fn the_same_claim_is_written_once_and_another_one_with_it_stays() {
        let buffer = Buffer::new(HashSet::new());
        buffer.add(finding(1), Timestamp::UNIX_EPOCH);
        buffer.add(finding(1), Timestamp::UNIX_EPOCH);
        assert_eq!(drained(&buffer), [1]);
        buffer.add(finding(1), Timestamp::UNIX_EPOCH);
        assert!(drained(&buffer).is_empty());
        let other = Finding {
            evidence: vec![Digest::of(b"other")],
            ..finding(1)
        };
        buffer.add(other, Timestamp::UNIX_EPOCH);
        assert_eq!(drained(&buffer), [1]);
    }

    #[test]
    fn a_detail_is_cut_by_what_it_takes_in_json() {
        for text in ["\u{1b}".repeat(4000), "\"".repeat(4000), "é".repeat(4000)] {
            let json = serde_json::to_string(&short(&text)).unwrap();
            assert!(
                (400..=DETAIL_BYTES_MAX + 2).contains(&json.len()),
                "{}",
                json.len()
            );
        }
    }

    #[test]
    fn remarks_are_counted_and_bounded() {
        let buffer = Buffer::new(HashSet::new());
        for n in 0..1000 {
            buffer.remark("cap-reached", format!("rule {n}"), None, String::new());
        }
        let entries = buffer.drain(Timestamp::UNIX_EPOCH);
        let count = |entry: &Entry| match &entry.event {
            Event::Task(task::Event::Remarked(remarked)) => remarked.count,
            other => panic!("{other:?}"),
        };
        assert_eq!(entries.len(), REMARKS_MAX + 1);
        assert_eq!(entries.iter().map(count).sum::<u32>(), 1000);
    }
}
