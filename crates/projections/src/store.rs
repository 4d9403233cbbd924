//! A view's file opened for writing: rows, checkpoint and quarantine, moved in one transaction per batch.
//!
//! WAL with `synchronous=NORMAL`: a power cut may take the last batches, rows and checkpoint together, and they are
//! folded again. Only the log must not forget; a view that waits for the disk would pay for nothing.
//!
//! **Invariant:** the checkpoint names the last commit whose rows stand in the file, with its hash and the log hash.
//! **Invariant:** a batch begins with the write lock and reads the checkpoint again: processes take turns.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mirage_domain::id::{Cursor, Digest, Position};
use mirage_log::Recorded;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
};

use crate::operations::{Operations, Table};
use crate::{Error, Registered, files, sink};

/// How long a batch waits for another process's; it is over in milliseconds.
const BUSY_MAX: Duration = Duration::from_secs(5);

/// Tables of every view, beside its own.
const FRAME: &str = "
    CREATE TABLE checkpoint (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        position INTEGER NOT NULL,
        log_hash BLOB NOT NULL,
        hash BLOB NOT NULL
    );
    CREATE TABLE quarantine (stream TEXT PRIMARY KEY, cursor INTEGER NOT NULL, error TEXT NOT NULL);
    CREATE TABLE skipped (stream TEXT NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (stream, position));
";

static QUARANTINE: Table = Table {
    name: "quarantine",
    columns: &["stream", "cursor", "error"],
};
static SKIPPED: Table = Table {
    name: "skipped",
    columns: &["stream", "position"],
};

/// The last commit that a view holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    pub position: Position,
    /// Log hash up to there.
    pub log_hash: Digest,
    /// SHA-256 of that commit.
    pub hash: Digest,
}

impl Checkpoint {
    pub const NONE: Self = Self {
        position: Position(0),
        log_hash: Digest::EMPTY,
        hash: Digest::EMPTY,
    };

    fn of(recorded: &Recorded) -> Self {
        Self {
            position: recorded.position,
            log_hash: recorded.log_hash,
            hash: recorded.hash,
        }
    }
}

/// What came of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folded {
    /// The view stands here now, by this batch or by another process's.
    At(Position),
    /// The view stands before the batch: it is another build now. Read the log from here.
    Behind(Position),
}

/// See the module's doc.
pub struct Store {
    view: &'static Registered,
    connection: Connection,
    /// None for a view in memory.
    place: Option<Place>,
    /// As this process last saw it.
    checkpoint: Checkpoint,
    quarantined: HashSet<String>,
    operations: Operations,
}

struct Place {
    folder: PathBuf,
    path: PathBuf,
    number: u64,
    /// A rebuild at work stays on its own build.
    is_pinned: bool,
}

impl Store {
    /// Opens the highest complete build, or makes the first.
    pub(crate) fn open(folder: &Path, view: &'static Registered) -> Result<Self, Error> {
        let fault = |source| Error::Folder {
            path: folder.to_owned(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(fault)?;
        let (number, path, may_create) = match files::highest(folder, view)? {
            Some(build) => (build.number, build.path, false),
            None => (1, files::path(folder, view, 1, true), true),
        };
        let connection = connect(&path, may_create).map_err(open_fault(view))?;
        let place = Place {
            folder: folder.to_owned(),
            path,
            number,
            is_pinned: false,
        };
        Self::begin(view, connection, Some(place))
    }

    /// Makes the next build, to be renamed once it has caught up.
    pub(crate) fn build(folder: &Path, view: &'static Registered) -> Result<Self, Error> {
        let last = files::builds(folder, view)?
            .last()
            .map_or(0, |build| build.number);
        let path = files::path(folder, view, last + 1, false);
        let connection = connect(&path, true).map_err(open_fault(view))?;
        let place = Place {
            folder: folder.to_owned(),
            path,
            number: last + 1,
            is_pinned: true,
        };
        Self::begin(view, connection, Some(place))
    }

    /// A view in memory.
    pub fn in_memory(view: &'static Registered) -> Result<Self, Error> {
        let connection = Connection::open_in_memory().map_err(open_fault(view))?;
        Self::begin(view, connection, None)
    }

    fn begin(
        view: &'static Registered,
        mut connection: Connection,
        place: Option<Place>,
    ) -> Result<Self, Error> {
        create(&mut connection, view).map_err(open_fault(view))?;
        let mut store = Self {
            view,
            connection,
            place,
            checkpoint: Checkpoint::NONE,
            quarantined: HashSet::new(),
            operations: Operations::default(),
        };
        store.checkpoint = checkpoint(&store.connection).map_err(open_fault(view))?;
        store.quarantined = quarantined(&store.connection).map_err(open_fault(view))?;
        Ok(store)
    }

    pub fn view(&self) -> &'static Registered {
        self.view
    }
    pub fn checkpoint(&self) -> Checkpoint {
        self.checkpoint
    }
    /// Streams that are quarantined.
    pub fn quarantined(&self) -> usize {
        self.quarantined.len()
    }
    /// Forgets the checkpoint and keeps the rows, as a crash between the two would in a store without transactions.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn rewind(&mut self) {
        let deleted = self.connection.execute("DELETE FROM checkpoint", []);
        deleted.expect("the table is there");
        self.checkpoint = Checkpoint::NONE;
    }

