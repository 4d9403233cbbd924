//! Opening a data directory: log, evidence, keys and leases of one embedded node.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{Timestamp, Unit};
use mirage_domain::id::WorkspaceId;
use mirage_log::commit::{Actor, ActorKind};
use mirage_log::evidence::{self, Files};
use mirage_log::execute::Store;
use mirage_log::sqlite::Sqlite;
use mirage_log::{EventLog, keys};

use super::Node;
use crate::leases::{self, LeaseFile};
use crate::probe::live::{self, Live, LiveConfig};

/// What lies where in a data directory.
#[derive(Debug, Clone)]
pub struct Place(pub PathBuf);

impl Place {
    pub fn evidence(&self) -> PathBuf {
        self.0.join("evidence")
    }
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }
    pub fn views(&self) -> PathBuf {
        self.0.join("views")
    }
    pub fn leases(&self) -> PathBuf {
        self.0.join("leases.db")
    }
    pub fn log(&self) -> PathBuf {
        mirage_log::sqlite::path(&self.0)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("making the data directory {path}")]
    Directory {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Log(#[from] mirage_log::OpenError),
    #[error(transparent)]
    Evidence(#[from] evidence::Error),
    #[error("opening {path}")]
    Leases {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error(transparent)]
    Probe(#[from] live::Error),
}

/// The clock of a node: microseconds, which is what the log keeps.
pub fn now() -> Timestamp {
    Timestamp::now()
        .round(Unit::Microsecond)
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Node {
    /// Opens a data directory for work, or makes a new one.
    pub async fn open(dir: &Path, workspace: WorkspaceId) -> Result<Self, OpenError> {
        let place = Place(dir.to_owned());
        std::fs::create_dir_all(dir).map_err(|source| OpenError::Directory {
            path: dir.to_owned(),
            source,
        })?;
        let log: Arc<dyn EventLog> = Arc::new(Sqlite::open(dir)?);
        let version = Some(env!("CARGO_PKG_VERSION").to_owned());
        let actor = Actor {
            kind: ActorKind::Service,
            id: "mirage".into(),
            version,
        };
        keys::begin(&*log, actor.clone(), now()).await?;
        let key = keys::workspace(log.clone(), &place.keys(), &workspace, actor, now).await?;
        let leases = LeaseFile::open(&place.leases()).map_err(|source| OpenError::Leases {
            path: place.leases(),
            source,
        })?;
        Ok(Self {
            workspace,
            evidence: Arc::new(Files::open(&place.evidence())?),
            key,
            live: Live::new(LiveConfig::default()).await?,
            leases: Arc::new(leases),
            scans: Store::new(log.clone()),
            marks: Store::new(log.clone()),
            holder: leases::this_process(),
            secrets: Default::default(),
            now,
            log,
        })
    }
}
