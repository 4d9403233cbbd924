//! Writing to a build: rows by bulk statements, one transaction a batch.
//!
//! Nothing is locked from the beginning of a batch on: two that write the same rows find those of the other, and pass
//! over them.

use std::collections::HashSet;

use super::builds::Builds;
use super::cypher::Cypher;
use super::server::{gave_way, is_there_already};
use super::{Asking, Cause};
use crate::operations::Operations;
use crate::row::Row;
use crate::store::{Completed, Target};
use crate::{Checkpoint, Db, Error};

/// Tries of one batch: others who write the same rows may make it give way.
const TRIES: usize = 8;

const QUARANTINED: &str = "MATCH (q:Quarantined@) RETURN q.stream AS stream";

/// One build of a view.
pub(super) struct Writing {
    builds: Builds,
    number: i64,
    /// A rebuild at work stays on its own build.
    is_pinned: bool,
}

impl Writing {
    pub(super) fn live(builds: Builds) -> Result<Self, Error> {
        let number = builds.open()?.number;
        Ok(Self {
            builds,
            number,
            is_pinned: false,
        })
    }

    pub(super) fn new(builds: Builds) -> Result<Self, Error> {
        let number = builds.claim()?;
        Ok(Self {
            builds,
            number,
            is_pinned: true,
        })
    }

    fn fault(&self, cause: Cause) -> Error {
        Error::write(self.builds.view, cause)
    }

    /// One transaction: the rows, then the checkpoint. False if the build is gone.
    fn write(
        &self,
        operations: &Operations,
        is_known: bool,
        last: Checkpoint,
    ) -> Result<bool, Cause> {
        let rows = self.builds.model.statements(operations, is_known);
        let (server, mark) = (&self.builds.server, self.builds.mark(self.number));
        let last = self.builds.advance(self.number, last);
        server.run_together(rows.into_iter(), last, &mark)
    }

    fn write_once(&self, operations: &Operations, last: Checkpoint) -> Result<bool, Cause> {
        let mut is_known = false;
        for _ in 1..TRIES {
            match self.write(operations, is_known, last) {
                // Another process wrote some of the rows, or this one did and forgot the checkpoint.
                Err(cause) if is_there_already(&cause) => is_known = true,
                Err(cause) if gave_way(&cause) => {}
                written => return written,
            }
        }
        self.write(operations, is_known, last)
    }
}

impl Target for Writing {
    fn begin(&mut self) -> Result<Checkpoint, Error> {
        let all = self.builds.all().map_err(|cause| self.fault(cause))?;
        let found = match self.is_pinned {
            true => all.into_iter().find(|build| build.number == self.number),
            false => all
                .into_iter()
                .next_back()
                .filter(|build| build.is_complete()),
        };
        let build = match found {
            Some(build) => build,
            None if self.is_pinned => return Err(Error::Interfered(self.builds.view.name)),
            None => self.builds.open()?,
        };
        self.number = build.number;
        Ok(build.checkpoint)
    }

    fn quarantined(&mut self) -> Result<HashSet<String>, Error> {
        let mark = self.builds.mark(self.number);
        let read = |record: &_| Row::Neo4j(record).get("stream");
        let streams = self
            .builds
            .server
            .rows(&Cypher::new(QUARANTINED), &mark, read);
        let streams = streams.map_err(|cause| self.fault(cause))?;
        Ok(streams.into_iter().collect())
    }

    fn finish(&mut self, operations: &mut Operations, last: Checkpoint) -> Result<(), Error> {
        let written = self.write_once(operations, last);
        match written.map_err(|cause| self.fault(cause))? {
            true => Ok(()),
            false => Err(Error::Interfered(self.builds.view.name)),
        }
    }

    /// Nothing is held.
    fn abandon(&mut self) {}

    fn complete(self: Box<Self>) -> Result<Completed, Error> {
        let completed = self.builds.complete(self.number);
        Ok(match completed.map_err(|cause| self.fault(cause))? {
            true => Completed::Done,
            false => Completed::Behind(self),
        })
    }

    fn into_db(self: Box<Self>) -> Result<Db, Error> {
        let view = self.builds.view;
        Ok(Db::on_neo4j(view, Asking::of(self.builds, self.number)))
    }
}
