//! Views on a Neo4j server: the graph, as nodes and relationships.
//!
//! A batch is one transaction: rows by bulk statements, then the checkpoint. Nobody is kept waiting before it, so several
//! processes may write one build at one time: a constraint per kind of row says which are there already, and those are
//! passed over. A claim is one relationship, unique by its cursor, which no other finding has.
//!
//! A server gives out at most 65 536 types of relationships in its life, and a build takes three of them.
//!
//! **Invariant:** a batch and a query use the last complete build of the program's version.
//! **Never:** a value in the text of a statement.

mod asking;
mod builds;
mod cypher;
mod layout;
mod options;
mod server;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::remote::RUNTIME;
use super::{Home, Target};
use crate::error::Cause;
use crate::{Db, Error, Registered};
pub(crate) use asking::Asking;
use builds::Builds;
pub(crate) use cypher::{Cypher, Record};
pub(crate) use layout::Layout;
pub use options::Options;
use server::Server;
pub(crate) use server::{fix, may_retry};
use target::Writing;

/// A server, as one installation of views sees it.
#[derive(Clone)]
pub struct Neo4j {
    server: Server,
    namespace: Arc<str>,
}

impl Neo4j {
    /// Does not yet connect: a server that is away shows with the first question.
    ///
    /// # Errors
    /// `Error::Options` or `Error::Server` if the address, a certificate's file or the namespace is of no use.
    pub fn at(options: &Options) -> Result<Self, Error> {
        let fault = |error| Error::Server {
            server: "Neo4j",
            source: Cause::from(error),
        };
        options.check()?;
        let namespace = options.namespace().ok_or(neo4rs::Error::InvalidConfig);
        let namespace = namespace.map_err(fault)?.into();
        let _entered = RUNTIME.enter();
        let server = Server::new(options.connect().map_err(fault)?);
        Ok(Self { server, namespace })
    }

    /// Deletes what is replaced at once.
    #[cfg(test)]
    fn sweep_now(&self, view: &'static Registered) {
        let builds = self.builds(view).expect("a view that it keeps");
        builds.impatient().sweep().expect("a server that answers");
    }

    /// The same server, and a namespace that no other test has.
    #[cfg(test)]
    pub(crate) fn apart(&self) -> Self {
        Self {
            server: self.server.clone(),
            namespace: crate::testing::stores::name().into(),
        }
    }

    fn builds(&self, view: &'static Registered) -> Result<Builds, Error> {
        Builds::new(self.server.clone(), &self.namespace, view)
    }
}

impl Home for Neo4j {
    fn open(&self, view: &'static Registered) -> Result<Box<dyn Target>, Error> {
        Ok(Box::new(Writing::live(self.builds(view)?)?))
    }

    fn build(&self, view: &'static Registered) -> Result<Box<dyn Target>, Error> {
        Ok(Box::new(Writing::new(self.builds(view)?)?))
    }

    fn ask(&self, view: &'static Registered) -> Result<Db, Error> {
        let builds = self.builds(view)?;
        let live = builds.live().map_err(|cause| Error::open(view, cause))?;
        let live = live.ok_or(Error::NotBuilt(view.name))?;
        Ok(Db::on_neo4j(view, Asking::of(builds, live.number)))
    }

    fn sweep(&self, view: &'static Registered) -> Result<(), Error> {
        let swept = self.builds(view)?.sweep();
        swept.map_err(|cause| Error::write(view, cause))
    }

    fn discard(&self, view: &'static Registered) -> Result<(), Error> {
        let discarded = self.builds(view)?.discard();
        discarded.map_err(|cause| Error::write(view, cause))
    }
}
