//! The frontier: the fold of a scan's log that says which modules are due on which entities.
//!
//! Pure and deterministic. It keeps no key: what is due is named by the cursor of the finding that introduced it,
//! and the orchestrator reads the finding there.
//!
//! **Invariant:** at most 100 bytes per entity and 12 per distinct parent–entity pair, the pairs only under a depth limit.
//! **Invariant:** the set of (module, entity) that is scheduled hangs on the set of findings, not on their order.

mod decide;
mod pairs;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use jiff::Timestamp;

pub use decide::{Batch, Decision, Due};
use pairs::Pairs;

use crate::entity::Kind;
use crate::event::Event;
use crate::finding::Finding;
use crate::id::{Cursor, Digest, EntityId, FindingId, ScanId, StreamId, TaskId};
use crate::module::{Manifest, Reads};
use crate::plan::{self, Input, Limit, Totals};
use crate::relation::Relation;
use crate::scan::{self, Limits};
use crate::task;

/// Open tasks of one scan at most.
pub const OPEN_MAX: usize = 64;
/// Open tasks of one module of a scan at most, so that a slow one leaves room for the others.
pub const OPEN_PER_MODULE_MAX: usize = 16;
/// Failed inputs of one module that are kept for another try; the newest beyond it are not tried again.
const FAILED_MAX: usize = 4096;
/// Attempts that end without a word before a task of one input is given up.
pub const ATTEMPTS_MAX: u32 = 64;

/// Something due: which finding introduced it, and what is needed to choose it without looking there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Item {
    /// [`Cursor::packed`] of the finding.
    cursor: i64,
    entity: u32,
    kind: Kind,
    /// Index in the finding's evidence list, for modules that read evidence.
    part: u8,
    is_in_scope: bool,
    is_seed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    depth: u16,
    is_listed_in: bool,
    is_listed_out: bool,
}

/// One module of the scan and what it has taken of the lists so far.
struct Lane {
    manifest: &'static Manifest,
    /// Items of the list before this one are scheduled, or not for this module.
    next: usize,
    pending: usize,
    open: usize,
    /// Inputs to schedule once more: of split tasks, and failed ones that somebody wants tried again.
    again: VecDeque<Again>,
    /// Failed inputs of finished tasks, until somebody wants them tried again.
    failed: Vec<Input>,
}

#[derive(Debug, Clone)]
struct Again {
    input: Input,
    instead_of: Option<TaskId>,
}

/// A task that is scheduled and not over.
#[derive(Debug, Clone)]
pub struct OpenTask {
    pub scheduled: plan::Scheduled,
    /// The attempt that runs or ran last, from 1.
    pub attempt: u32,
    /// Claims of the plan since it was scheduled: each one means that an attempt may have ended without a word.
    pub takeovers: u32,
    lane: Option<usize>,
}

/// The fold. Feed it every commit of the scan in order; ask it what to decide.
pub struct Frontier {
    scan: ScanId,
    lanes: Vec<Lane>,
    ids: HashMap<EntityId, u32>,
    records: Vec<Record>,
    /// Entities in the order in which they became due.
    entities: Vec<Item>,
    /// (entity, evidence) in the order in which they became due.
    evidence: Vec<Item>,
    evidence_seen: HashSet<u64>,
    /// Due but for their depth; the flag tells evidence.
    too_deep: HashMap<u32, Vec<(bool, Item)>>,
    pairs: Pairs,
    /// In the order in which they were scheduled.
    open: Vec<OpenTask>,
    ordinal: u64,
    is_claimed: bool,
    is_plan_finished: bool,
    state: scan::State,
    limits: Limits,
    started_at: Option<Timestamp>,
    limited: BTreeSet<Limit>,
    /// Whether a request was refused because the scan's budget is used up.
    is_budget_spent: bool,
    totals: Totals,
}

