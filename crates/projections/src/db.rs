//! A view opened for asking: the highest complete build, read-only.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use mirage_domain::id::{Cursor, FindingId, Position, WorkspaceId};
use rusqlite::{Connection, OpenFlags, params_from_iter};

use crate::error::Cause;
use crate::row::Row;
use crate::store::meilisearch::{Asked, Fault};
use crate::store::neo4j::{Asking, Cypher};
use crate::store::{Checkpoint, postgres, sqlite};
use crate::{Error, Folder, Home, Registered, Value};

/// How long a question waits for a lock; in WAL mode only a recovery holds one.
const BUSY_MAX: Duration = Duration::from_secs(5);

/// Statements that stay prepared; a list with filters is a few texts.
const STATEMENTS_MAX: usize = 64;

/// Findings that do not stand at the position asked about: of this connection alone, and empty unless there are marks.
const FALLEN: &str =
    "CREATE TEMP TABLE IF NOT EXISTS fallen (finding BLOB PRIMARY KEY) WITHOUT ROWID";

/// The condition that a row's `finding` stands, to be put behind its table's alias.
macro_rules! stands {
    ($alias:literal) => {
        concat!(
            "AND ",
            $alias,
            ".finding NOT IN (SELECT finding FROM fallen)"
        )
    };
}
pub(crate) use stands;

/// A stream that a view sets aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    pub stream: String,
    /// The event that cannot be applied.
    pub cursor: Cursor,
    pub error: String,
    /// Later commits of the stream.
    pub skipped: u64,
}

impl Quarantined {
    pub(crate) fn read(row: &Row<'_>) -> Result<Self, Cause> {
        Ok(Self {
            stream: row.get("stream")?,
            cursor: row.get("cursor")?,
            error: row.get("error")?,
            skipped: row.get("skipped")?,
        })
    }
}

/// Who answers.
enum Source {
    Sqlite(Connection),
    Neo4j(Asking),
    Meilisearch(Asked),
    Postgres(postgres::Reader),
}

/// See the module's doc. Every call blocks: within an async runtime, ask from a blocking task.
pub struct Db {
    view: &'static Registered,
    source: Source,
    /// Whose fallen findings, as of when, the connection leaves out.
    stands: RefCell<Option<(WorkspaceId, Position)>>,
    /// The same view in another store, which must answer the same.
    #[cfg(test)]
    pub(crate) beside: Option<Box<Db>>,
}

impl Db {
    /// Opens the view of a data directory.
    pub fn open(data: &Path, view: &'static Registered) -> Result<Self, Error> {
        Folder::of(data).ask(view)
    }

