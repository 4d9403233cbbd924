//! Restoring a data directory: an empty one, or one that holds a beginning of the same log.
//!
//! Nothing is written before backup and target were looked at. Then come evidence and keys, then the anchor of what the
//! log will be, then the log: one that was cut short is behind its anchor, so it is refused until it is restored.

use std::path::Path;

use mirage_domain::id::{Position, WorkspaceId};
use uuid::Uuid;

use super::{Carried, Error, Folders, Marker, Source, carry_commits, carry_evidence, carry_keys};
use crate::archive::log_id;
use crate::evidence::{Copyable, Copying, Files};
use crate::sqlite::{self, Anchor, Sqlite};
use crate::{EventLog, Head, verify};

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
pub async fn restore(
    from: &Folders,
    to: &Folders,
    workspace: &WorkspaceId,
    how: Copying,
) -> Result<Restored, Error> {
    let log = whole(from).await?;
    let head = log.head().await?;
    let id = log_id(&log).await?;
    let target = Target::look(to).await?;
    target.must_be_of(id)?;
    for known in target.known() {
        if known.position <= head.position
            && log.commit(known.position).await?.log_hash != known.log_hash
        {
            return Err(target.other(known.position));
        }
    }
    let how = Copying {
        is_thorough: true,
        ..how
    };
    let stored = from.stored()?;
    let source = Source {
        log: &log,
        evidence: stored.as_ref().map(|stored| stored as &dyn Copyable),
        keys: &from.keys,
        workspace,
    };
    let mut carried = Carried {
        evidence: carry_evidence(source.evidence, &Files::open(&to.evidence)?, how).await?,
        ..Carried::default()
    };
    carry_keys(source, &to.keys, &mut carried).await?;
    let (end, set_back) = target.prepare(head, id)?;
    let restored = Sqlite::open_behind(&to.data)?;
    if target.here.position < head.position {
        carried.commits = carry_commits(&log, &restored, &to.data, head.position).await?;
    }
    Ok(Restored {
        carried,
        head: end,
        set_back,
    })
}

/// The log of a backup, after all of it was held against its hashes and the marker.
pub(super) async fn whole(from: &Folders) -> Result<Sqlite, Error> {
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

/// The directory that is restored, as it was found.
pub(super) struct Target<'a> {
    to: &'a Folders,
    /// Where its log ends.
    pub(super) here: Head,
    /// One that cannot be read knows nothing.
    anchor: Option<Anchor>,
}

impl<'a> Target<'a> {
    /// Verifies what is there; writes nothing, but makes the directory.
    pub(super) async fn look(to: &'a Folders) -> Result<Self, Error> {
        to.make()?;
        let mut here = Head::EMPTY;
        if sqlite::path(&to.data).exists() {
            let verified = verify(&Sqlite::open_behind(&to.data)?).await;
            let verified = verified.map_err(|source| Error::Target {
                path: to.data.clone(),
                source,
            })?;
            here = verified.head;
        }
        let anchor = Anchor::read(&to.data).ok().flatten();
        Ok(Self { to, here, anchor })
    }

    pub(super) fn other(&self, at: Position) -> Error {
        let path = self.to.data.clone();
        Error::Other { path, at }
    }

    /// Its anchor must be of this log.
    pub(super) fn must_be_of(&self, log_id: Option<Uuid>) -> Result<(), Error> {
        let is_other = |anchor: Anchor| anchor.log_id != log_id.unwrap_or(Uuid::nil());
        match self.anchor.is_some_and(is_other) {
            true => Err(self.other(Position(1))),
            false => Ok(()),
        }
    }

    /// What the source must say the same about, as far as it goes.
    pub(super) fn known(&self) -> impl Iterator<Item = Head> {
        let anchor = self.anchor.map(|anchor| Head {
            position: anchor.position,
            log_hash: anchor.log_hash,
        });
        let known = [Some(self.here), anchor].into_iter().flatten();
        known.filter(|known| known.position > Position(0))
    }

    /// Sets the anchor to where the log will end, and forgets the views if it will be another log than they know.
    /// Answers that end, and from where the anchor was set back.
    pub(super) fn prepare(
        &self,
        head: Head,
        log_id: Option<Uuid>,
    ) -> Result<(Head, Option<Position>), Error> {
        let here = self.here;
        let end = if here.position > head.position {
            here
        } else {
            head
        };
        let known = self.anchor.map(|anchor| anchor.position);
        let set_back = known.filter(|at| *at > end.position);
        if here.position < head.position || set_back.is_some() {
            forget(&self.to.views)?;
        }
        if end.position > Position(0) && known != Some(end.position) {
            let fresh = Anchor {
                log_id: log_id.unwrap_or(Uuid::nil()),
                position: end.position,
                log_hash: end.log_hash,
            };
            let set = fresh.set(&self.to.data);
            set.map_err(|cause| Folders::file(&self.to.data)(std::io::Error::other(cause)))?;
        }
        Ok((end, set_back))
    }
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
