//! One build, opened for writing.

use std::collections::HashSet;
use std::sync::Arc;

use super::builds::{self, Build};
use super::client::Patience;
use super::server::Server;
use super::{Asked, Fault, rows};
use crate::operations::Operations;
use crate::store::{Completed, Target};
use crate::{Checkpoint, Db, Error, Registered};

pub(super) struct Index {
    server: Arc<Server>,
    view: &'static Registered,
    /// As it was when the batch was begun.
    build: Build,
    /// A rebuild at work stays on its own build.
    is_pinned: bool,
}

impl Index {
    pub(super) fn new(
        server: Arc<Server>,
        view: &'static Registered,
        build: Build,
        is_pinned: bool,
    ) -> Self {
        Self {
            server,
            view,
            build,
            is_pinned,
        }
    }

    fn written<T>(&self, written: Result<T, Fault>) -> Result<T, Error> {
        written.map_err(|fault| Error::write(self.view, fault))
    }

    fn builds(&self) -> Result<Vec<Build>, Error> {
        self.written(self.server.builds(self.view, Patience::Batch))
    }

    fn own(&self, builds: &[Build]) -> Result<Build, Error> {
        let own = builds.iter().find(|build| build.id == self.build.id);
        own.cloned().ok_or(Error::Interfered(self.view.name))
    }
}

impl Target for Index {
    /// Nothing is locked: two who write the same batch write the same documents.
    fn begin(&mut self) -> Result<Checkpoint, Error> {
        let builds = self.builds()?;
        self.build = match (self.is_pinned, builds::highest(&builds)) {
            (true, _) => self.own(&builds)?,
            (false, Some(highest)) => highest.clone(),
            (false, None) => self.written(self.server.open(self.view))?,
        };
        Ok(self.build.checkpoint())
    }

    /// Those up to the checkpoint: a stream that a batch without a checkpoint set aside is looked at again.
    fn quarantined(&mut self) -> Result<HashSet<String>, Error> {
        let asked = Asked::new(self.server.clone(), self.build.clone());
        self.written(asked.quarantined_streams(self.build.checkpoint().position))
    }

    fn finish(&mut self, operations: &mut Operations, last: Checkpoint) -> Result<(), Error> {
        let payloads = rows::payloads(operations);
        self.written(self.server.add(&self.build, payloads))?;
        // Whoever was slower takes nothing back. Should two still cross, the batches between come again.
        let builds = self.builds()?;
        let own = builds.iter().find(|build| build.id == self.build.id);
        match own.is_some_and(|own| own.checkpoint().position < last.position) {
            true => self.written(self.server.move_to(&self.build, last)),
            false => Ok(()),
        }
    }

    fn abandon(&mut self) {}

    fn complete(self: Box<Self>) -> Result<Completed, Error> {
        let builds = self.builds()?;
        let own = self.own(&builds)?;
        let live = builds::highest(&builds);
        if live.is_some_and(|live| live.checkpoint().position > own.checkpoint().position) {
            return Ok(Completed::Behind(self));
        }
        // A live build may have been begun meanwhile, where there was none.
        let rank = live.map_or(own.rank, |live| own.rank.max(live.rank + 1));
        self.written(self.server.complete(&own, rank))?;
        Ok(Completed::Done)
    }

    fn into_db(self: Box<Self>) -> Result<Db, Error> {
        let asked = Asked::new(self.server.clone(), self.build);
        Ok(Db::on_meilisearch(self.view, asked))
    }
}
