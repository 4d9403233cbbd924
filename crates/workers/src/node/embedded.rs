//! Opening a node: over a data directory, or over parts that lie elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{Timestamp, Unit};
use mirage_domain::id::WorkspaceId;
use mirage_log::commit::{Actor, ActorKind};
use mirage_log::evidence::{self, EvidenceStore, Files};
use mirage_log::sqlite::Sqlite;
use mirage_log::{EventLog, keys};

use super::{Commands, Node};
use crate::leases::{self, LeaseFile, Leases};
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
    /// Makes the directory.
    pub fn make(&self) -> Result<(), OpenError> {
        std::fs::create_dir_all(&self.0).map_err(|source| OpenError::Directory {
            path: self.0.clone(),
            source,
        })
    }
    pub fn open_leases(&self) -> Result<LeaseFile, OpenError> {
        let path = self.leases();
        LeaseFile::open(&path).map_err(|source| OpenError::Leases { path, source })
    }
    pub fn log(&self) -> PathBuf {
        mirage_log::sqlite::path(&self.0)
    }
}

/// What a node stands on, wherever it lies.
pub struct Parts {
    pub log: Arc<dyn EventLog>,
    pub evidence: Arc<dyn EvidenceStore>,
    pub leases: Arc<dyn Leases>,
    /// The folder of id keys.
    pub keys: PathBuf,
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
        place.make()?;
        let parts = Parts {
            log: Arc::new(Sqlite::open(dir)?),
            evidence: Arc::new(Files::open(&place.evidence())?),
            leases: Arc::new(place.open_leases()?),
            keys: place.keys(),
        };
        Self::over(parts, workspace).await
    }

    /// A node over these parts; writes the log's first event and makes the workspace, where they are not there.
    pub async fn over(parts: Parts, workspace: WorkspaceId) -> Result<Self, OpenError> {
        let Parts {
            log,
            evidence,
            leases,
            keys: folder,
        } = parts;
        let version = Some(env!("CARGO_PKG_VERSION").to_owned());
        let actor = Actor {
            kind: ActorKind::Service,
            id: "mirage".into(),
            version,
        };
        keys::begin(&*log, actor.clone(), now()).await?;
        let key = keys::workspace(log.clone(), &folder, &workspace, actor, now).await?;
        let commands = Commands::new(
            workspace.clone(),
            log.clone(),
            evidence.clone(),
            key.clone(),
            now,
        );
        Ok(Self {
            workspace,
            evidence,
            key,
            commands: Arc::new(commands),
            live: Live::new(LiveConfig::default()).await?,
            leases,
            holder: leases::this_process(),
            running: Default::default(),
            secrets: Default::default(),
            now,
            log,
        })
    }
}
