//! Carrying a data directory into another one: backup, restore, a log replayed afresh.
//!
//! What matters is carried, in this order: evidence, keys, log; so the evidence that a commit cites is there before it.
//! The target is a data directory itself. Each part goes on where it stopped: what is there already is not written again.
//!
//! **Invariant:** a backup is whole once its marker names a position; each later run may only move it forward.
//! **Never:** a commit written over another log's, or a key over another key.

mod archived;
mod commits;
mod marker;
mod promote;
mod restore;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mirage_domain::id::{Digest, Position, WorkspaceId};

pub use archived::restore_archive;
pub use marker::Marker;
pub use promote::{Servers, promote};
pub use restore::{Restored, restore};

use crate::archive::{self, log_id};
use crate::evidence::{self, CitedError, Copied, Copyable, Copying, Files};
use crate::sqlite::{self, Sqlite};
use crate::{AppendError, EventLog, OpenError, ReadError, keys};
use commits::{carry_commits, must_agree};

/// What lies where in a data directory, or in a backup of one.
#[derive(Debug, Clone)]
pub struct Folders {
    /// Where `log.db` and `head` lie.
    pub data: PathBuf,
    pub evidence: PathBuf,
    pub keys: PathBuf,
    /// Disposable.
    pub views: PathBuf,
}

/// What is carried: a log that others may write to meanwhile, and what lies beside it.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub log: &'a dyn EventLog,
    /// None where nothing was ever stored.
    pub evidence: Option<&'a dyn Copyable>,
    /// The folder of id keys.
    pub keys: &'a Path,
    /// Its key is missed if it is not there; those of the others are taken as they are found.
    pub workspace: &'a WorkspaceId,
}

/// What was carried.
#[derive(Debug, Clone, Default)]
pub struct Carried {
    /// Commits that were written now.
    pub commits: u64,
    pub evidence: Copied,
    /// Keys that were written now.
    pub keys: u64,
    /// Evidence that the log cites and the source does not have, nor had the target.
    pub missing: Vec<Digest>,
    /// Workspaces whose key the source does not have.
    pub keyless: Vec<WorkspaceId>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path} holds another log: the two differ at position {at} or before")]
    Other { path: PathBuf, at: Position },
    #[error("{path} holds more than this log: it ends at {there}, the log at {here}")]
    Ahead {
        path: PathBuf,
        there: Position,
        here: Position,
    },
    #[error("the archive {path} begins after position {after}")]
    Partial { path: PathBuf, after: Position },
    #[error("{0} is not empty, and is no data directory")]
    Foreign(PathBuf),
    #[error("{0} is no whole backup")]
    Unfinished(PathBuf),
    #[error("the backup {path} is damaged: {what}")]
    Damaged { path: PathBuf, what: String },
    #[error("the log in {path} is damaged")]
    Target {
        path: PathBuf,
        #[source]
        source: ReadError,
    },
    #[error("{path}")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Archive(#[from] archive::Error),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Evidence(#[from] evidence::Error),
}

impl Error {
    /// Whether the same call may succeed later without a change.
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Read(error) => error.may_retry(),
            Self::Append(error) => error.may_retry(),
            Self::Evidence(error) => error.may_retry(),
            _ => false,
        }
    }
    /// The public code, of those errors that are not another one's.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Other { .. } | Self::Partial { .. } => "other_log",
            Self::Ahead { .. } => "backup_ahead",
            Self::Foreign(_) => "folder_foreign",
            Self::Unfinished(_) => "backup_unfinished",
            Self::Damaged { .. } => "backup_damaged",
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                "disk_full"
            }
            Self::File { .. } => "output_failed",
            Self::Target { source, .. } => source.code(),
            Self::Read(error) => error.code(),
            Self::Append(error) => error.code(),
            Self::Evidence(error) => error.code(),
            Self::Archive(error) => error.code(),
            Self::Open(_) => "log_unopenable",
        }
    }
}

