//! Promoting a backup: into a log and a store of evidence that lie on servers.
//!
//! The way back is a backup of that log. Positions, bytes and hashes are the same on both sides; views are folded anew.
//! Begun again after an interruption, it goes on where the log on the servers ends.

use std::path::Path;

use mirage_domain::id::WorkspaceId;

use super::commits::{carry_commits, must_agree};
use super::restore::{Restored, whole};
use super::{Carried, Error, Folders, Source, carry_evidence, carry_keys};
use crate::EventLog;
use crate::evidence::{Copyable, Copying};

/// Where a backup goes to.
#[derive(Clone, Copy)]
pub struct Servers<'a> {
    /// An empty one, or one that holds a beginning of the same log.
    pub log: &'a dyn EventLog,
    pub evidence: &'a dyn Copyable,
    /// The folder of id keys.
    pub keys: &'a Path,
    /// Names the log in errors.
    pub name: &'a Path,
}

/// Carries all that a backup holds: evidence, then keys, then commits. Nothing is written before the backup was proven
/// and the log on the servers was found to say the same, as far as both go.
pub async fn promote(
    from: &Folders,
    to: Servers<'_>,
    workspace: &WorkspaceId,
    how: Copying,
) -> Result<Restored, Error> {
    let log = whole(from).await?;
    let head = log.head().await?;
    must_agree(&log, to.log, to.name, head.position).await?;
    let stored = from.stored()?;
    let source = Source {
        log: &log,
        evidence: stored.as_ref().map(|stored| stored as &dyn Copyable),
        keys: &from.keys,
        workspace,
    };
    let mut carried = Carried {
        evidence: carry_evidence(source.evidence, to.evidence, how).await?,
        ..Carried::default()
    };
    carry_keys(source, to.keys, &mut carried).await?;
    if to.log.head().await?.position < head.position {
        carried.commits = carry_commits(&log, to.log, to.name, head.position).await?;
    }
    Ok(Restored {
        carried,
        head: to.log.head().await?,
        set_back: None,
    })
}