    pub(crate) fn open_file(path: &Path, view: &'static Registered) -> Result<Self, Error> {
        let fault = |error| Error::open(view, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
        connection.busy_timeout(BUSY_MAX).map_err(fault)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        let version = connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
        if version.map_err(fault)? == 0 {
            // Another process has made the file and not yet its tables.
            return Err(Error::NotBuilt(view.name));
        }
        Self::on_sqlite(view, connection)
    }

    pub(crate) fn on_sqlite(
        view: &'static Registered,
        connection: Connection,
    ) -> Result<Self, Error> {
        let made = connection.execute_batch(FALLEN);
        made.map_err(|error| Error::open(view, error))?;
        Ok(Self::on(view, Source::Sqlite(connection)))
    }

    pub(crate) fn on_neo4j(view: &'static Registered, asking: Asking) -> Self {
        Self::on(view, Source::Neo4j(asking))
    }

    pub(crate) fn on_meilisearch(view: &'static Registered, asked: Asked) -> Self {
        Self::on(view, Source::Meilisearch(asked))
    }

    /// The index that answers in SQL's place.
    pub(crate) fn meilisearch(&self) -> Option<&Asked> {
        match &self.source {
            Source::Meilisearch(asked) => Some(asked),
            Source::Sqlite(_) | Source::Neo4j(_) | Source::Postgres(_) => None,
        }
    }

    pub(crate) fn on_postgres(view: &'static Registered, reader: postgres::Reader) -> Self {
        Self::on(view, Source::Postgres(reader))
    }

    fn on(view: &'static Registered, source: Source) -> Self {
        Self {
            view,
            source,
            stands: RefCell::default(),
            #[cfg(test)]
            beside: None,
        }
    }

    /// Whether the connection leaves out what does not stand there.
    pub(crate) fn stands_at(&self, workspace: &WorkspaceId, at: Position) -> bool {
        let stands = self.stands.borrow();
        stands
            .as_ref()
            .is_some_and(|(whose, when)| whose == workspace && *when == at)
    }

    /// Leaves these findings out of what is asked of a workspace as of a position.
    pub(crate) fn exclude_at(
        &self,
        fallen: &[FindingId],
        workspace: &WorkspaceId,
        at: Position,
    ) -> Result<(), Error> {
        self.exclude(fallen)?;
        *self.stands.borrow_mut() = Some((workspace.clone(), at));
        Ok(())
    }

    /// From now on a store with a wall between workspaces shows the rows of this one.
    pub(crate) fn look_into(&self, workspace: &WorkspaceId) -> Result<(), Error> {
        #[cfg(test)]
        if let Some(beside) = &self.beside {
            beside.look_into(workspace)?;
        }
        match &self.source {
            Source::Postgres(reader) => self.answered(reader.look_into(workspace)),
            Source::Sqlite(_) | Source::Neo4j(_) | Source::Meilisearch(_) => Ok(()),
        }
    }

    /// From now on every answer is made without these findings: they do not stand.
    pub fn exclude(&self, fallen: &[FindingId]) -> Result<(), Error> {
        #[cfg(test)]
        if let Some(beside) = &self.beside {
            beside.exclude(fallen)?;
        }
        match &self.source {
            Source::Sqlite(connection) => self.answered(exclude(connection, fallen))?,
            Source::Neo4j(asking) => asking.exclude(fallen),
            Source::Meilisearch(asked) => asked.exclude(fallen),
            Source::Postgres(reader) => self.answered(reader.exclude(fallen))?,
        }
        Ok(())
    }

    pub(crate) fn checkpoint(&self) -> Result<Checkpoint, Error> {
        match &self.source {
            Source::Sqlite(connection) => self.answered(sqlite::checkpoint(connection)),
            Source::Neo4j(asking) => asking.checkpoint(),
            Source::Meilisearch(asked) => {
                let checkpoint = asked.checkpoint(self.view);
                checkpoint.map_err(|fault| Error::query(self.view, fault))
            }
            Source::Postgres(reader) => self.answered(reader.checkpoint()),
        }
    }

    /// What a store said, or why it did not. A build may have been replaced long ago: whoever opens the view again is
    /// answered by the new one.
    fn answered<T, E: Into<Cause>>(&self, answer: Result<T, E>) -> Result<T, Error> {
        answer.map_err(|error| match error.into() {
            Cause::Postgres(error) if postgres::is_absent(&error) => {
                Error::NotBuilt(self.view.name)
            }
            cause => Error::query(self.view, cause),
        })
    }

    /// The view's checkpoint: a question without a position is one as of here.
    pub fn position(&self) -> Result<Position, Error> {
        Ok(self.checkpoint()?.position)
    }

    /// A position to read as of: the checkpoint, or one that the view has reached.
    pub(crate) fn reached(&self, at: Option<Position>) -> Result<Position, Error> {
        let position = self.position()?;
        match at {
            Some(wanted) if wanted > position => Err(Error::Lagging {
                view: self.view.name,
                position,
                wanted,
                waited: Duration::ZERO,
            }),
            at => Ok(at.unwrap_or(position)),
        }
    }

    /// Streams with an event that cannot be applied, oldest first.
    pub fn quarantine(&self, limit: u32) -> Result<Vec<Quarantined>, Error> {
        if let Source::Neo4j(asking) = &self.source {
            let quarantine = asking.quarantine(limit);
            return quarantine.map_err(|cause| Error::query(self.view, cause));
        }
        if let Source::Meilisearch(asked) = &self.source {
            let quarantine = asked.quarantine(self.position()?, limit);
            return quarantine.map_err(|fault| Error::query(self.view, fault));
        }
        let sql = "SELECT stream, cursor, error,
            (SELECT count(*) FROM skipped s WHERE s.stream = q.stream) AS skipped
            FROM quarantine q ORDER BY cursor LIMIT ?";
        self.rows(sql, &[limit.into()], Quarantined::read)
    }

    /// How many streams are set aside.
    pub(crate) fn quarantined(&self) -> Result<u64, Error> {
        if let Source::Neo4j(asking) = &self.source {
            let count = asking.quarantined();
            return count.map_err(|cause| Error::query(self.view, cause));
        }
        if let Source::Meilisearch(asked) = &self.source {
            let count = asked.quarantined(self.position()?);
            return count.map_err(|fault| Error::query(self.view, fault));
        }
        let count = self.row("SELECT count(*) FROM quarantine", &[], |row| row.get(0))?;
        Ok(count.unwrap_or(0))
    }

    pub(crate) fn view(&self) -> &'static Registered {
        self.view
    }

    /// Whether the questions are to be asked in Cypher.
    pub(crate) fn is_graph(&self) -> bool {
        matches!(self.source, Source::Neo4j(_))
    }