    pub(crate) fn into_connection(self) -> Connection {
        self.connection
    }

    /// Folds commits that follow one another; those that the view already holds are passed over.
    pub fn fold(&mut self, batch: &[Arc<Recorded>]) -> Result<Folded, Error> {
        self.follow_build()?;
        let Some(first) = batch.first() else {
            return Ok(Folded::At(self.checkpoint.position));
        };
        let view = self.view;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(write_fault(view))?;
        let found = checkpoint(&transaction).map_err(write_fault(view))?;
        if found != self.checkpoint {
            // Another process went further, and may have quarantined a stream.
            self.quarantined = quarantined(&transaction).map_err(write_fault(view))?;
            self.checkpoint = found;
        }
        if found.position.0 + 1 < first.position.0 {
            return Ok(Folded::Behind(found.position));
        }
        let known = (found.position.0 + 1 - first.position.0) as usize;
        let Some(fresh) = batch.get(known..).filter(|fresh| !fresh.is_empty()) else {
            return Ok(Folded::At(found.position));
        };
        follows(view, found, &fresh[0])?;
        self.operations.clear();
        for recorded in fresh {
            apply(view, recorded, &mut self.operations, &mut self.quarantined);
        }
        let last = Checkpoint::of(&fresh[fresh.len() - 1]);
        finish(transaction, &self.operations, last).map_err(write_fault(view))?;
        self.checkpoint = last;
        Ok(Folded::At(last.position))
    }

    /// Changes to a build that was completed since.
    fn follow_build(&mut self) -> Result<(), Error> {
        let Some(place) = self.place.as_ref().filter(|place| !place.is_pinned) else {
            return Ok(());
        };
        let highest = files::highest(&place.folder, self.view)?;
        // With all files deleted, a fresh one is made: views may be deleted at any time.
        let is_same = highest.is_some_and(|build| build.number == place.number);
        if !is_same {
            *self = Self::open(&place.folder.clone(), self.view)?;
        }
        Ok(())
    }

    /// Renames a build that has caught up with the live one. False if the live one went further meanwhile.
    pub(crate) fn complete(self) -> Result<Result<(), Self>, Error> {
        let view = self.view;
        let Some(place) = &self.place else {
            return Ok(Ok(()));
        };
        let live = match files::highest(&place.folder, view)? {
            Some(build) => Some(connect(&build.path, false).map_err(open_fault(view))?),
            None => None,
        };
        // The lock keeps the live one where it is until the new one has taken its place.
        if let Some(live) = &live {
            live.execute_batch("BEGIN IMMEDIATE")
                .map_err(write_fault(view))?;
            if checkpoint(live).map_err(write_fault(view))?.position > self.checkpoint.position {
                return Ok(Err(self));
            }
        }
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(write_fault(view))?;
        let (from, to) = (
            place.path.clone(),
            files::path(&place.folder, view, place.number, true),
        );
        // Closing removes the write-ahead log, which bears the old name.
        self.connection
            .close()
            .map_err(|(_, source)| Error::Write {
                view: view.name,
                source,
            })?;
        std::fs::rename(&from, &to).map_err(|_| Error::Interfered(view.name))?;
        Ok(Ok(()))
    }
}

