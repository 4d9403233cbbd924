//! Carrying a data directory into another one: backup, restore, and a log replayed into a fresh directory.
//!
//! What matters is carried, in this order: evidence, keys, log; so the evidence that a commit cites is there before it.
//! The target is a data directory itself. Each part goes on where it stopped: what is there already is not written again.
//!
//! **Invariant:** a backup is whole once its marker names a position; each later run may only move it forward.
//! **Never:** a commit written over another log's, or a key over another key.

mod marker;
mod restore;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::task::Poll;

use futures::StreamExt;
use futures::future::{BoxFuture, poll_fn};
use mirage_domain::id::{Position, WorkspaceId};

pub use marker::Marker;
pub use restore::{Restored, restore};

use crate::archive::log_id;
use crate::evidence::{self, Copied, Copying, Files};
use crate::sqlite::{self, Sqlite};
use crate::{AppendError, EventLog, Filter, OpenError, Read, ReadError, keys};

/// Commits that are handed to the target at once: they share a transaction.
const GROUP_COMMITS: usize = 64;
/// Bytes of commits after which a group is handed over.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

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

/// What was carried.
#[derive(Debug, Clone, Default)]
pub struct Carried {
    /// Commits that were written now.
    pub commits: u64,
    pub evidence: Copied,
    /// Keys that were written now.
    pub keys: u64,
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
            Self::Other { .. } => "other_log",
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
            Self::Open(_) => "log_unopenable",
        }
    }
}

impl Folders {
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
    log: &Sqlite,
    from: &Folders,
    to: &Folders,
    workspace: &WorkspaceId,
    how: Copying,
) -> Result<(Carried, Marker), Error> {
    let head = log.head().await?;
    let carried = carry(log, from, to, head.position, workspace, how).await?;
    let marker = Marker {
        format: marker::FORMAT,
        log_id: log_id(log).await?,
        position: head.position,
        log_hash: head.log_hash,
        evidence: carried.evidence.items + carried.evidence.there,
    };
    marker.write(&to.data).map_err(Folders::file(&to.data))?;
    Ok((carried, marker))
}

/// Carries a data directory into an empty one or one that holds a beginning of the same log, up to a position of the log.
///
/// Others may write to the log meanwhile.
pub async fn carry(
    log: &Sqlite,
    from: &Folders,
    to: &Folders,
    upto: Position,
    workspace: &WorkspaceId,
    how: Copying,
) -> Result<Carried, Error> {
    to.make()?;
    if sqlite::path(&to.data).exists() {
        let target = Sqlite::open(&to.data)?;
        must_agree(log, &target, &to.data, upto).await?;
        let there = target.head().await?.position;
        if there > upto {
            return Err(Error::Ahead {
                path: to.data.clone(),
                there,
                here: upto,
            });
        }
    }
    let mut carried = Carried {
        evidence: carry_evidence(from, to, how).await?,
        ..Carried::default()
    };
    carry_keys(log, from, to, workspace, &mut carried).await?;
    let target = Sqlite::open(&to.data)?;
    carried.commits = carry_commits(log, &target, &to.data, upto).await?;
    Ok(carried)
}

/// Both logs say the same, as far as both go.
async fn must_agree(
    from: &dyn EventLog,
    to: &dyn EventLog,
    path: &Path,
    upto: Position,
) -> Result<(), Error> {
    let at = to.head().await?.position.min(upto);
    if at == Position(0) || to.commit(at).await?.log_hash == from.commit(at).await?.log_hash {
        return Ok(());
    }
    let path = path.to_owned();
    Err(Error::Other { path, at })
}

async fn carry_evidence(from: &Folders, to: &Folders, how: Copying) -> Result<Copied, Error> {
    if !from.evidence.exists() {
        return Ok(Copied::default());
    }
    let (source, target) = (Files::open(&from.evidence)?, Files::open(&to.evidence)?);
    Ok(evidence::copy(&source, &target, how).await?)
}

async fn carry_keys(
    log: &dyn EventLog,
    from: &Folders,
    to: &Folders,
    workspace: &WorkspaceId,
    carried: &mut Carried,
) -> Result<(), Error> {
    let mut workspaces: BTreeSet<WorkspaceId> = keys::held(&from.keys).into_iter().collect();
    workspaces.insert(workspace.clone());
    for workspace in workspaces {
        let Some(fingerprint) = keys::fingerprint(log, &workspace).await? else {
            continue;
        };
        let Ok(key) = keys::find(&from.keys, &workspace, fingerprint) else {
            carried.keyless.push(workspace);
            continue;
        };
        let put = keys::put(&to.keys, &workspace, &key);
        carried.keys += u64::from(put.map_err(Folders::file(&to.keys))?);
    }
    Ok(())
}

/// Copies what is missing, and holds the end of what was copied against the source; answers how many commits it were.
async fn carry_commits(
    from: &dyn EventLog,
    to: &dyn EventLog,
    path: &Path,
    upto: Position,
) -> Result<u64, Error> {
    must_agree(from, to, path, upto).await?;
    let begun = to.head().await?.position;
    let mut read = from.read(begun, Filter::All);
    let (mut group, mut bytes, mut done) = (Vec::new(), 0, begun);
    while done < upto {
        let recorded = match read.next().await.transpose()? {
            Some(Read::Commit(recorded)) => recorded,
            Some(Read::CaughtUp(_)) | None => return Err(ReadError::Absent(upto).into()),
        };
        done = recorded.position;
        bytes += recorded.bytes.len();
        group.push(to.copy(recorded.position, recorded.encoded()));
        if done == upto || group.len() >= GROUP_COMMITS || bytes >= GROUP_BYTES {
            in_order(std::mem::take(&mut group)).await?;
            bytes = 0;
        }
    }
    must_agree(from, to, path, upto).await?;
    Ok(upto.0.saturating_sub(begun.0))
}

/// Runs copies at once, each begun after the one before: in this order they queue at the log.
async fn in_order(mut copies: Vec<BoxFuture<'_, Result<(), AppendError>>>) -> Result<(), Error> {
    poll_fn(|context| {
        let mut is_done = true;
        let mut at = 0;
        while at < copies.len() {
            match copies[at].as_mut().poll(context) {
                Poll::Ready(copied) => {
                    copied?;
                    drop(copies.remove(at));
                }
                Poll::Pending => {
                    is_done = false;
                    at += 1;
                }
            }
        }
        if is_done {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    })
    .await
}

#[cfg(test)]
mod tests;
