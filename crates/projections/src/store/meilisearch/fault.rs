//! What Meilisearch can answer other than what was asked for.

use std::path::PathBuf;
use std::time::Duration;

use mirage_log::tls::Trouble;

/// Why a request came to nothing. No key, no address and no text of a document is part of a message.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(
        "`search.url` must read http://HOST:PORT or https://HOST, without a user: a key is `search.key`"
    )]
    Address,
    #[error("`search.ca` is named, so `search.url` must begin with https://")]
    NoTls,
    #[error("`{key}` names {path}, which cannot be used: {why}")]
    File {
        key: &'static str,
        path: PathBuf,
        why: String,
    },
    #[error("`search.key` holds a space, a line break or what is no ASCII")]
    Key,
    #[error("the prefix of indexes must be 1 to {0} letters, digits, `-` or `_`")]
    Prefix(usize),
    #[error("the search server keeps the view `search` alone, not {0}")]
    OtherView(&'static str),
    #[error("the search server is version {found}, and {wanted} is the least: upgrade it")]
    Old { found: String, wanted: &'static str },
    #[error("the search server cannot be reached, or its answer was cut off")]
    Unreachable(#[source] reqwest::Error),
    #[error("the search server answered {status} with code `{code}`")]
    Refused {
        status: u16,
        code: String,
        is_server: bool,
    },
    #[error("an answer of the search server has more than {0} bytes")]
    TooLong(usize),
    #[error("the search server told {told} documents where {due} were due")]
    Partial { told: usize, due: u64 },
    #[error("an answer of the search server cannot be read")]
    Unreadable(#[source] serde_json::Error),
    #[error("task {task} of the search server failed with code `{code}`")]
    TaskFailed {
        task: u64,
        code: String,
        is_server: bool,
    },
    #[error("task {0} of the search server was canceled")]
    TaskCanceled(u64),
    #[error("task {task} of the search server is not done after {waited:?}")]
    TaskLate { task: u64, waited: Duration },
    #[error("the search server answers no SQL")]
    NoSql,
}

impl Fault {
    /// Whether the same may succeed later without a change.
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Partial { .. }
            | Self::TaskCanceled(_)
            | Self::TaskLate { .. } => true,
            // A full disk is a 422, and still the server's own trouble.
            Self::Refused {
                status, is_server, ..
            } => *is_server || matches!(status, 408 | 429 | 500..),
            Self::TaskFailed { is_server, .. } => *is_server,
            // What stands between may answer for a server that is down.
            Self::Unreadable(_) => true,
            Self::Address
            | Self::Key
            | Self::NoTls
            | Self::File { .. }
            | Self::Prefix(_)
            | Self::OtherView(_)
            | Self::Old { .. }
            | Self::TooLong(_)
            | Self::NoSql => false,
        }
    }

    /// What to do where the server refuses this program, or there is no TLS with it.
    pub(crate) fn fix(&self) -> Option<String> {
        match self {
            Self::Unreachable(error) => {
                let fix = Trouble::of(error)?.fix("search", "url");
                Some(format!("there is no TLS with the server: {fix}"))
            }
            Self::Refused {
                status: 401 | 403, ..
            } => Some("the server refuses this program: correct `search.key`".to_owned()),
            _ => None,
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        const ABSENT: [&str; 2] = ["index_not_found", "document_not_found"];
        match self {
            Self::Refused { code, .. } | Self::TaskFailed { code, .. } => {
                ABSENT.contains(&code.as_str())
            }
            _ => false,
        }
    }

    pub(super) fn is_there_already(&self) -> bool {
        matches!(self, Self::TaskFailed { code, .. } if code == "index_already_exists")
    }
}