impl Frontier {
    /// `modules` are those of the scan that this program has; the module `seed` is not among them.
    pub fn new(scan: ScanId, modules: impl IntoIterator<Item = &'static Manifest>) -> Self {
        let lane = |manifest| Lane {
            manifest,
            next: 0,
            pending: 0,
            open: 0,
            again: VecDeque::new(),
            failed: Vec::new(),
        };
        Self {
            scan,
            lanes: modules.into_iter().map(lane).collect(),
            ids: HashMap::new(),
            records: Vec::new(),
            entities: Vec::new(),
            evidence: Vec::new(),
            evidence_seen: HashSet::new(),
            too_deep: HashMap::new(),
            pairs: Pairs::default(),
            open: Vec::new(),
            ordinal: 0,
            is_claimed: false,
            is_plan_finished: false,
            state: scan::State::Absent,
            limits: Limits::default(),
            started_at: None,
            limited: BTreeSet::new(),
            is_budget_spent: false,
            totals: Totals::default(),
        }
    }

    pub fn state(&self) -> scan::State {
        self.state
    }
    pub fn is_plan_finished(&self) -> bool {
        self.is_plan_finished
    }
    /// How the scan ended or would end now.
    pub fn outcome(&self) -> scan::Outcome {
        match self.state {
            scan::State::Stopping => scan::Outcome::Stopped,
            _ if !self.limited.is_empty() => scan::Outcome::Limited,
            _ => scan::Outcome::Completed,
        }
    }
    /// The limits of the request.
    pub fn limits(&self) -> Limits {
        self.limits
    }
    pub fn totals(&self) -> Totals {
        Totals {
            entities: self.records.len() as u64,
            tasks: self.ordinal,
            ..self.totals
        }
    }
    /// Tasks that are scheduled and not over, oldest first.
    pub fn open(&self) -> impl Iterator<Item = &OpenTask> {
        self.open.iter()
    }
    /// Inputs that wait to be scheduled, over all modules.
    pub fn pending(&self) -> usize {
        self.lanes
            .iter()
            .map(|lane| lane.pending + lane.again.len())
            .sum()
    }

    /// Applies one event of the scan's streams; `at` is the event's time.
    pub fn apply(&mut self, stream: &StreamId, event: &Event, cursor: Cursor, at: Timestamp) {
        match event {
            Event::Scan(event) => self.apply_scan(event, at),
            Event::Plan(event) => self.apply_plan(event),
            Event::Task(event) => {
                if let Ok(task) = TaskId::new(stream.id.as_str()) {
                    self.apply_task(&task, event, cursor);
                }
            }
            Event::Log(_)
            | Event::Workspace(_)
            | Event::Mark(_)
            | Event::User(_)
            | Event::Identity(_)
            | Event::Team(_)
            | Event::Session(_)
            | Event::Audit(_)
            | Event::Subscription(_)
            | Event::Delivery(_) => {}
        }
    }

    fn apply_scan(&mut self, event: &scan::Event, at: Timestamp) {
        match event {
            scan::Event::Requested(request) => self.limits = request.limits,
            scan::Event::Started(_) => {
                self.state = scan::State::Running;
                self.started_at = Some(at);
            }
            scan::Event::Paused(_) => self.state = scan::State::Paused,
            scan::Event::Resumed(resumed) => {
                self.state = scan::State::Running;
                if resumed.failed {
                    self.retry_failed();
                }
            }
            scan::Event::StopRequested(_) => self.state = scan::State::Stopping,
            scan::Event::Finished(_) => self.state = scan::State::Finished,
            scan::Event::Archived(_) | scan::Event::Unarchived(_) => {}
        }
    }

    fn keep_failed(&mut self, lane: usize, inputs: Vec<Input>) {
        let failed = &mut self.lanes[lane].failed;
        let room = FAILED_MAX.saturating_sub(failed.len());
        failed.extend(inputs.into_iter().take(room));
    }

    fn retry_failed(&mut self) {
        for lane in &mut self.lanes {
            let failed = std::mem::take(&mut lane.failed);
            lane.again.extend(failed.into_iter().map(|input| Again {
                input,
                instead_of: None,
            }));
        }
    }

