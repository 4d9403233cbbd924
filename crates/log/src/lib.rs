//! What happened: the one durable, ordered log, and the store of evidence beside it.
//!
//! An [`EventLog`] keeps commits: 1..n events of one stream, appended atomically, numbered 1, 2, 3 … without gaps.
//! Backends: [`memory`] (tests), [`sqlite`] (one file), [`jetstream`] (a cluster). Each passes the one suite in `contract.rs`.
//! To add one: its file, the trait, `contract::suite!(backend)`.
//!
//! **Invariant:** bytes are stored and hashed as they were written; only [`commit`] turns them into events.
//! **Invariant:** the log hash of position n covers every byte of every commit up to n, on every backend alike.
//! **Never:** an update or a delete of a commit.

pub mod archive;
pub mod backup;
pub mod cloud_event;
pub mod commit;
pub mod evidence;
pub mod execute;

pub mod jetstream;
pub mod keys;
pub mod memory;
pub mod queue;
pub mod seal;
pub mod sqlite;
pub mod tls;
pub mod trace;

#[cfg(any(test, feature = "testing"))]
pub mod contract;
mod error;
mod plain;
mod verify;

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use mirage_domain::id::{Digest, Position, ScanId, StreamId, Version};

pub use commit::{Commit, EncodedCommit, Recorded};
pub use error::{AppendError, Fault, OpenError, ReadError};
pub use verify::{Verified, verify};

/// Largest commit, in bytes; writers pack by bytes.
pub const COMMIT_BYTES_MAX: usize = 256 * 1024;

/// The end of a stream: where its last commit stands, the number of its last event, the hash of its last commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    pub position: Position,
    pub version: Version,
    pub hash: Digest,
}

/// The end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub position: Position,
    /// Log hash up to there.
    pub log_hash: Digest,
}

impl Head {
    pub const EMPTY: Self = Self {
        position: Position(0),
        log_hash: Digest::EMPTY,
    };
}

/// Which commits a reader wants; positions skip what is filtered out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    All,
    Scan(ScanId),
}

/// What a reader yields.
#[derive(Debug, Clone)]
pub enum Read {
    Commit(Arc<Recorded>),
    /// All that stood in the log at this position was yielded; what follows is live.
    CaughtUp(Position),
}

/// What a log is and promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    pub backend: &'static str,
    /// Whether an acknowledged commit survives a power cut.
    pub is_durable: bool,
    pub replicas: u32,
    pub server: String,
}

/// The durable, ordered log of commits.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Appends at the stream's tip, `None` for a new stream; durable on return.
    ///
    /// The same commit again (by its id) answers as the first time. Another commit at that place is a
    /// [`AppendError::Conflict`] that tells the stream's tip. Appends of several streams may be in flight at once;
    /// inside one stream they go one at a time, because each carries the hash of the one before.
    async fn append(
        &self,
        commit: EncodedCommit,
        expected: Option<Tip>,
    ) -> Result<Tip, AppendError>;

    /// Puts a commit of another log at exactly this position, or finds it there already.
    async fn copy(&self, at: Position, commit: EncodedCommit) -> Result<(), AppendError>;

    /// History after `after`, then live, in order of position. Cancel-safe; holds no transaction between pages.
    /// A commit whose bytes, hash or (unfiltered) log hash do not fit ends the stream with an error.
    fn read(&self, after: Position, filter: Filter) -> BoxStream<'_, Result<Read, ReadError>>;

    /// The commits of one stream after a position, oldest first.
    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Position,
    ) -> Result<Vec<Arc<Recorded>>, ReadError>;

    /// The next commits of a stream after its commit at `tip`, oldest first: a page of them, where the backend has pages;
    /// none at the stream's end. For streams that are longer than memory.
    async fn read_stream_page(
        &self,
        stream: &StreamId,
        tip: Option<Tip>,
    ) -> Result<Vec<Arc<Recorded>>, ReadError> {
        let after = tip.map_or(Position(0), |tip| tip.position);
        self.read_stream(stream, after).await
    }

    /// The commit at a position.
    async fn commit(&self, at: Position) -> Result<Arc<Recorded>, ReadError>;

    /// Position and log hash of the last commit.
    async fn head(&self) -> Result<Head, ReadError>;

    fn capabilities(&self) -> Capabilities;
}
