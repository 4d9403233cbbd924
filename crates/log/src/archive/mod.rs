//! The archive of a log: its commits as text, one commit's exact bytes a line.
//!
//! First line: `{"archive":{"format":1,"log_id":…,"after":N,"log_hash":…,"keys":{WORKSPACE:FINGERPRINT}}}`, the log hash at N.
//! Then the commits after N. After each position that [`BLOCK_COMMITS`] divides, and after the last one, stands
//! `{"mark":{"header":…,"position":P,"log_hash":…,"commits":[SHA-256,…]}}` over the commits since the mark before.
//! Last line: `{"end":{"header":…,"position":P,"log_hash":…}}`; without it the archive was cut short. `header` is the
//! SHA-256 of the first line, without its end.
//!
//! **Invariant:** the reader yields no commit before the mark after it has proven header, bytes, position and log hash.
//! **Invariant:** an archive is a function of log, keys and range: one that went on after a cut has the same bytes.

mod excerpt;
mod read;
mod write;

use std::collections::BTreeMap;
use std::path::Path;

use mirage_domain::event::Event;
use mirage_domain::id::{Digest, Position, WorkspaceId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use excerpt::{ImportError, Scans, append, export_scan, look};
pub use read::{Archived, Reader, Whole, resumable};
pub use write::{Writer, export};

use crate::commit::DecodeError;
use crate::{COMMIT_BYTES_MAX, EventLog, Head, OpenError, ReadError, keys};

/// The format that this program writes and reads.
pub const FORMAT: u32 = 1;
/// Commits between two marks at most: what a reader holds back until they are proven.
pub const BLOCK_COMMITS: u64 = 64;
/// Longest line, its end included: a commit is the largest that may stand in one.
const LINE_BYTES_MAX: usize = COMMIT_BYTES_MAX + 1;

/// What an archive says of itself before its first commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub format: u32,
    /// Of `log.created`; none for a log that has not begun.
    pub log_id: Option<Uuid>,
    /// The position before the first commit.
    pub after: Position,
    /// Log hash at `after`.
    pub log_hash: Digest,
    /// Fingerprints of the id keys, as the log knows them, of the workspaces that have a key where it was written.
    pub keys: BTreeMap<String, Digest>,
}

impl Header {
    /// The header of an archive of `log` that begins after a position; `folder` is where the keys lie.
    pub async fn of(log: &dyn EventLog, folder: &Path, after: Position) -> Result<Self, Error> {
        let log_hash = match after {
            Position(0) => Digest::EMPTY,
            after => log.commit(after).await?.log_hash,
        };
        let mut fingerprints = BTreeMap::new();
        for workspace in keys::held(folder) {
            let fingerprint = keys::fingerprint(log, &workspace).await?;
            fingerprints
                .extend(fingerprint.map(|fingerprint| (workspace.to_string(), fingerprint)));
        }
        Ok(Self {
            format: FORMAT,
            log_id: log_id(log).await?,
            after,
            log_hash,
            keys: fingerprints,
        })
    }

    /// The fingerprint of a workspace's id key.
    pub fn key(&self, workspace: &WorkspaceId) -> Option<Digest> {
        self.keys.get(workspace.as_str()).copied()
    }
}

/// The id of a log; none for one that has not begun.
pub async fn log_id(log: &dyn EventLog) -> Result<Option<Uuid>, ReadError> {
    let first = match log.commit(Position(1)).await {
        Ok(first) => first,
        Err(ReadError::Absent(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(first
        .commit
        .events
        .iter()
        .find_map(|entry| match &entry.event {
            Event::Log(mirage_domain::log::Event::Created(created)) => Some(created.log_id),
            _ => None,
        }))
}

/// What proves the commits since the mark before.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    /// SHA-256 of the first line.
    header: Digest,
    position: Position,
    log_hash: Digest,
    commits: Vec<Digest>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    header: Digest,
    position: Position,
    log_hash: Digest,
}

impl End {
    fn head(&self) -> Head {
        Head {
            position: self.position,
            log_hash: self.log_hash,
        }
    }
}

/// A line that is no commit.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Archive(Header),
    Mark(Mark),
    End(End),
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("this is no archive of a log")]
    Foreign,
    #[error("the archive has format {0}, which this program does not know; upgrade this node")]
    Newer(u32),
    #[error("the archive was cut short after position {after}")]
    Cut { after: Position },
    #[error("line {line} (position {at}): {what}")]
    Damaged {
        /// From 1.
        line: u64,
        /// Of the commit that stands or should stand there.
        at: Position,
        what: &'static str,
    },
    #[error("line {line} (position {at}): the commit cannot be read")]
    Decode {
        line: u64,
        at: Position,
        #[source]
        source: DecodeError,
    },
    #[error("reading the archive")]
    Read(#[source] std::io::Error),
    #[error("writing the archive")]
    Write(#[source] std::io::Error),
    #[error(transparent)]
    Log(#[from] ReadError),
    #[error(transparent)]
    Key(#[from] OpenError),
}

impl Error {
    /// Whether the same call may succeed later without a change.
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Log(error) => error.may_retry(),
            _ => false,
        }
    }
    pub fn code(&self) -> &'static str {
        match self {
            Self::Foreign => "archive_foreign",
            Self::Newer(_) => "archive_newer",
            Self::Decode { source, .. } if source.is_newer() => "archive_newer",
            Self::Cut { .. } => "archive_cut",
            Self::Damaged { .. } | Self::Decode { .. } => "archive_damaged",
            Self::Read(_) => "input_unreadable",
            Self::Write(_) => "output_failed",
            Self::Log(error) => error.code(),
            Self::Key(_) => "id_key_missing",
        }
    }
}

#[cfg(test)]
mod tests;
