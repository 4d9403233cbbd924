//! Delivery of tasks: a queue of small messages that say which task is to be run, and no truth.
//!
//! The orchestrator publishes a [`Ticket`] after the plan's commit stands; a collector takes it as a [`Delivery`], which
//! is its own for a lease that it extends while it works. What a lost message costs is time: whoever orchestrates the
//! scan publishes open tasks again, at a takeover and when nothing is heard of them.
//! Backends: [`in_process`] (one process), [`jetstream`] (a cluster). Each passes the one suite in `contract.rs`.
//!
//! **Invariant:** a task has at most one message in a queue; publishing it again changes nothing.
//! **Invariant:** what is not finished is delivered again, without limit: attempts are counted in the task's stream.
//! **Never:** a message that grows with its task; a queue that grows without bound.

pub mod holders;
pub mod in_process;
pub mod jetstream;

#[cfg(any(test, feature = "testing"))]
pub mod contract;

use std::time::Duration;

use async_trait::async_trait;
use mirage_domain::id::{Position, ScanId, TaskId, WorkspaceId};
use serde::{Deserialize, Serialize};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// How long a delivery is its worker's own, unless it is extended.
pub const LEASE: Duration = Duration::from_secs(30);
/// Messages of one queue at most, unless its configuration says otherwise: over a hundred scans at full width.
pub const MESSAGES_MAX: usize = 8192;

/// Which task is to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    pub workspace: WorkspaceId,
    pub scan: ScanId,
    pub task: TaskId,
    /// Of the plan's commit that scheduled it.
    pub position: Position,
    /// Somebody may have run it before: its stream is read and claimed first.
    pub is_again: bool,
    /// Requests of the scan that had ended when this was published; its budget is counted from here or from what the
    /// worker knows, whichever is more.
    pub requests_spent: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was kept; try again when some messages are done.
    #[error("the queue of tasks is full")]
    Full,
    #[error("{doing} the queue of tasks")]
    Store {
        doing: &'static str,
        #[source]
        source: Cause,
    },
}

/// A queue of tasks.
#[async_trait]
pub trait TaskQueue: Send + Sync {
    /// Puts a task into the queue, unless its message is there already, waiting or in somebody's hands.
    /// Does not wait for room: [`Error::Full`] beyond the bound.
    async fn publish(&self, ticket: &Ticket) -> Result<(), Error>;

    /// Waits for the next task. Cancel-safe: what a dropped call had taken is delivered again when its lease ends.
    async fn take(&self) -> Result<Delivery, Error>;

    /// Tells this queue from one that takes its place: with another answer, what was published before is gone.
    async fn incarnation(&self) -> Result<Incarnation, Error>;

    /// Makes the queue anew, empty, if it has not delivered for long what somebody asks for; true if it has. Whoever
    /// misses tasks calls this again and again. One that cannot fall deaf never does.
    async fn revive(&self) -> Result<bool, Error> {
        Ok(false)
    }

    /// How long a delivery is its worker's own, unless it is extended.
    fn lease(&self) -> Duration;
}

/// See [`TaskQueue::incarnation`]; comparable within one queue only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incarnation(pub i128);

/// A task in one worker's hands. Dropped, it is delivered again when its lease ends.
pub struct Delivery {
    pub ticket: Ticket,
    hold: Box<dyn Hold>,
}

/// What a backend does for a delivery. On one that is no longer its worker's own, each of them changes nothing.
#[async_trait]
trait Hold: Send + Sync {
    async fn extend(&self) -> Result<(), Error>;
    async fn finish(&self) -> Result<(), Error>;
    async fn hand_back(&self, delay: Duration) -> Result<(), Error>;
}

impl Delivery {
    /// Starts the lease anew.
    pub async fn extend(&self) -> Result<(), Error> {
        self.hold.extend().await
    }

    /// The task is over: it does not come again. Answers once the queue knows.
    pub async fn finish(self) -> Result<(), Error> {
        self.hold.finish().await
    }

    /// Gives the task to somebody else, not before `delay`.
    pub async fn hand_back(self, delay: Duration) -> Result<(), Error> {
        self.hold.hand_back(delay).await
    }
}
