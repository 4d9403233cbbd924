//! The marker of a backup: up to where it is whole.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use mirage_domain::id::{Digest, Position};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The format that this program writes and reads.
pub(super) const FORMAT: u32 = 1;

/// Everything up to this position is in the backup, with its evidence and keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    pub format: u32,
    /// Of `log.created`.
    pub log_id: Option<Uuid>,
    pub position: Position,
    pub log_hash: Digest,
    /// Items of evidence.
    pub evidence: u64,
}

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("backup.json")
}

impl Marker {
    /// The marker of a directory; none if it is no backup, or none that was ever whole.
    pub fn read(dir: &Path) -> std::io::Result<Option<Self>> {
        match fs::read(path(dir)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the marker: whole and on disk, or not at all.
    pub(super) fn write(&self, dir: &Path) -> std::io::Result<()> {
        let fresh = dir.join("backup.json.new");
        let mut file = fs::File::create(&fresh)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(fresh, path(dir))?;
        fs::File::open(dir)?.sync_all()
    }
}