fn open_fault(view: &'static Registered) -> impl Fn(rusqlite::Error) -> Error {
    |source| Error::Open {
        view: view.name,
        source,
    }
}

fn write_fault(view: &'static Registered) -> impl Fn(rusqlite::Error) -> Error {
    |source| Error::Write {
        view: view.name,
        source,
    }
}

fn connect(path: &Path, may_create: bool) -> rusqlite::Result<Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // A build that was there a moment ago and is gone must not come back empty.
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, may_create);
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_MAX)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

/// Makes the tables in one transaction; whoever comes second finds them there.
fn create(connection: &mut Connection, view: &Registered) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        transaction.execute_batch(FRAME)?;
        transaction.execute_batch(view.schema)?;
        transaction.pragma_update(None, "user_version", view.version)?;
    }
    transaction.commit()
}

pub(crate) fn checkpoint(connection: &Connection) -> rusqlite::Result<Checkpoint> {
    let mut statement = connection
        .prepare_cached("SELECT position, log_hash, hash FROM checkpoint WHERE id = 1")?;
    let found = statement.query_row([], |row| {
        Ok(Checkpoint {
            position: Position(row.get::<_, i64>(0)? as u64),
            log_hash: Digest(row.get(1)?),
            hash: Digest(row.get(2)?),
        })
    });
    Ok(found.optional()?.unwrap_or(Checkpoint::NONE))
}

fn quarantined(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    let mut statement = connection.prepare_cached("SELECT stream FROM quarantine")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// Holds the first commit of a batch against the checkpoint: the log hash must go on from there.
fn follows(view: &Registered, found: Checkpoint, next: &Recorded) -> Result<(), Error> {
    let expected = Digest::chain(found.log_hash, next.position, next.hash);
    match expected == next.log_hash {
        true => Ok(()),
        false => Err(Error::LogDiffers {
            view: view.name,
            position: next.position,
        }),
    }
}

/// The rows of one commit; a stream whose event cannot be applied is set aside.
fn apply(
    view: &Registered,
    recorded: &Recorded,
    operations: &mut Operations,
    quarantined: &mut HashSet<String>,
) {
    let stream = || recorded.commit.stream.to_string();
    // Most views have none, and then the stream's name need not be built.
    if !quarantined.is_empty() && quarantined.contains(&stream()) {
        operations.insert(&SKIPPED, [stream().into(), recorded.position.0.into()]);
        return operations.accept();
    }
    let applied = catch_unwind(AssertUnwindSafe(|| (view.apply)(recorded, operations)));
    let (cursor, reason) = match applied {
        Ok(Ok(())) => return operations.accept(),
        Ok(Err(Error::Unfit { cursor, reason })) => (cursor, reason),
        Ok(Err(other)) => (first_of(recorded), other.to_string()),
        Err(_) => (first_of(recorded), "the view's code panicked".to_owned()),
    };
    operations.discard();
    tracing::error!(view.name = view.name, stream = %stream(), %cursor, reason, "a stream is quarantined");
    operations.insert(
        &QUARANTINE,
        [stream().into(), cursor.packed().into(), reason.into()],
    );
    operations.accept();
    quarantined.insert(stream());
}

fn first_of(recorded: &Recorded) -> Cursor {
    Cursor {
        position: recorded.position,
        index: 1,
    }
}

fn finish(
    transaction: Transaction<'_>,
    operations: &Operations,
    last: Checkpoint,
) -> rusqlite::Result<()> {
    sink::execute(&transaction, operations)?;
    transaction
        .prepare_cached(
            "INSERT INTO checkpoint (id, position, log_hash, hash) VALUES (1, ?1, ?2, ?3) \
             ON CONFLICT (id) DO UPDATE SET position = ?1, log_hash = ?2, hash = ?3",
        )?
        .execute(params![
            last.position.0 as i64,
            last.log_hash.0,
            last.hash.0
        ])?;
    transaction.commit()
}