impl Folders {
    /// The store of evidence, if there is one: opening it would make it.
    pub fn stored(&self) -> Result<Option<Files>, evidence::Error> {
        let is_any = self.evidence.exists();
        is_any.then(|| Files::open(&self.evidence)).transpose()
    }

    fn file(path: &Path) -> impl Fn(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::File {
            path: path.clone(),
            source,
        }
    }

    /// Makes the directory, or finds one that is empty or was begun.
    fn make(&self) -> Result<(), Error> {
        let fail = Self::file(&self.data);
        std::fs::create_dir_all(&self.data).map_err(&fail)?;
        let mut entries = std::fs::read_dir(&self.data).map_err(&fail)?;
        let marker = marker::path(&self.data);
        let signs = [
            &sqlite::path(&self.data),
            &self.evidence,
            &self.keys,
            &marker,
        ];
        match entries.next().is_none() || signs.iter().any(|sign| sign.exists()) {
            true => Ok(()),
            false => Err(Error::Foreign(self.data.clone())),
        }
    }
}

/// Brings a backup of a data directory, or a fresh one, up to where the log ends now.
pub async fn back_up(
    from: Source<'_>,
    to: &Folders,
    how: Copying,
) -> Result<(Carried, Marker), Error> {
    let head = from.log.head().await?;
    let carried = carry(from, to, head.position, how).await?;
    let marker = Marker {
        format: marker::FORMAT,
        log_id: log_id(from.log).await?,
        position: head.position,
        log_hash: head.log_hash,
        evidence: carried.evidence.items + carried.evidence.there,
    };
    marker.write(&to.data).map_err(Folders::file(&to.data))?;
    Ok((carried, marker))
}

/// Carries a data directory into an empty one or one that holds a beginning of the same log, up to a position of the log.
pub async fn carry(
    from: Source<'_>,
    to: &Folders,
    upto: Position,
    how: Copying,
) -> Result<Carried, Error> {
    to.make()?;
    if sqlite::path(&to.data).exists() {
        let target = Sqlite::open(&to.data)?;
        must_agree(from.log, &target, &to.data, upto).await?;
        let there = target.head().await?.position;
        if there > upto {
            return Err(Error::Ahead {
                path: to.data.clone(),
                there,
                here: upto,
            });
        }
    }
    let evidence = carry_evidence(from.evidence, &Files::open(&to.evidence)?, how).await?;
    let mut carried = Carried {
        evidence,
        ..Carried::default()
    };
    carry_keys(from, &to.keys, &mut carried).await?;
    let target = Sqlite::open(&to.data)?;
    carried.commits = carry_commits(from.log, &target, &to.data, upto).await?;
    let missing = evidence::missing(&target, &Files::open(&to.evidence)?, upto).await;
    carried.missing = missing.map_err(|error| match error {
        CitedError::Log(source) => Error::Read(source),
        CitedError::Evidence(source) => Error::Evidence(source),
    })?;
    Ok(carried)
}

async fn carry_evidence(
    from: Option<&dyn Copyable>,
    to: &dyn Copyable,
    how: Copying,
) -> Result<Copied, Error> {
    match from {
        Some(from) => Ok(evidence::copy(from, to, how).await?),
        None => Ok(Copied::default()),
    }
}

async fn carry_keys(from: Source<'_>, to: &Path, carried: &mut Carried) -> Result<(), Error> {
    let folder = from.keys;
    let mut workspaces: BTreeSet<WorkspaceId> = keys::held(folder).into_iter().collect();
    workspaces.insert(from.workspace.clone());
    for workspace in workspaces {
        let Some(fingerprint) = keys::fingerprint(from.log, &workspace).await? else {
            continue;
        };
        let Ok(key) = keys::find(folder, &workspace, fingerprint) else {
            carried.keyless.push(workspace);
            continue;
        };
        let put = keys::put(to, &workspace, &key);
        carried.keys += u64::from(put.map_err(Folders::file(to))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
