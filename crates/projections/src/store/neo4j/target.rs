//! Writing to a build: rows by bulk statements, then the checkpoint.
//!
//! Nothing is locked between the two: a process that dies there, or two that write the same rows, leave what the
//! next one finds and passes over.

use std::collections::HashSet;

use super::builds::Builds;
use super::cypher::Cypher;
use super::model::Load;
use super::server::is_there_already;
use super::{Asking, Cause};
use crate::operations::Operations;
use crate::row::Row;
use crate::store::{Completed, Target};
use crate::{Checkpoint, Db, Error};

/// Rows of one statement: what it holds is in the server's memory until it ends.
const ROWS_MAX: usize = 2_000;

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

    fn load(&self, load: &Load, rows: &[neo4rs::BoltType]) -> Result<(), Cause> {
        let (server, mark) = (&self.builds.server, self.builds.mark(self.number));
        let with = |text: &'static str| Cypher::new(text).with_all("rows", rows.to_vec());
        match server.run(&with(load.create), &mark) {
            // After a crash, or beside another process.
            Err(cause) if is_there_already(&cause) => server.run_racing(&with(load.merge), &mark),
            ran => ran,
        }
    }

    fn write(&self, operations: &Operations) -> Result<(), Cause> {
        for rows in operations.tables() {
            for load in self.builds.model.loads(rows) {
                load.rows
                    .chunks(ROWS_MAX)
                    .try_for_each(|rows| self.load(&load, rows))?;
            }
        }
        Ok(())
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

    fn finish(&mut self, operations: &Operations, last: Checkpoint) -> Result<(), Error> {
        self.write(operations).map_err(|cause| self.fault(cause))?;
        let moved = self.builds.advance(self.number, last);
        match moved.map_err(|cause| self.fault(cause))? {
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