    fn apply_plan(&mut self, event: &plan::Event) {
        match event {
            plan::Event::Claimed(_) => {
                self.is_claimed = true;
                for task in &mut self.open {
                    task.takeovers += 1;
                }
            }
            plan::Event::Scheduled(scheduled) => self.apply_scheduled(scheduled),
            plan::Event::Revoked(revoked) => {
                for task in &revoked.tasks {
                    self.close(task);
                }
            }
            plan::Event::Split(split) => {
                // Its inputs wait to be scheduled one by one, also by an orchestrator that comes after a crash.
                if let Some((lane, inputs)) = self.close(&split.task) {
                    let instead_of = Some(split.task.clone());
                    let again = |input| Again {
                        input,
                        instead_of: instead_of.clone(),
                    };
                    self.lanes[lane].again.extend(inputs.into_iter().map(again));
                }
            }
            plan::Event::GaveUp(gave_up) => {
                self.totals.failures += 1;
                if let Some((lane, inputs)) = self.close(&gave_up.task) {
                    self.keep_failed(lane, inputs);
                }
            }
            plan::Event::Limited(limited) => {
                self.limited.insert(limited.limit);
            }
            plan::Event::Finished(_) => self.is_plan_finished = true,
        }
    }

    fn apply_scheduled(&mut self, scheduled: &plan::Scheduled) {
        self.ordinal += 1;
        let lane = self
            .lanes
            .iter()
            .position(|lane| lane.manifest.name == scheduled.module.as_str());
        if let Some(lane) = lane {
            self.lanes[lane].open += 1;
            for input in &scheduled.inputs {
                self.take(lane, input, scheduled.instead_of.is_some());
            }
        }
        self.open.push(OpenTask {
            scheduled: scheduled.clone(),
            attempt: 1,
            takeovers: 0,
            lane,
        });
    }

    /// Moves a lane past an input that was scheduled.
    fn take(&mut self, index: usize, input: &Input, is_again: bool) {
        let lane = &mut self.lanes[index];
        if let Some(at) = lane.again.iter().position(|again| {
            again.input.entity == input.entity && again.input.evidence == input.evidence
        }) {
            lane.again.remove(at);
            return;
        }
        if is_again {
            return;
        }
        let list = if lane.manifest.reads == Reads::Evidence {
            &self.evidence
        } else {
            &self.entities
        };
        let Some(&entity) = self.ids.get(&input.entity) else {
            return;
        };
        let rest = list.iter().enumerate().skip(lane.next);
        let mine = |item: &Item| {
            lane.manifest
                .takes(item.kind, item.is_in_scope, item.is_seed)
        };
        // The first one that is this module's is the one: the plan takes them in order.
        if let Some((at, item)) = rest
            .filter(|(_, item)| mine(item))
            .map(|(at, item)| (at, *item))
            .next()
            && item.entity == entity
        {
            lane.next = at + 1;
            lane.pending -= 1;
        }
    }

    fn close(&mut self, task: &TaskId) -> Option<(usize, Vec<Input>)> {
        let at = self
            .open
            .iter()
            .position(|open| open.scheduled.task == *task)?;
        let open = self.open.remove(at);
        let lane = open.lane?;
        self.lanes[lane].open -= 1;
        Some((lane, open.scheduled.inputs))
    }

    fn apply_task(&mut self, task: &TaskId, event: &task::Event, cursor: Cursor) {
        match event {
            task::Event::Started(_) | task::Event::Remarked(_) => {}
            task::Event::Restarted(restarted) => {
                let mut open = self.open.iter_mut();
                if let Some(open) = open.find(|open| open.scheduled.task == *task) {
                    open.attempt = restarted.attempt;
                }
            }
            task::Event::Found(finding) => self.apply_finding(finding, cursor),
            task::Event::Finished(finished) => {
                self.totals.failures += finished.failures.len() as u64;
                self.is_budget_spent |= finished
                    .failures
                    .iter()
                    .any(|failure| failure.reason == "budget");
                self.totals.requests += finished.cost.requests;
                if let Some((lane, mut inputs)) = self.close(task) {
                    let failed: HashSet<FindingId> = finished
                        .failures
                        .iter()
                        .map(|failure| failure.finding)
                        .collect();
                    inputs.retain(|input| failed.contains(&input.finding));
                    self.keep_failed(lane, inputs);
                }
            }
            task::Event::Failed(failed) => {
                self.totals.failures += 1;
                self.totals.requests += failed.cost.requests;
                if let Some((lane, inputs)) = self.close(task) {
                    self.keep_failed(lane, inputs);
                }
            }
            // The plan closed it already.
            task::Event::Revoked(_) | task::Event::GivenUp(_) => {}
        }
    }

