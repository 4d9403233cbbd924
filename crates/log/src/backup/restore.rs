//! Restoring a data directory from a backup: into an empty one, or into one that holds a beginning of the same log.
//!
//! Nothing is written before backup and target were looked at. Then come evidence and keys, then the anchor of what the
//! log will be, then the log: one that was cut short is behind its anchor, so it is refused until it is restored.

use std::path::Path;

use mirage_domain::id::Position;
use uuid::Uuid;

use super::{
    Carried, Error, Folders, Marker, carry_commits, carry_evidence, carry_keys, must_agree,
};
use crate::archive::log_id;
use crate::evidence::Copying;
use crate::sqlite::{self, Anchor, Sqlite};
use crate::{EventLog, Head, keys, verify};

/// What came of it.
#[derive(Debug, Clone)]
pub struct Restored {
    pub carried: Carried,
    /// Where the log ends now.
    pub head: Head,
    /// From where the anchor was set back: commits up to there were known and are lost.
    pub set_back: Option<Position>,
}

/// Restores what a backup holds. An interrupted restore is begun again.
pub async fn restore(from: &Folders, to: &Folders, how: Copying) -> Result<Restored, Error> {
    let log = whole(from).await?;
    let head = log.head().await?;
    to.make()?;
    let here = look(&log, head, to).await?;
    let how = Copying {
        is_thorough: true,
        ..how
    };
    let mut carried = Carried {
        evidence: carry_evidence(from, to, how).await?,
        ..Carried::default()
    };
    for workspace in keys::held(&from.keys) {
        carry_keys(&log, from, to, &workspace, &mut carried).await?;
    }
    let end = if here.position > head.position {
        here
    } else {
        head
    };
    let known = anchor(&to.data);
    let set_back = known
        .map(|anchor| anchor.position)
        .filter(|at| *at > end.position);
    if here.position < head.position || set_back.is_some() {
        forget(&to.views)?;
    }
    let is_known = known.is_some_and(|anchor| anchor.position == end.position);
    if end.position > Position(0) && !is_known {
        let fresh = Anchor {
            log_id: log_id(&log).await?.unwrap_or(Uuid::nil()),
            position: end.position,
            log_hash: end.log_hash,
        };
        let set = fresh.set(&to.data);
        set.map_err(|cause| Folders::file(&to.data)(std::io::Error::other(cause)))?;
    }
    let target = Sqlite::open_behind(&to.data)?;
    if here.position < head.position {
        carried.commits = carry_commits(&log, &target, &to.data, head.position).await?;
    }
    Ok(Restored {
        carried,
        head: end,
        set_back,
    })
}

/// The log of a backup, after all of it was held against its hashes and the marker.
async fn whole(from: &Folders) -> Result<Sqlite, Error> {
    let damaged = |what: String| Error::Damaged {
        path: from.data.clone(),
        what,
    };
    let marker = Marker::read(&from.data)
        .map_err(|error| damaged(format!("its marker cannot be read: {error}")))?
        .ok_or_else(|| Error::Unfinished(from.data.clone()))?;
    if !sqlite::path(&from.data).exists() {
        return Err(damaged("log.db is missing".into()));
    }
    let log = Sqlite::open(&from.data)?;
    verify(&log).await?;
    let at = marker.position;
    let is_whole = at == Position(0)
        || log.head().await?.position >= at && log.commit(at).await?.log_hash == marker.log_hash;
    match is_whole {
        true => Ok(log),
        false => Err(damaged(format!(
            "its log is not the one of its marker at position {at}"
        ))),
    }
}

/// What the target's log holds. It must be a clean part of the same log, and so must what its anchor knows.
async fn look(log: &Sqlite, head: Head, to: &Folders) -> Result<Head, Error> {
    let other = |at| Error::Other {
        path: to.data.clone(),
        at,
    };
    let mut here = Head::EMPTY;
    if sqlite::path(&to.data).exists() {
        let target = Sqlite::open_behind(&to.data)?;
        let verified = verify(&target).await.map_err(|source| Error::Target {
            path: to.data.clone(),
            source,
        })?;
        here = verified.head;
        must_agree(log, &target, &to.data, head.position).await?;
    }
    let Some(anchor) = anchor(&to.data) else {
        return Ok(here);
    };
    if anchor.log_id != log_id(log).await?.unwrap_or(Uuid::nil()) {
        return Err(other(Position(1)));
    }
    if (Position(1)..=head.position).contains(&anchor.position) {
        let at = anchor.position;
        if log.commit(at).await?.log_hash != anchor.log_hash {
            return Err(other(at));
        }
    }
    Ok(here)
}

/// The anchor of a directory; one that cannot be read knows nothing.
fn anchor(dir: &Path) -> Option<Anchor> {
    Anchor::read(dir).ok().flatten()
}

/// Views are folded anew from what is restored.
fn forget(views: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(views) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Folders::file(views)(error))
        }
        _ => Ok(()),
    }
}
