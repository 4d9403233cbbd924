//! Tasks: one module run on a small batch of inputs, in a stream that its worker writes.
//!
//! **Invariant:** the first terminal event wins; whoever meets a conflict lets go.

use serde::{Deserialize, Serialize};

use crate::finding::Finding;
use crate::id::{EntityId, FindingId};
use crate::sealed::Sealable;

crate::event::events! {
    Started = "task.started" v 1,
    /// A further attempt: the claim of the worker that makes it.
    Restarted = "task.restarted" v 1,
    Found = "task.found" v 1,
    Remarked = "task.remarked" v 1,
    Finished = "task.finished" v 1,
    Failed = "task.failed" v 1,
    Revoked = "task.revoked" v 1,
    GivenUp = "task.given_up" v 1,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Started {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restarted {
    /// From 2.
    pub attempt: u32,
    pub reason: String,
}

/// A finding, as the task's module made it.
pub type Found = Finding;

/// Something a reader must know that is no finding: a cap reached, a request refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remarked {
    /// `egress-refused`, `cap-reached`, `finding-rejected` …
    pub code: String,
    /// The rule or limit by name.
    pub rule: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<EntityId>,
    pub detail: Sealable<String>,
    /// How often; equal remarks of a task are counted, not repeated.
    pub count: u32,
}

/// What a task cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    pub requests: u64,
    pub bytes_received: u64,
    pub duration_ms: u64,
}

/// One input that the module could not be asked about to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    pub entity: EntityId,
    pub finding: FindingId,
    /// `unavailable`, `refused`, `limited`, `budget`, `malformed`, `forbidden`, `deadline`, `panicked`.
    pub reason: String,
    pub detail: Sealable<String>,
}

/// The module was run on every input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    pub cost: Cost,
    /// Findings of all attempts.
    pub findings: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
}

/// The task could not be run to its end, whatever the inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failed {
    pub attempt: u32,
    pub reason: String,
    pub detail: Sealable<String>,
    pub cost: Cost,
}

/// Ended by the plan before it ran to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    pub reason: String,
}

/// Ended by the plan because its attempts end without a word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenUp {
    pub attempts: u32,
    pub reason: String,
}

impl Event {
    /// Whether the task's stream is over with this event.
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Finished(_) | Self::Failed(_) | Self::Revoked(_) | Self::GivenUp(_) => true,
            Self::Started(_) | Self::Restarted(_) | Self::Found(_) | Self::Remarked(_) => false,
        }
    }
}
