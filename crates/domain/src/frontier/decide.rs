//! What the frontier decides: what to schedule, split, give up or revoke, what cuts, the end.

use jiff::Timestamp;

use super::{ATTEMPTS_MAX, Again, Frontier, Item, Lane, OPEN_MAX, OPEN_PER_MODULE_MAX};
use crate::id::{Cursor, TaskId};
use crate::module::{Manifest, Reads};
use crate::plan::{Input, Limit, Totals};
use crate::scan::State;

/// One input that is due: the finding that introduced it stands at `cursor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    pub cursor: Cursor,
    /// Index in the finding's evidence list, for modules that read evidence.
    pub evidence: Option<usize>,
    pub is_in_scope: bool,
}

/// A task to schedule.
#[derive(Debug, Clone)]
pub struct Batch {
    pub task: TaskId,
    pub manifest: &'static Manifest,
    pub due: Vec<Due>,
    /// Inputs that were scheduled before; then `due` is empty.
    pub again: Vec<Input>,
    pub instead_of: Option<TaskId>,
}

/// What an orchestrator writes into the plan next.
#[derive(Debug, Clone)]
pub enum Decision {
    /// The task of the module `seed`.
    Seed(TaskId),
    Schedule(Batch),
    /// Attempts of a batch end without a word: tasks of one input take its place.
    Split {
        task: TaskId,
        attempts: u32,
        into: Vec<Batch>,
    },
    GiveUp {
        task: TaskId,
        attempts: u32,
    },
    Revoke {
        tasks: Vec<TaskId>,
        reason: &'static str,
    },
    Limit {
        limit: Limit,
        value: u64,
    },
    Finish(Totals),
}

impl Frontier {
    /// What is to be decided now; empty while there is nothing to do but wait.
    pub fn decide(&self, now: Timestamp) -> Vec<Decision> {
        if !self.is_claimed || self.is_plan_finished {
            return Vec::new();
        }
        if let Some(decided) = self.end_early(now) {
            return decided;
        }
        if self.state != State::Running {
            return Vec::new();
        }
        if self.ordinal == 0 {
            return vec![Decision::Seed(TaskId::derive(&self.scan, 1))];
        }
        if let Some(value) = self.limits.requests {
            let is_cut = self.totals.requests >= value && self.pending() > 0;
            if is_cut || self.is_budget_spent {
                return self.cut(Limit::Requests, value);
            }
        }
        let mut decided = self.schedule();
        if decided.is_empty() && self.open.is_empty() {
            decided.extend(self.depth_cut());
            decided.push(Decision::Finish(self.totals()));
        }
        decided
    }

    /// When the time limit cuts, if there is one: the orchestrator wakes then.
    pub fn deadline(&self) -> Option<Timestamp> {
        let limit = i64::try_from(self.limits.time_s?).ok()?;
        self.started_at?
            .checked_add(jiff::SignedDuration::from_secs(limit))
            .ok()
    }

    fn end_early(&self, now: Timestamp) -> Option<Vec<Decision>> {
        let is_late = self.deadline().is_some_and(|deadline| now >= deadline);
        let reason = match self.state {
            State::Stopping => "stopped",
            State::Running | State::Paused if is_late => "time",
            _ => return None,
        };
        let mut decided = Vec::new();
        if reason == "time" && !self.limited.contains(&Limit::Time) {
            decided.push(Decision::Limit {
                limit: Limit::Time,
                value: self.limits.time_s.unwrap_or(0),
            });
        }
        let tasks: Vec<TaskId> = self
            .open()
            .map(|open| open.scheduled.task.clone())
            .collect();
        match tasks.is_empty() {
            true => decided.push(Decision::Finish(self.totals())),
            false => decided.push(Decision::Revoke { tasks, reason }),
        }
        Some(decided)
    }

    /// A limit that stops scheduling: said once, and the end once nothing is open.
    fn cut(&self, limit: Limit, value: u64) -> Vec<Decision> {
        let mut decided = Vec::new();
        if !self.limited.contains(&limit) {
            decided.push(Decision::Limit { limit, value });
        }
        if self.open.is_empty() {
            decided.push(Decision::Finish(self.totals()));
        }
        decided
    }

    fn depth_cut(&self) -> Option<Decision> {
        let value = u64::from(self.limits.depth?);
        let is_news = !self.too_deep.is_empty() && !self.limited.contains(&Limit::Depth);
        is_news.then_some(Decision::Limit {
            limit: Limit::Depth,
            value,
        })
    }

