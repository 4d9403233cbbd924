//! The evidence store: exchanges as the client saw them, each once under its SHA-256.
//!
//! Backends: [`Files`] (a folder), [`S3`] (a bucket). Each passes the one suite in `contract.rs`; [`copy()`] goes from any
//! to any.
//!
//! **Invariant:** evidence is durable before the commit that cites it: put, then [`EvidenceStore::flush`], then append.
//! **Never:** a change of what is stored.

mod cited;
mod copy;
mod files;
mod inventory;
pub mod s3;
mod write;

#[cfg(any(test, feature = "testing"))]
pub mod contract;

use async_trait::async_trait;
use futures::stream::BoxStream;
use mirage_domain::id::{Digest, WorkspaceId};

/// Largest item, in bytes; what a probe brings home is capped far below.
pub const ITEM_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Largest file that is kept whole as one item, in bytes: it is copied and read in pieces.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// An item that is read in pieces, and again from its start.
pub trait Stored: std::io::Read + std::io::Seek + Send {}
impl<T: std::io::Read + std::io::Seek + Send> Stored for T {}

pub use cited::{Bad, Cited, CitedError, check_cited, missing};
pub use copy::{Copied, Copyable, Copying, Item, copy};
pub use files::Files;
pub(crate) use files::sync_wal;
pub use s3::S3;

type Cause = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("evidence of {bytes} bytes is larger than {max}")]
    TooLarge { bytes: usize, max: usize },
    #[error("a file of {bytes} bytes is larger than {max}")]
    FileTooLarge { bytes: u64, max: u64 },
    #[error("this store keeps no whole files")]
    NoFiles,
    #[error("the disk is full; free some space, nothing was lost")]
    Full(#[source] Cause),
    #[error("another process is writing evidence; nothing was lost")]
    Busy(#[source] Cause),
    #[error(
        "the evidence store does not answer at `evidence.endpoint`; nothing that it acknowledged is lost"
    )]
    Unreachable(#[source] Cause),
    #[error("there is no TLS with the evidence store: {fix}")]
    Tls {
        fix: String,
        #[source]
        source: Cause,
    },
    #[error("the evidence store refuses: {why}")]
    Denied {
        /// The store's own word, and what to do about it where that is known.
        why: String,
        #[source]
        source: Cause,
    },
    #[error("storing evidence")]
    Put(#[source] Cause),
    #[error("the evidence store is closed after a failed write; restart to go on")]
    Closed,
    #[error("opening the evidence store")]
    Open(#[source] Cause),
    #[error("reading evidence {digest}")]
    Get {
        digest: Digest,
        #[source]
        source: Cause,
    },
    #[error("evidence {digest} is damaged: its bytes have the hash {found}")]
    Damaged { digest: Digest, found: Digest },
}

impl Error {
    /// Whether the same call may succeed later without a change.
    pub fn may_retry(&self) -> bool {
        matches!(
            self,
            Self::Full(_) | Self::Busy(_) | Self::Unreachable(_) | Self::Tls { .. }
        )
    }
    /// Whether it is about this one item, and not about the store: other items are stored and read as ever.
    pub fn is_of_the_item(&self) -> bool {
        matches!(
            self,
            Self::TooLarge { .. }
                | Self::FileTooLarge { .. }
                | Self::NoFiles
                | Self::Get { .. }
                | Self::Damaged { .. }
        )
    }

    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } | Self::FileTooLarge { .. } => "evidence_too_large",
            Self::Full(_) => "disk_full",
            Self::Busy(_) => "log_busy",
            Self::Put(_) | Self::Closed | Self::NoFiles => "evidence_write_failed",
            Self::Open(_)
            | Self::Get { .. }
            | Self::Unreachable(_)
            | Self::Tls { .. }
            | Self::Denied { .. } => "evidence_unreadable",
            Self::Damaged { .. } => "evidence_damaged",
        }
    }
}

/// Where evidence is kept, per workspace.
#[async_trait]
pub trait EvidenceStore: Send + Sync {
    /// Takes bytes in and answers their SHA-256 at once; waits only while the queue is full.
    /// They are durable after the next [`flush`](Self::flush).
    async fn put(&self, workspace: &WorkspaceId, bytes: Vec<u8>) -> Result<Digest, Error>;

    /// Returns once everything that was put before is on disk.
    async fn flush(&self) -> Result<(), Error>;

    /// The bytes as they were put, verified against the digest; `None` if nothing was put under it.
    async fn get(&self, workspace: &WorkspaceId, digest: Digest) -> Result<Option<Vec<u8>>, Error>;

    /// The digests of everything that was kept for a workspace when each page was read, in no order.
    fn list<'a>(&'a self, workspace: &'a WorkspaceId) -> BoxStream<'a, Result<Digest, Error>>;

    /// Copies a file in as one item, in pieces, from its start; durable on return. It must have this SHA-256:
    /// [`Error::Damaged`] says that it changed meanwhile, and then nothing is kept.
    async fn put_file(
        &self,
        _workspace: &WorkspaceId,
        _file: std::fs::File,
        _digest: Digest,
    ) -> Result<(), Error> {
        Err(Error::NoFiles)
    }

    /// An item for reading in pieces, verified against the digest before; `None` if nothing was put under it.
    async fn open(
        &self,
        workspace: &WorkspaceId,
        digest: Digest,
    ) -> Result<Option<Box<dyn Stored>>, Error> {
        let bytes = self.get(workspace, digest).await?;
        Ok(bytes.map(|bytes| Box::new(std::io::Cursor::new(bytes)) as Box<dyn Stored>))
    }
}
