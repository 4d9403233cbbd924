//! The anchor: the file `head` beside the log, by which an older copy put back is noticed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use mirage_domain::id::{Digest, Position};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::read;
use crate::error::Damage;
use crate::{Head, ReadError};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What the log was known to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    pub log_id: Uuid,
    pub position: Position,
    pub log_hash: Digest,
}

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("head")
}

impl Anchor {
    /// The anchor of a data directory, if it has one.
    pub fn read(dir: &Path) -> Result<Option<Self>, Cause> {
        match fs::read(path(dir)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces the anchor; call it under the write lock only. An anchor that is further stays.
    pub(super) fn write(self, dir: &Path) -> Result<(), Cause> {
        if Self::read(dir)?.is_some_and(|old| old.position >= self.position) {
            return Ok(());
        }
        self.set(dir)
    }

    /// Puts the anchor in place whatever stands there, also backwards: for restoring alone.
    pub(crate) fn set(self, dir: &Path) -> Result<(), Cause> {
        let fresh = dir.join("head.new");
        let mut file = fs::File::create(&fresh)?;
        file.write_all(&serde_json::to_vec(&self)?)?;
        file.sync_data()?;
        Ok(fs::rename(fresh, path(dir))?)
    }

    /// Whether the log still holds what the anchor names.
    pub(super) fn check(self, connection: &Connection, head: Head) -> Result<(), ReadError> {
        let fail = |what| {
            Err(ReadError::Damaged {
                at: self.position,
                what,
            })
        };
        if head.position < self.position {
            return fail(Damage::BehindAnchor {
                head: head.position,
            });
        }
        if read::log_hash(connection, self.position)? != Some(self.log_hash) {
            return fail(Damage::OtherAnchor);
        }
        Ok(())
    }
}
