//! Asking a build of a view.

use std::cell::RefCell;

use data_encoding::HEXLOWER;
use mirage_domain::id::FindingId;

use super::builds::Builds;
use super::cypher::{Cypher, Record};
use crate::db::Quarantined;
use crate::error::Cause;
use crate::row::Row;
use crate::{Checkpoint, Error};

const QUARANTINE: &str = "MATCH (q:Quarantined@)
    RETURN q.stream AS stream, q.cursor AS cursor, q.error AS error,
        COUNT { MATCH (s:Skipped@ {stream: q.stream}) WHERE s.position IS NOT NULL } AS skipped
    ORDER BY cursor LIMIT $limit";

const QUARANTINED: &str = "MATCH (q:Quarantined@) RETURN count(q) AS count";

/// See the module's doc.
pub(crate) struct Asking {
    builds: Builds,
    number: i64,
    mark: String,
    /// Findings that do not stand, as they lie there.
    fallen: RefCell<Vec<String>>,
}

impl Asking {
    pub(super) fn of(builds: Builds, number: i64) -> Self {
        Self {
            mark: builds.mark(number),
            builds,
            number,
            fallen: RefCell::default(),
        }
    }

    pub(crate) fn exclude(&self, fallen: &[FindingId]) {
        let fallen = fallen.iter().map(|finding| HEXLOWER.encode(&finding.0));
        *self.fallen.borrow_mut() = fallen.collect();
    }

    pub(crate) fn checkpoint(&self) -> Result<Checkpoint, Error> {
        let view = self.builds.view;
        let all = self
            .builds
            .all()
            .map_err(|cause| Error::query(view, cause))?;
        let own = all.iter().find(|build| build.number == self.number);
        // A build that was replaced a while ago is deleted.
        own.map(|build| build.checkpoint)
            .ok_or(Error::NotBuilt(view.name))
    }

    pub(crate) fn each(
        &self,
        cypher: &Cypher,
        mut take: impl FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // What the server says is told apart from what `take` answers.
        let mut taken = Ok(());
        let cypher = cypher.clone().with("fallen", self.fallen.borrow().clone());
        let asked = self.builds.server.each(&cypher, &self.mark, |record| {
            taken = take(&Row::Neo4j(record));
            match taken {
                Ok(()) => Ok(()),
                Err(_) => Err(Stop::Taken),
            }
        });
        match asked {
            Err(Stop::Asked(cause)) => Err(Error::query(self.builds.view, cause)),
            Ok(()) | Err(Stop::Taken) => taken,
        }
    }

    pub(crate) fn quarantine(&self, limit: u32) -> Result<Vec<Quarantined>, Cause> {
        let quarantine = Cypher::new(QUARANTINE).with("limit", limit);
        self.rows(&quarantine, Quarantined::read)
    }

    pub(crate) fn quarantined(&self) -> Result<u64, Cause> {
        let counts = self.rows(&Cypher::new(QUARANTINED), |row| row.get::<_, u64>("count"))?;
        Ok(counts.into_iter().sum())
    }

    /// The view's tables by name, each with the statement that reads it in the order of its primary key.
    pub(crate) fn tables(&self) -> Vec<(&'static str, Cypher)> {
        self.builds.model.tables(&self.mark)
    }

    fn rows<T>(
        &self,
        cypher: &Cypher,
        read: impl Fn(&Row<'_>) -> Result<T, Cause>,
    ) -> Result<Vec<T>, Cause> {
        let read = |record: &Record| read(&Row::Neo4j(record));
        self.builds.server.rows(cypher, &self.mark, read)
    }
}

/// Why an answer was not read to its end.
enum Stop {
    Asked(Cause),
    Taken,
}

impl From<Cause> for Stop {
    fn from(cause: Cause) -> Self {
        Self::Asked(cause)
    }
}
