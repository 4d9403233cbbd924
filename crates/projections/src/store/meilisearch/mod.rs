//! The search view on Meilisearch: an index a build, and a catalogue of builds and checkpoints.
//!
//! Meilisearch has no transactions: a batch's documents are waited for, and then the checkpoint is written, which is
//! one document of the catalogue. What stands behind a checkpoint is looked at by nobody and comes again under the same
//! ids. A build is complete once the catalogue says so, in one document: no reader sees half a change.
//!
//! What claims hold is kept as terms, whole values that filters compare: so answers are those of the SQLite view, and
//! the server's own way with words only comes in where nothing matches and something near is looked for.
//!
//! **Invariant:** documents of an index are never changed, only written again as they are.
//! **Never:** more of the server's messages in an error than its code, and nothing of the key anywhere.

mod asked;
mod builds;
mod client;
mod fault;
pub(crate) mod filter;
mod rows;
mod server;
mod settings;
#[cfg(test)]
mod standin;
mod target;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use asked::{Asked, PAGE_DOCUMENTS_MAX};
pub use fault::Fault;
use server::Server;
use target::Index;

use super::{Home, Target};
use crate::search::Search;
use crate::{Db, Error, Projection, Registered};

/// How a server is reached, and how long it is waited for.
#[derive(Clone)]
pub struct Options {
    /// `http://HOST:PORT` or `https://HOST`, without a user.
    pub url: String,
    /// A key that may do everything with indexes under the prefix, and read tasks and the version.
    pub key: Option<String>,
    /// PEM: who may have signed the server's certificate; without it, whom the machine trusts.
    pub ca: Option<PathBuf>,
    /// What all indexes begin with: letters, digits, `-` or `_`, at most 64 of them. One prefix, one log.
    pub prefix: String,
    /// One request, to the end of its answer.
    pub request_max: Duration,
    /// How long a batch asks a server that is down or busy again before its view stops.
    pub patience: Duration,
    /// One batch of documents or one setting: a busy server takes minutes.
    pub task_max: Duration,
}

impl Options {
    pub fn new(url: impl Into<String>, key: Option<String>) -> Self {
        Self {
            url: url.into(),
            key,
            ca: None,
            prefix: "mirage".to_owned(),
            request_max: Duration::from_secs(30),
            patience: Duration::from_secs(60),
            task_max: Duration::from_secs(15 * 60),
        }
    }
}

impl fmt::Debug for Options {
    /// Without the key, and without an address that might hold one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("prefix", &self.prefix)
            .field("has_key", &self.key.is_some())
            .field("ca", &self.ca)
            .field("request_max", &self.request_max)
            .field("patience", &self.patience)
            .field("task_max", &self.task_max)
            .finish_non_exhaustive()
    }
}

/// A server as the home of the search view.
#[derive(Clone)]
pub struct Meilisearch(Arc<Server>);

impl fmt::Debug for Meilisearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meilisearch")
    }
}

impl Meilisearch {
    /// Asks nothing of the server yet: it may come later than whoever uses it.
    pub fn new(options: Options) -> Result<Self, Fault> {
        Ok(Self(Arc::new(Server::new(options)?)))
    }

    /// The server of a view; it keeps one.
    fn of(&self, view: &'static Registered) -> Result<&Arc<Server>, Error> {
        match view.name {
            Search::NAME => Ok(&self.0),
            other => Err(Error::open(view, Fault::OtherView(other))),
        }
    }
}

impl Home for Meilisearch {
    fn open(&self, view: &'static Registered) -> Result<Box<dyn Target>, Error> {
        let server = self.of(view)?;
        let build = server
            .open(view)
            .map_err(|fault| Error::open(view, fault))?;
        Ok(Box::new(Index::new(server.clone(), view, build, false)))
    }

    fn build(&self, view: &'static Registered) -> Result<Box<dyn Target>, Error> {
        let server = self.of(view)?;
        let made = server.make(view, false);
        let build = made.map_err(|fault| Error::open(view, fault))?;
        Ok(Box::new(Index::new(server.clone(), view, build, true)))
    }

    fn ask(&self, view: &'static Registered) -> Result<Db, Error> {
        let server = self.of(view)?;
        let highest = server.highest(view, client::Patience::Question);
        let build = highest.map_err(|fault| Error::open(view, fault))?;
        let build = build.ok_or(Error::NotBuilt(view.name))?;
        Ok(Db::on_meilisearch(view, Asked::new(server.clone(), build)))
    }

    /// A server that is down keeps nobody from starting: the next sweep finds what this one leaves.
    fn sweep(&self, view: &'static Registered) -> Result<(), Error> {
        match self.of(view)?.sweep(view) {
            Err(fault) if fault.may_retry() => {
                tracing::warn!(view.name = view.name, error = %fault, "old builds are not swept");
                Ok(())
            }
            swept => swept.map_err(|fault| Error::write(view, fault)),
        }
    }

    fn discard(&self, view: &'static Registered) -> Result<(), Error> {
        let discarded = self.of(view)?.discard(view);
        discarded.map_err(|fault| Error::write(view, fault))
    }
}
