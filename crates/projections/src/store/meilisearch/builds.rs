//! The catalogue of builds: one document a build, with its checkpoint.
//!
//! **Invariant:** writers change only the members that they mean: one that comes late takes nothing back but itself.

use std::time::{SystemTime, UNIX_EPOCH};

use mirage_domain::id::{Digest, Position};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::{Checkpoint, Registered};

/// As a document of the catalogue says it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Build {
    /// `VIEW_VERSION_NUMBER`, which is also the end of its index's name.
    pub(super) id: String,
    #[serde(default)]
    pub(super) is_complete: bool,
    /// Of two complete builds the one of the greater rank is used.
    #[serde(default)]
    pub(super) rank: u64,
    /// Seconds since 1970 of the last batch, by the clock of whoever wrote it.
    #[serde(default)]
    pub(super) touched_s: u64,
    #[serde(default)]
    checkpoint: Option<Kept>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Kept {
    position: u64,
    log_hash: Digest,
    hash: Digest,
}

impl Build {
    pub(super) fn new(view: &Registered, number: u64, is_complete: bool) -> Self {
        Self {
            id: format!("{}{number}", begin(view)),
            is_complete,
            rank: number,
            touched_s: 0,
            checkpoint: None,
        }
    }

    /// None where it is of another view or version.
    pub(super) fn number(&self, view: &Registered) -> Option<u64> {
        number(view, &self.id)
    }

    pub(super) fn checkpoint(&self) -> Checkpoint {
        self.checkpoint
            .as_ref()
            .map_or(Checkpoint::NONE, |kept| Checkpoint {
                position: Position(kept.position),
                log_hash: kept.log_hash,
                hash: kept.hash,
            })
    }

    /// What makes it known.
    pub(super) fn made(&self, now_s: u64) -> Json {
        json!({ "id": self.id, "is_complete": self.is_complete, "rank": self.rank, "touched_s": now_s })
    }

    pub(super) fn moved(&self, to: Checkpoint, now_s: u64) -> Json {
        let kept = json!({
            "position": to.position.0, "log_hash": to.log_hash.to_string(), "hash": to.hash.to_string()
        });
        json!({ "id": self.id, "checkpoint": kept, "touched_s": now_s })
    }

    pub(super) fn completed(&self, rank: u64) -> Json {
        json!({ "id": self.id, "is_complete": true, "rank": rank })
    }
}

/// What the names of a view's builds begin with.
pub(super) fn begin(view: &Registered) -> String {
    format!("{}_{}_", view.name, view.version)
}

pub(super) fn number(view: &Registered, id: &str) -> Option<u64> {
    id.strip_prefix(&begin(view))?.parse().ok()
}

/// The build that batches and questions use.
pub(super) fn highest(builds: &[Build]) -> Option<&Build> {
    builds
        .iter()
        .filter(|build| build.is_complete)
        .max_by_key(|build| build.rank)
}

/// Seconds since 1970 by the clock of this machine.
pub(super) fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