    #[cfg(test)]
    pub(crate) fn connection(&self) -> &Connection {
        match &self.source {
            Source::Sqlite(connection) => connection,
            Source::Neo4j(_) | Source::Meilisearch(_) | Source::Postgres(_) => {
                panic!("a test of SQLite")
            }
        }
    }

    /// Every row of the view, by table and primary key.
    pub(crate) fn each_row(
        &self,
        mut take: impl FnMut(&str, &Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let tables = match &self.source {
            Source::Sqlite(connection) => self.answered(sqlite::tables(connection))?,
            Source::Postgres(reader) => self.answered(reader.tables())?,
            Source::Neo4j(asking) => {
                let tables = asking.tables();
                return tables
                    .iter()
                    .try_for_each(|(table, cypher)| asking.each(cypher, |row| take(table, row)));
            }
            Source::Meilisearch(_) => unreachable!("its documents are asked for by `meilisearch`"),
        };
        let mut each = || {
            tables.iter().try_for_each(|(table, keys)| {
                let order = format!("\"{}\"", keys.join("\", \""));
                let sql = format!("SELECT * FROM \"{table}\" ORDER BY {order}");
                self.each_alone(&sql, &[], |row| take(table, row))
            })
        };
        match &self.source {
            Source::Postgres(reader) => self.answered(reader.above_the_wall(each))?,
            _ => each(),
        }
    }

    /// Asks several things of one moment of the store.
    pub(crate) fn at_one_moment<T>(
        &self,
        ask: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        match &self.source {
            Source::Sqlite(connection) => {
                let _transaction = self.answered(connection.unchecked_transaction())?;
                ask()
            }
            Source::Neo4j(_) => ask(),
            // What stands up to a checkpoint is there at every later moment.
            Source::Meilisearch(_) => ask(),
            Source::Postgres(reader) => {
                self.answered(reader.begin())?;
                let asked = ask();
                reader.end();
                asked
            }
        }
    }

    /// Row by row, so that an answer of any length takes constant memory; the statement is prepared once.
    pub(crate) fn each(
        &self,
        sql: &str,
        values: &[Value],
        take: impl FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        #[cfg(test)]
        if let Some(beside) = &self.beside {
            crate::testing::places::answer_alike(self, beside, sql, values);
        }
        self.each_alone(sql, values, take)
    }

    pub(crate) fn each_alone(
        &self,
        sql: &str,
        values: &[Value],
        mut take: impl FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match &self.source {
            Source::Sqlite(connection) => {
                let mut statement = self.answered(connection.prepare_cached(sql))?;
                let mut rows = self.answered(statement.query(params_from_iter(values)))?;
                while let Some(row) = self.answered(rows.next())? {
                    take(&Row::Sqlite(row))?;
                }
                Ok(())
            }
            Source::Neo4j(_) => unreachable!("Neo4j keeps no view that asks in SQL"),
            Source::Meilisearch(_) => Err(Error::query(self.view, Fault::NoSql)),
            Source::Postgres(reader) => {
                let mut rows = self.answered(reader.ask(sql, values))?;
                while let Some(row) = self.answered(rows.next())? {
                    take(&Row::Postgres(&row))?;
                }
                Ok(())
            }
        }
    }

    /// As [`Db::each`], of a store that speaks Cypher.
    pub(crate) fn each_in_graph(
        &self,
        cypher: &Cypher,
        take: impl FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match &self.source {
            Source::Neo4j(asking) => asking.each(cypher, take),
            Source::Sqlite(_) | Source::Meilisearch(_) | Source::Postgres(_) => {
                unreachable!("only Neo4j speaks Cypher")
            }
        }
    }

    /// All rows of a statement.
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        values: &[Value],
        mut read: impl FnMut(&Row<'_>) -> Result<T, Cause>,
    ) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        self.each(sql, values, |row| {
            all.push(read(row).map_err(|cause| Error::query(self.view, cause))?);
            Ok(())
        })?;
        Ok(all)
    }

    /// The one row of a statement, if there is one.
    pub(crate) fn row<T>(
        &self,
        sql: &str,
        values: &[Value],
        read: impl FnMut(&Row<'_>) -> Result<T, Cause>,
    ) -> Result<Option<T>, Error> {
        Ok(self.rows(sql, values, read)?.into_iter().next())
    }
}

fn exclude(connection: &Connection, fallen: &[FindingId]) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM temp.fallen", [])?;
    let mut insert =
        connection.prepare_cached("INSERT INTO temp.fallen VALUES (?) ON CONFLICT DO NOTHING")?;
    for finding in fallen {
        insert.execute([finding.0])?;
    }
    Ok(())
}
