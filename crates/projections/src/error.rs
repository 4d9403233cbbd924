//! What can go wrong with views, and the three questions each error answers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mirage_domain::id::{Cursor, Position};
use mirage_log::{Fault, ReadError};

use crate::Registered;
use crate::store::{meilisearch, neo4j, postgres};

/// What a store said.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Neo4j(#[from] neo4rs::Error),
    #[error(transparent)]
    Meilisearch(#[from] meilisearch::Fault),
    #[error(transparent)]
    Postgres(#[from] tokio_postgres::Error),
    /// A server that refuses this program, or with which there is no TLS: what to do about it.
    #[error("{fix}")]
    Access {
        fix: String,
        #[source]
        source: Box<Self>,
    },
    #[error("a column holds {found} where {wanted} is expected")]
    Shape {
        wanted: &'static str,
        found: &'static str,
    },
    #[error("a column holds what cannot be read")]
    Value(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Cause {
    pub(crate) fn value(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Value(error.into())
    }

    /// Whether the same may succeed later without a change.
    fn may_retry(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DiskFull)
            ),
            Self::Neo4j(error) => neo4j::may_retry(error),
            Self::Meilisearch(fault) => fault.may_retry(),
            Self::Postgres(error) => postgres::may_retry(error),
            Self::Access { source, .. } => source.may_retry(),
            Self::Shape { .. } | Self::Value(_) => false,
        }
    }

    /// The same, with what to do about it where a setting is what is wrong.
    fn advised(self) -> Self {
        let fix = match &self {
            Self::Postgres(error) => postgres::fix(error),
            Self::Neo4j(error) => neo4j::fix(error),
            Self::Meilisearch(fault) => fault.fix(),
            _ => None,
        };
        match fix {
            Some(fix) => Self::Access {
                fix,
                source: Box::new(self),
            },
            None => self,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no view `{0}`")]
    NoSuchView(String),
    /// `apply` refuses an event: its stream is quarantined.
    #[error("event {cursor} cannot be applied: {reason}")]
    Unfit { cursor: Cursor, reason: String },
    #[error("view {view} met an event that this program does not know; upgrade this node")]
    Newer {
        view: &'static str,
        #[source]
        source: Arc<ReadError>,
    },
    #[error("reading the log for view {view}")]
    Log {
        view: &'static str,
        #[source]
        source: Arc<ReadError>,
    },
    #[error("view {view} stands at {position}, but the log ends at {head}: the log lost commits")]
    LogBehind {
        view: &'static str,
        position: Position,
        head: Position,
    },
    #[error("view {view} was folded from another log: commit {position} is not the one it knows")]
    LogDiffers {
        view: &'static str,
        position: Position,
    },
    #[error("reading folder {path}")]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("reaching {server}")]
    Server {
        server: &'static str,
        #[source]
        source: Cause,
    },
    #[error("the options of a server for views are of no use: {0}")]
    Options(String),
    #[error("opening view {view}")]
    Open {
        view: &'static str,
        #[source]
        source: Cause,
    },
    #[error("writing view {view}")]
    Write {
        view: &'static str,
        #[source]
        source: Cause,
    },
    #[error("asking view {view}")]
    Query {
        view: &'static str,
        #[source]
        source: Cause,
    },
    #[error("writing out view {view}")]
    Dump {
        view: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("view {0} is not built yet")]
    NotBuilt(&'static str),
    #[error("view {view} stands at {position}, before {wanted}, after waiting {waited:?}")]
    Lagging {
        view: &'static str,
        position: Position,
        wanted: Position,
        waited: Duration,
    },
    #[error("view {view} has stopped: {reason}")]
    Stopped { view: &'static str, reason: String },
    #[error("another process deleted the files of view {0} while they were built; try again")]
    Interfered(&'static str),
    #[error("the work on view {0} was cut off")]
    CutOff(&'static str),
    #[error("`{0}` continues no list of this kind")]
    After(String),
    #[error("the list was begun as of position {begun}, not {asked}")]
    OtherPosition { begun: Position, asked: Position },
    #[error("the list was begun with another question")]
    OtherQuery,
}

impl Error {
    pub(crate) fn open(view: &Registered, source: impl Into<Cause>) -> Self {
        Self::Open {
            view: view.name,
            source: source.into().advised(),
        }
    }
    pub(crate) fn write(view: &Registered, source: impl Into<Cause>) -> Self {
        Self::Write {
            view: view.name,
            source: source.into().advised(),
        }
    }
    pub(crate) fn query(view: &Registered, source: impl Into<Cause>) -> Self {
        Self::Query {
            view: view.name,
            source: source.into().advised(),
        }
    }

    /// Why a server's options are refused; never with a part of a secret.
    pub(crate) fn options(reason: impl ToString) -> Self {
        Self::Options(reason.to_string())
    }

    /// An event that cannot be applied, and why.
    pub(crate) fn unfit(cursor: Cursor, reason: &str) -> Self {
        Self::Unfit {
            cursor,
            reason: reason.to_owned(),
        }
    }

    /// Whether the same may succeed later without a change.
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Lagging { .. } | Self::NotBuilt(_) | Self::Interfered(_) | Self::CutOff(_) => {
                true
            }
            Self::Log { source, .. } => source.may_retry(),
            Self::Open { source, .. } | Self::Write { source, .. } | Self::Query { source, .. } => {
                source.may_retry()
            }
            _ => false,
        }
    }

    /// Whether somebody must look at the log before anything is trusted.
    pub fn is_alarm(&self) -> bool {
        match self {
            Self::LogBehind { .. } | Self::LogDiffers { .. } => true,
            Self::Log { source, .. } => source.fault() == Fault::Damage,
            _ => false,
        }
    }

    pub fn fault(&self) -> Fault {
        match self {
            Self::NoSuchView(_)
            | Self::Options(_)
            | Self::After(_)
            | Self::OtherPosition { .. }
            | Self::OtherQuery => Fault::Caller,
            _ if self.is_alarm() => Fault::Damage,
            _ => Fault::Store,
        }
    }

    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSuchView(_) => "no_such_view",
            Self::Unfit { .. } => "event_unfit",
            Self::Newer { .. } => "newer_event",
            Self::Log { source, .. } => source.code(),
            Self::LogBehind { .. } => "log_behind_view",
            Self::LogDiffers { .. } => "log_differs",
            Self::Lagging { .. } | Self::NotBuilt(_) => "view_behind",
            Self::Stopped { .. } => "view_stopped",
            Self::After(_) | Self::OtherPosition { .. } | Self::OtherQuery => "bad_cursor",
            Self::Folder { .. }
            | Self::Server { .. }
            | Self::Options(_)
            | Self::Open { .. }
            | Self::Write { .. }
            | Self::Query { .. }
            | Self::Dump { .. }
            | Self::Interfered(_)
            | Self::CutOff(_) => "view_unreadable",
        }
    }
}
