//! The plan: the stream in which the one orchestrator of a scan schedules its tasks.
//!
//! **Invariant:** each commit is expected at the plan's tip, so a stale orchestrator conflicts before it can do harm.
//! **Invariant:** after `plan.finished` nothing is scheduled.

use serde::{Deserialize, Serialize};

use crate::entity::{Entity, Kind};
use crate::id::{Digest, EntityId, FindingId, ModuleName, TaskId};
use crate::sealed::Sealable;

crate::event::events! {
    Claimed = "plan.claimed" v 1,
    Scheduled = "task.scheduled" v 1,
    Revoked = "plan.revoked" v 1,
    Split = "plan.split" v 1,
    GaveUp = "plan.gave_up" v 1,
    Limited = "plan.limited" v 1,
    Finished = "plan.finished" v 1,
}

/// An orchestrator took the plan over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claimed {
    /// Host and process id, for people.
    pub holder: String,
}

/// One input of a task: an entity, and the finding that introduced it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub entity: EntityId,
    pub kind: Kind,
    pub key: Sealable<String>,
    pub finding: FindingId,
    /// The evidence to read, for a module that reads evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Digest>,
    /// False for a name outside the scope, which may be resolved and nothing else.
    pub in_scope: bool,
}

impl Input {
    /// The entity, unless its key was erased.
    pub fn entity(&self) -> Option<Entity> {
        self.key.open().map(|key| Entity::recorded(self.kind, key))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheduled {
    pub task: TaskId,
    pub module: ModuleName,
    pub module_version: u32,
    /// Empty for the module `seed`, which reads the scan's seed list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Input>,
    /// The task whose inputs these were before it was split or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<TaskId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    pub tasks: Vec<TaskId>,
    pub reason: String,
}

/// A batch whose attempts ended without a word becomes tasks of one input, scheduled in the same commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    pub task: TaskId,
    pub attempts: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaveUp {
    pub task: TaskId,
    pub attempts: u32,
}

/// A limit of the scan that cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    Depth,
    Requests,
    Time,
}

/// A limit cut for the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limited {
    pub limit: Limit,
    pub value: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    pub tasks: u64,
    /// Findings as they were reported; a claim that two tasks make counts twice.
    pub claims: u64,
    pub entities: u64,
    /// Inputs that a module could not be asked about, and tasks that failed or were given up.
    pub failures: u64,
    pub requests: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    pub totals: Totals,
}
