//! Made-up logs: scans, plans, tasks, findings, restarts and failures; one seed, one log.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mirage_domain::event::Event;
use mirage_domain::id::{Digest, Position, StreamId};
use mirage_domain::{log, workspace};
use mirage_log::commit::{Context, decode, encode};
use mirage_log::contract::{commit_of, noon};
use mirage_log::{EncodedCommit, EventLog, Recorded, Tip};

use super::made_scan::{MadeScan, id_key, workspace};

/// A log in the making; positions, versions and hashes follow from what is appended.
#[derive(Default)]
pub struct History {
    commits: Vec<Arc<Recorded>>,
    tips: HashMap<StreamId, Tip>,
    /// Of the next commit, after noon.
    pub clock_ms: i64,
}

impl History {
    /// Appends a commit and answers its position.
    pub fn append(
        &mut self,
        stream: &StreamId,
        context: Option<Context>,
        events: Vec<Event>,
    ) -> Position {
        let mut commit = commit_of(stream.clone(), self.tips.get(stream).copied(), events);
        commit.recorded_at = self.now();
        commit.context = context;
        for entry in &mut commit.events {
            entry.at = commit.recorded_at;
        }
        let encoded = encode(&commit).expect("a made-up commit is small");
        let (before, position) = match self.commits.last() {
            Some(last) => (last.log_hash, Position(last.position.0 + 1)),
            None => (Digest::EMPTY, Position(1)),
        };
        let recorded = Recorded {
            position,
            hash: encoded.hash,
            log_hash: Digest::chain(before, position, encoded.hash),
            commit: decode(&encoded.bytes).expect("an encoded commit decodes"),
            bytes: encoded.bytes,
        };
        self.tips.insert(stream.clone(), recorded.tip());
        self.commits.push(Arc::new(recorded));
        position
    }

    fn now(&self) -> Timestamp {
        noon() + SignedDuration::from_millis(self.clock_ms)
    }

    pub fn commits(&self) -> &[Arc<Recorded>] {
        &self.commits
    }

    /// Appends to a log what it does not hold yet, up to a position.
    pub async fn copy_into(&self, log: &dyn EventLog, until: Position) {
        let head = log.head().await.expect("a log that can be read").position;
        for recorded in &self.commits[head.0 as usize..until.0 as usize] {
            let encoded = EncodedCommit::parse(&recorded.bytes).expect("a commit");
            log.copy(recorded.position, encoded)
                .await
                .expect("the next commit");
        }
    }

    pub fn end(&self) -> Position {
        Position(self.commits.len() as u64)
    }
}

/// A small generator of numbers: splitmix64.
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// A log of `scans` scans in two workspaces, about `steps` commits long; the clock jumps and sometimes steps back.
pub fn made_up(seed: u64, scans: usize, steps: usize) -> History {
    let (mut history, mut dice) = (History::default(), Dice(seed));
    let created = log::Created {
        log_id: uuid::Uuid::nil(),
    };
    history.append(
        &StreamId::log(),
        None,
        vec![log::Event::from(created).into()],
    );
    for n in 0..2 {
        let created = workspace::Created {
            name: workspace(n).to_string().into(),
            fingerprint: id_key(&workspace(n)).fingerprint(),
        };
        let stream = StreamId::workspace(&workspace(n));
        history.append(&stream, None, vec![workspace::Event::from(created).into()]);
    }
    let mut running: Vec<MadeScan> = Vec::new();
    let mut begun = 0;
    for _ in 0..steps {
        history.clock_ms += dice.below(900) as i64 - 60;
        if begun < scans && (running.is_empty() || dice.below(10) == 0) {
            // Few seeds, so that scans of the same ones come up.
            let seeds: Vec<usize> = (0..1 + dice.below(2)).collect();
            running.push(MadeScan::start(&mut history, begun, &seeds));
            begun += 1;
        } else if !running.is_empty() {
            let at = dice.below(running.len());
            match dice.below(60) {
                0 => {
                    running[at].finish(&mut history);
                    running.remove(at);
                }
                _ => running[at].step(&mut history, &mut dice),
            }
        }
    }
    history
}