    /// Batches for the free slots, module by module in turn.
    fn schedule(&self) -> Vec<Decision> {
        let mut choice = Choice {
            frontier: self,
            ordinal: self.ordinal,
            decided: Vec::new(),
        };
        let mut free = OPEN_MAX.saturating_sub(self.open.len());
        let mut cursors: Vec<LaneCursor> = self.lanes.iter().map(LaneCursor::new).collect();
        let turn = self.ordinal as usize;
        let mut went = true;
        while free > 0 && went {
            went = false;
            for step in 0..cursors.len() {
                let index = (turn + step) % cursors.len();
                if free > 0 && choice.next(&self.lanes[index], &mut cursors[index]) {
                    free -= 1;
                    went = true;
                }
            }
        }
        choice.decided
    }

    /// What to do with open tasks of a plan that was just taken over: the others are to be delivered again.
    pub fn recover(&self) -> Vec<Decision> {
        let mut decided = Vec::new();
        let mut ordinal = self.ordinal;
        for open in self.open() {
            let (task, attempts) = (open.scheduled.task.clone(), open.attempt);
            let is_batch = open.scheduled.inputs.len() > 1;
            if !is_batch && attempts >= ATTEMPTS_MAX {
                decided.push(Decision::GiveUp { task, attempts });
                continue;
            }
            let Some(lane) = open.lane.filter(|_| is_batch && attempts >= 2) else {
                continue;
            };
            let manifest = self.lanes[lane].manifest;
            let single = |input: &Input| {
                ordinal += 1;
                let id = TaskId::derive(&self.scan, ordinal);
                let instead_of = Some(task.clone());
                Batch {
                    task: id,
                    manifest,
                    due: Vec::new(),
                    again: vec![input.clone()],
                    instead_of,
                }
            };
            let into = open.scheduled.inputs.iter().map(single).collect();
            decided.push(Decision::Split {
                task,
                attempts,
                into,
            });
        }
        decided
    }
}

/// How far a lane has got within one decision.
struct LaneCursor {
    next: usize,
    again: usize,
    pending: usize,
    open: usize,
    batch: usize,
}

impl LaneCursor {
    fn new(lane: &Lane) -> Self {
        let (next, pending, open) = (lane.next, lane.pending, lane.open);
        // Small batches while there is little to do, so that first findings come at once.
        let batch = pending.div_ceil(4).clamp(1, lane.manifest.batch_max);
        Self {
            next,
            again: 0,
            pending,
            open,
            batch,
        }
    }
}

struct Choice<'a> {
    frontier: &'a Frontier,
    ordinal: u64,
    decided: Vec<Decision>,
}

impl Choice<'_> {
    /// Adds the lane's next batch; false if it has none or is full.
    fn next(&mut self, lane: &Lane, cursor: &mut LaneCursor) -> bool {
        if cursor.open >= OPEN_PER_MODULE_MAX {
            return false;
        }
        let (due, again, instead_of) = match lane.again.get(cursor.again) {
            Some(Again { input, instead_of }) => {
                cursor.again += 1;
                (Vec::new(), vec![input.clone()], instead_of.clone())
            }
            None => (self.due(lane, cursor), Vec::new(), None),
        };
        if due.is_empty() && again.is_empty() {
            return false;
        }
        cursor.open += 1;
        self.ordinal += 1;
        let task = TaskId::derive(&self.frontier.scan, self.ordinal);
        let batch = Batch {
            task,
            manifest: lane.manifest,
            due,
            again,
            instead_of,
        };
        self.decided.push(Decision::Schedule(batch));
        true
    }

    fn due(&self, lane: &Lane, cursor: &mut LaneCursor) -> Vec<Due> {
        let reads_evidence = lane.manifest.reads == Reads::Evidence;
        let list = if reads_evidence {
            &self.frontier.evidence
        } else {
            &self.frontier.entities
        };
        let mut due = Vec::with_capacity(cursor.batch.min(cursor.pending));
        while due.len() < cursor.batch && cursor.pending > 0 {
            let Some(item) = list.get(cursor.next) else {
                break;
            };
            cursor.next += 1;
            if lane
                .manifest
                .takes(item.kind, item.is_in_scope, item.is_seed)
            {
                cursor.pending -= 1;
                due.push(as_due(item, reads_evidence));
            }
        }
        due
    }
}

fn as_due(item: &Item, reads_evidence: bool) -> Due {
    Due {
        cursor: Cursor::unpacked(item.cursor),
        evidence: reads_evidence.then_some(usize::from(item.part)),
        is_in_scope: item.is_in_scope,
    }
}
