//! What can go wrong with the log, and the three questions each error answers.

use std::path::PathBuf;

use mirage_domain::event;
use mirage_domain::id::{Position, StreamId};

use crate::Tip;

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The caller asked for something that cannot be.
    Caller,
    /// The store or its disk.
    Store,
    /// The log's bytes are not what was written.
    Damage,
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    #[error("the stream {stream} has moved on")]
    Conflict { stream: StreamId, tip: Option<Tip> },
    #[error("the commit has {bytes} bytes, more than {max}")]
    TooLarge { bytes: usize, max: usize },
    #[error("position {at} cannot be copied: the log ends at {head}")]
    Gap { at: Position, head: Position },
    #[error("another commit stands at position {at}")]
    Occupied { at: Position },
    #[error("the log is being written by process {pid}; try again when it is done")]
    Busy { pid: String },
    #[error("the disk is full; free some space, nothing was lost")]
    Full(#[source] Cause),
    #[error("writing to the log; nothing is acknowledged until it is opened again")]
    Write(#[source] Cause),
    #[error("the log is closed after a failed write; restart to go on")]
    Closed,
    /// It may have landed: the same append again tells.
    #[error(
        "the log's server does not answer; nothing is acknowledged, and the same append may be tried again"
    )]
    Unavailable(#[source] Cause),
    #[error("the log is behind its anchor or damaged")]
    Damaged(#[source] Box<ReadError>),
}

impl AppendError {
    /// Whether the same append may succeed later without a change.
    pub fn may_retry(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. } | Self::Full(_) | Self::Unavailable(_)
        )
    }
    pub fn fault(&self) -> Fault {
        match self {
            Self::Conflict { .. }
            | Self::TooLarge { .. }
            | Self::Gap { .. }
            | Self::Occupied { .. } => Fault::Caller,
            Self::Busy { .. }
            | Self::Full(_)
            | Self::Write(_)
            | Self::Closed
            | Self::Unavailable(_) => Fault::Store,
            Self::Damaged(_) => Fault::Damage,
        }
    }
    pub fn code(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "conflict",
            Self::TooLarge { .. } => "commit_too_large",
            Self::Gap { .. } => "copy_gap",
            Self::Occupied { .. } => "copy_occupied",
            Self::Busy { .. } => "log_busy",
            Self::Full(_) => "disk_full",
            Self::Write(_) | Self::Closed => "log_write_failed",
            Self::Unavailable(_) => "log_unavailable",
            Self::Damaged(_) => "log_damaged",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("there is no commit at position {0}")]
    Absent(Position),
    #[error("position {at}: {what}")]
    Damaged { at: Position, what: Damage },
    #[error("position {at}: the commit cannot be read")]
    Decode {
        at: Position,
        #[source]
        source: crate::commit::DecodeError,
    },
    #[error("reading the log")]
    Store(#[source] Cause),
}

/// How a log shows that it is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("the commit is missing")]
    Missing,
    #[error("the bytes do not have the recorded hash")]
    Bytes,
    #[error("the log hash does not follow from the one before")]
    LogHash,
    #[error("the commit does not name the hash of its stream's previous one")]
    Chain,
    #[error("the row says something else than the commit: {0}")]
    Row(&'static str),
    #[error("the file is damaged: {0}")]
    File(String),
    #[error("the log ends at {head}, before its anchor")]
    BehindAnchor { head: Position },
    #[error("the log is another one than its anchor says")]
    OtherAnchor,
}

impl ReadError {
    pub fn may_retry(&self) -> bool {
        matches!(self, Self::Store(_))
    }
    pub fn fault(&self) -> Fault {
        match self {
            Self::Absent(_) => Fault::Caller,
            Self::Damaged { .. } => Fault::Damage,
            // An event of a newer program is no damage; anything else that cannot be decoded is.
            Self::Decode { source, .. } if source.is_newer() => Fault::Caller,
            Self::Decode { .. } => Fault::Damage,
            Self::Store(_) => Fault::Store,
        }
    }
    pub fn code(&self) -> &'static str {
        match self {
            Self::Absent(_) => "no_such_position",
            Self::Damaged { .. } => "log_damaged",
            Self::Decode { source, .. } if source.is_newer() => "newer_event",
            Self::Decode { .. } => "log_damaged",
            Self::Store(_) => "log_unreadable",
        }
    }
}

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{path} is not a Mirage log")]
    Foreign {
        path: PathBuf,
        #[source]
        source: Option<Cause>,
    },
    #[error(
        "{path} was written by a newer version (format {found}, this program knows {known}); upgrade this node"
    )]
    Newer {
        path: PathBuf,
        found: i64,
        known: i64,
    },
    #[error("opening {path}")]
    Store {
        path: PathBuf,
        #[source]
        source: Cause,
    },
    #[error("the log is damaged")]
    Damaged(#[source] Box<ReadError>),
    #[error(
        "the id key of workspace {workspace} is missing or another one: put the file {path} back from a backup"
    )]
    Key { workspace: String, path: PathBuf },
    #[error("making the log")]
    Create(#[source] Box<AppendError>),
    #[error("`log.{name}` must be {wanted}")]
    Option {
        name: &'static str,
        wanted: &'static str,
    },
    #[error("none of the log's servers answers: {servers}")]
    Unreachable {
        servers: String,
        #[source]
        source: Cause,
    },
    #[error("the log's servers refuse this program: {fix}")]
    Refused {
        fix: &'static str,
        #[source]
        source: Cause,
    },
    #[error("there is no TLS with {server}: {fix}")]
    Tls {
        server: String,
        fix: String,
        #[source]
        source: Cause,
    },
    #[error("`{key}` names {path}, which cannot be used")]
    File {
        key: &'static str,
        path: PathBuf,
        #[source]
        source: Cause,
    },
    #[error("{server} is nats-server {found}; the log needs {}.{} or newer: upgrade it", wanted.0, wanted.1)]
    ServerTooOld {
        server: String,
        found: String,
        wanted: (u64, u64),
    },
    #[error(
        "{server} has no JetStream for this account: put `jetstream {{ sync_interval: always }}` into its file"
    )]
    NoJetStream {
        server: String,
        #[source]
        source: Cause,
    },
    #[error(
        "{node} may lose what it has acknowledged: put `sync_interval: always` into `jetstream {{ … }}` of its file and \
         restart it, or allow a volatile log"
    )]
    NotSynced { node: String },
    #[error(
        "{node} does not say whether it syncs always: put `http: \"HOST:8222\"` into its file and name that among the \
         log's monitors, or allow a volatile log"
    )]
    Unproven {
        node: String,
        #[source]
        source: Option<Cause>,
    },
    #[error(
        "the JetStream stream {stream} is not what a log must be: {field} is {found}, and must be {wanted}; change it \
         with `nats stream edit {stream}`, or name another one"
    )]
    Configuration {
        stream: String,
        field: &'static str,
        found: String,
        wanted: String,
    },
    #[error(
        "the log's servers have no room for {bytes} bytes and what lies beside them: put a larger `max_file_store` into \
         `jetstream {{ … }}` of their file, or make `log.max_bytes` smaller"
    )]
    NoRoom { bytes: u64 },
    #[error("{doing} on the server")]
    Server {
        doing: &'static str,
        #[source]
        source: Cause,
    },
}

impl From<event::ReadError> for crate::commit::DecodeError {
    fn from(source: event::ReadError) -> Self {
        Self::Event(source)
    }
}
