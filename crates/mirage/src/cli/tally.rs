//! A scan as its commits tell it: what is open, what is done, what was found, what it cost.
//!
//! Read from the log itself, so that a running scan shows what just happened.
//! **Invariant:** memory grows by 8 bytes an entity and by the open tasks, by nothing else.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use mirage_domain::entity::Kind;
use mirage_domain::event::Event;
use mirage_domain::finding::Finding;
use mirage_domain::id::{Position, TaskId};
use mirage_domain::plan::{self, Limited};
use mirage_domain::scan::{self, Outcome, State};
use mirage_domain::task::{self, Cost};
use mirage_log::Recorded;

/// What happened to the tasks of one module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Module {
    pub(crate) open: u64,
    pub(crate) done: u64,
    /// Tasks that failed or were given up and that no other task took over.
    pub(crate) failed: u64,
    pub(crate) inputs: u64,
    pub(crate) inputs_failed: u64,
    pub(crate) findings: u64,
}

impl Module {
    /// Whether it gave no answer: a task failed for good, or each of its inputs did.
    pub(crate) fn is_failed(&self) -> bool {
        self.failed > 0 || (self.inputs_failed > 0 && self.inputs_failed >= self.inputs)
    }
}

/// See the module's doc.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) state: State,
    pub(crate) name: String,
    pub(crate) seeds: u64,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) modules: BTreeMap<String, Module>,
    /// The module of each task that has not ended.
    pub(crate) open: HashMap<TaskId, String>,
    /// Distinct entities by kind.
    pub(crate) kinds: BTreeMap<Kind, u64>,
    pub(crate) claims: u64,
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) remarks: BTreeMap<String, u64>,
    pub(crate) limits: Vec<Limited>,
    pub(crate) cost: Cost,
    pub(crate) position: Position,
    /// Beginnings of entity ids, which are hashes under a secret key: equal ones do not occur by chance.
    entities: HashSet<u64>,
    failed: HashMap<TaskId, String>,
}

impl Tally {
    /// Takes a commit of the scan in.
    pub(crate) fn apply(&mut self, recorded: &Recorded) {
        let id = recorded.commit.stream.id.as_str();
        for (_, entry) in recorded.entries() {
            match &entry.event {
                Event::Scan(event) => self.of_scan(event, entry.at),
                Event::Plan(event) => self.of_plan(event),
                Event::Task(event) => self.of_task(id, event),
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
        self.position = recorded.position;
    }

    pub(crate) fn entities(&self) -> u64 {
        self.entities.len() as u64
    }
    pub(crate) fn tasks_done(&self) -> u64 {
        self.modules.values().map(|module| module.done).sum()
    }
    pub(crate) fn is_over(&self) -> bool {
        self.outcome.is_some()
    }
    pub(crate) fn failed_modules(&self) -> impl Iterator<Item = &str> {
        let failed = self.modules.iter().filter(|(_, module)| module.is_failed());
        failed.map(|(name, _)| name.as_str())
    }

    fn of_scan(&mut self, event: &scan::Event, at: Timestamp) {
        self.state = match event {
            scan::Event::Requested(request) => {
                self.name = request.name.open().cloned().unwrap_or_default();
                self.seeds = request.seeds.count;
                self.started_at = Some(at);
                State::Running
            }
            scan::Event::Started(_) | scan::Event::Resumed(_) => State::Running,
            scan::Event::Paused(_) => State::Paused,
            scan::Event::StopRequested(_) => State::Stopping,
            scan::Event::Finished(finished) => {
                self.outcome = Some(finished.outcome);
                self.finished_at = Some(at);
                State::Finished
            }
            scan::Event::Archived(_) | scan::Event::Unarchived(_) => self.state,
        };
    }

    fn of_plan(&mut self, event: &plan::Event) {
        match event {
            plan::Event::Scheduled(task) => self.scheduled(task),
            plan::Event::Limited(limited) => self.limits.push(limited.clone()),
            plan::Event::Revoked(revoked) => {
                for task in &revoked.tasks {
                    self.close(task);
                }
            }
            plan::Event::Claimed(_)
            | plan::Event::Split(_)
            | plan::Event::GaveUp(_)
            | plan::Event::Finished(_) => {}
        }
    }

    fn scheduled(&mut self, task: &plan::Scheduled) {
        let name = task.module.as_str();
        let inputs = task.inputs.len() as u64;
        let module = self.modules.entry(name.to_owned()).or_default();
        module.open += 1;
        match task
            .instead_of
            .as_ref()
            .map(|before| self.failed.remove(before))
        {
            // The inputs were counted with the task before.
            Some(was_failed) => module.failed -= u64::from(was_failed.is_some()),
            None => module.inputs += inputs,
        }
        self.open.insert(task.task.clone(), name.to_owned());
    }

    fn close(&mut self, task: &TaskId) -> Option<String> {
        let name = self.open.remove(task)?;
        let module = self.modules.entry(name.clone()).or_default();
        module.open = module.open.saturating_sub(1);
        Some(name)
    }

    fn of_task(&mut self, id: &str, event: &task::Event) {
        let Ok(task) = TaskId::new(id) else { return };
        match event {
            task::Event::Started(_) | task::Event::Restarted(_) => {}
            task::Event::Found(finding) => self.found(&task, finding),
            task::Event::Remarked(remark) => {
                *self.remarks.entry(remark.code.clone()).or_default() += u64::from(remark.count);
            }
            task::Event::Finished(finished) => self.finished(&task, finished),
            task::Event::Failed(failed) => {
                self.spend(&failed.cost);
                self.failed(&task, &failed.reason);
            }
            task::Event::GivenUp(given_up) => self.failed(&task, &given_up.reason),
            task::Event::Revoked(_) => drop(self.close(&task)),
        }
    }

    fn found(&mut self, task: &TaskId, finding: &Finding) {
        self.claims += 1;
        if let Some(name) = self.open.get(task)
            && let Some(module) = self.modules.get_mut(name)
        {
            module.findings += 1;
        }
        let [a, b, c, d, e, f, g, h, ..] = finding.entity.0;
        if self
            .entities
            .insert(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
        {
            *self.kinds.entry(finding.kind).or_default() += 1;
        }
    }

    fn finished(&mut self, task: &TaskId, finished: &task::Finished) {
        self.spend(&finished.cost);
        for failure in &finished.failures {
            *self.failures.entry(failure.reason.clone()).or_default() += 1;
        }
        if let Some(name) = self.close(task) {
            let module = self.modules.entry(name).or_default();
            module.done += 1;
            module.inputs_failed += finished.failures.len() as u64;
        }
    }

    fn failed(&mut self, task: &TaskId, reason: &str) {
        if let Some(name) = self.close(task) {
            *self.failures.entry(reason.to_owned()).or_default() += 1;
            self.modules.entry(name.clone()).or_default().failed += 1;
            self.failed.insert(task.clone(), name);
        }
    }

    fn spend(&mut self, cost: &Cost) {
        self.cost.requests += cost.requests;
        self.cost.bytes_received += cost.bytes_received;
        self.cost.duration_ms += cost.duration_ms;
    }
}

/// The findings of a commit, newest last, as people read them.
pub(crate) fn found(recorded: &Recorded) -> impl Iterator<Item = &Finding> {
    recorded
        .commit
        .events
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Task(task::Event::Found(finding)) => Some(finding),
            _ => None,
        })
}
