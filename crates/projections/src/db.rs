//! A view's file opened for asking: read-only, the highest complete build.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use mirage_domain::id::{Cursor, FindingId, Position, WorkspaceId};
use rusqlite::{Connection, OpenFlags, Row};

use crate::{Error, Registered, Store, files, store};

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
            ".finding NOT IN (SELECT finding FROM temp.fallen)"
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

/// See the module's doc. Every call blocks: within an async runtime, ask from a blocking task.
pub struct Db {
    view: &'static Registered,
    connection: Connection,
    /// Whose fallen findings, as of when, the connection leaves out.
    stands: RefCell<Option<(WorkspaceId, Position)>>,
}

impl Db {
    /// Opens the view of a data directory.
    pub fn open(data: &Path, view: &'static Registered) -> Result<Self, Error> {
        let folder = files::folder(data);
        // A build may be replaced between the look and the opening; the next look sees the new one.
        Self::open_highest(&folder, view).or_else(|_| Self::open_highest(&folder, view))
    }

    fn open_highest(folder: &Path, view: &'static Registered) -> Result<Self, Error> {
        let build = files::highest(folder, view)?.ok_or(Error::NotBuilt(view.name))?;
        let fault = |source| Error::Open {
            view: view.name,
            source,
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&build.path, flags).map_err(fault)?;
        connection.busy_timeout(BUSY_MAX).map_err(fault)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        let version = connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
        if version.map_err(fault)? == 0 {
            // Another process has made the file and not yet its tables.
            return Err(Error::NotBuilt(view.name));
        }
        connection.execute_batch(FALLEN).map_err(fault)?;
        Ok(Self {
            view,
            connection,
            stands: RefCell::default(),
        })
    }

    /// Asks a store itself: for views in memory.
    pub fn of(store: Store) -> Result<Self, Error> {
        let view = store.view();
        let connection = store.into_connection();
        let fault = |source| Error::Open {
            view: view.name,
            source,
        };
        connection.execute_batch(FALLEN).map_err(fault)?;
        Ok(Self {
            view,
            connection,
            stands: RefCell::default(),
        })
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

    /// From now on every answer is made without these findings: they do not stand.
    pub fn exclude(&self, fallen: &[FindingId]) -> Result<(), Error> {
        let exclude = || {
            self.connection.execute("DELETE FROM temp.fallen", [])?;
            let mut insert = self
                .connection
                .prepare_cached("INSERT OR IGNORE INTO temp.fallen VALUES (?)")?;
            for finding in fallen {
                insert.execute([finding.0])?;
            }
            Ok(())
        };
        exclude().map_err(|source| self.fault(source))
    }

    /// The view's checkpoint: a question without a position is one as of here.
    pub fn position(&self) -> Result<Position, Error> {
        let checkpoint = store::checkpoint(&self.connection);
        Ok(checkpoint.map_err(|source| self.fault(source))?.position)
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
        let sql = "SELECT stream, cursor, error,
            (SELECT count(*) FROM skipped s WHERE s.stream = q.stream) AS skipped
            FROM quarantine q ORDER BY cursor LIMIT ?";
        self.rows(sql, [limit], |row| {
            Ok(Quarantined {
                stream: row.get("stream")?,
                cursor: Cursor::unpacked(row.get("cursor")?),
                error: row.get("error")?,
                skipped: row.get::<_, i64>("skipped")? as u64,
            })
        })
    }

    pub(crate) fn view(&self) -> &'static Registered {
        self.view
    }
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }
    pub(crate) fn fault(&self, source: rusqlite::Error) -> Error {
        Error::Query {
            view: self.view.name,
            source,
        }
    }

    /// All rows of a statement that is prepared once.
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let fault = |source| self.fault(source);
        let mut statement = self.connection.prepare_cached(sql).map_err(fault)?;
        let rows = statement.query_map(values, read).map_err(fault)?;
        rows.collect::<rusqlite::Result<_>>().map_err(fault)
    }

    /// The one row of a statement, if there is one.
    pub(crate) fn row<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        Ok(self.rows(sql, values, read)?.into_iter().next())
    }
}