    fn apply_finding(&mut self, finding: &Finding, cursor: Cursor) {
        self.totals.claims += 1;
        let parent = finding
            .parent
            .and_then(|parent| self.ids.get(&parent.entity).copied());
        let depth = match parent {
            None => 0,
            Some(parent) => self.records[parent as usize].depth.saturating_add(1),
        };
        let fresh = self.records.len() as u32;
        let entity = *self.ids.entry(finding.entity).or_insert(fresh);
        if entity == fresh {
            self.records.push(Record {
                depth,
                is_listed_in: false,
                is_listed_out: false,
            });
        } else if self.limits.depth.is_some() || parent.is_none() {
            self.lower(entity, depth);
        }
        if let Some(parent) = parent.filter(|parent| *parent != entity)
            && self.limits.depth.is_some()
        {
            self.pairs.insert(parent, entity);
        }
        self.list(finding, entity, cursor);
    }

    /// Puts what is new about the entity on the lists, or aside while it is too deep.
    fn list(&mut self, finding: &Finding, entity: u32, cursor: Cursor) {
        let is_in_scope = finding.scope.is_in;
        let item = Item {
            cursor: cursor.packed(),
            entity,
            kind: finding.kind,
            part: 0,
            is_in_scope,
            is_seed: finding.parent.is_none(),
        };
        let record = &mut self.records[entity as usize];
        let is_listed = record.is_listed_in || (record.is_listed_out && !is_in_scope);
        record.is_listed_in |= is_in_scope;
        record.is_listed_out |= !is_in_scope;
        if !is_listed {
            self.due(false, item);
        }
        let shows_entity = finding.relation.is_none_or(Relation::shows_object);
        if !is_in_scope || !shows_entity || !self.has_evidence_reader(finding.kind) {
            return;
        }
        for (part, evidence) in finding
            .evidence
            .iter()
            .enumerate()
            .take(usize::from(u8::MAX))
        {
            if self
                .evidence_seen
                .insert(fold_pair(&finding.entity, evidence))
            {
                self.due(
                    true,
                    Item {
                        part: part as u8,
                        ..item
                    },
                );
            }
        }
    }

    fn has_evidence_reader(&self, kind: Kind) -> bool {
        self.lanes.iter().any(|lane| {
            lane.manifest.reads == Reads::Evidence && lane.manifest.consumes.contains(&kind)
        })
    }

    fn due(&mut self, is_evidence: bool, item: Item) {
        let depth = u32::from(self.records[item.entity as usize].depth);
        if self.limits.depth.is_some_and(|limit| depth > limit) {
            self.too_deep
                .entry(item.entity)
                .or_default()
                .push((is_evidence, item));
            return;
        }
        let reads = if is_evidence {
            Reads::Evidence
        } else {
            Reads::Network
        };
        for lane in self
            .lanes
            .iter_mut()
            .filter(|lane| lane.manifest.reads == reads)
        {
            let takes = lane
                .manifest
                .takes(item.kind, item.is_in_scope, item.is_seed);
            lane.pending += usize::from(takes);
        }
        match reads {
            Reads::Evidence => self.evidence.push(item),
            Reads::Network => self.entities.push(item),
        }
    }

    /// A shorter chain turned up: lowers the depths below it and lists what now fits.
    fn lower(&mut self, entity: u32, depth: u16) {
        let mut stack = vec![(entity, depth)];
        while let Some((entity, depth)) = stack.pop() {
            let record = &mut self.records[entity as usize];
            if record.depth <= depth {
                continue;
            }
            record.depth = depth;
            for (is_evidence, item) in self.too_deep.remove(&entity).unwrap_or_default() {
                self.due(is_evidence, item);
            }
            // Sorted: the order in which entities become due must be the same in every fold.
            let mut below: Vec<u32> = self.pairs.below(entity).collect();
            below.sort_unstable();
            let depth = depth.saturating_add(1);
            stack.extend(below.into_iter().map(|child| (child, depth)));
        }
    }
}

/// 64 bits of (entity, evidence): both are hashes, so any of their bits will do.
/// Two pairs of a million collide with a chance of one in 37 million.
fn fold_pair(entity: &EntityId, evidence: &Digest) -> u64 {
    let word = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
    word(&entity.0[..8]) ^ word(&evidence.0[..8]).rotate_left(1)
}

#[cfg(test)]
mod tests;
