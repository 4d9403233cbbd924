//! The log in one SQLite file: WAL, `synchronous=FULL`, one writer thread, many readers.
//!
//! Several processes may use one directory: SQLite's write lock orders them, and `PRAGMA data_version` tells each of
//! the others' commits.
//! **Invariant:** a commit is acknowledged after the transaction that holds it is on disk.
//! **Invariant:** `head` (the anchor) is written under the write lock only, for what is committed, never backwards.

mod anchor;
mod lock;
mod read;
mod tail;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use mirage_domain::id::{Position, StreamId};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::watch;

pub use anchor::Anchor;
pub use lock::use_wal;
use read::Page;
use tail::Tail;
use write::{Act, Writer};

use crate::error::Damage;
use crate::{
    AppendError, Capabilities, EncodedCommit, EventLog, Filter, Head, OpenError, Read, ReadError,
    Recorded, Tip,
};

/// `PRAGMA application_id` of a log: the letters MIRL.
const APPLICATION: i64 = 0x4d49_524c;
/// `PRAGMA user_version`: the file format that this program writes and reads.
const FORMAT: i64 = 1;
/// How often another process's commits are looked for.
const POLL: Duration = Duration::from_millis(50);
/// Pages that the writer keeps, in KiB: the ends of the indexes and the streams that are being written.
const CACHE_KIB: i64 = 16 * 1024;
/// Idle reading connections that are kept.
const READERS_MAX: usize = 8;

const SCHEMA: &str = "
    CREATE TABLE commits (
        position INTEGER PRIMARY KEY,
        stream TEXT NOT NULL,
        version INTEGER NOT NULL,
        events INTEGER NOT NULL,
        scan TEXT,
        id BLOB NOT NULL,
        hash BLOB NOT NULL,
        log_hash BLOB NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX commits_by_stream ON commits (stream, version);
    CREATE INDEX commits_by_scan ON commits (scan, position) WHERE scan IS NOT NULL;
";

/// The file of the log in a data directory.
pub fn path(dir: &Path) -> PathBuf {
    dir.join("log.db")
}

/// See the module's doc.
pub struct Sqlite {
    writer: Writer,
    readers: Arc<Readers>,
    head: watch::Receiver<Position>,
}

/// Connections for reading; each is used by one page at a time.
struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    fn with<T>(
        &self,
        act: impl FnOnce(&Connection) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let idle = self.idle.lock().expect("no holder panics").pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open_reader(&self.path).map_err(store)?,
        };
        let answer = act(&connection)?;
        let mut idle = self.idle.lock().expect("no holder panics");
        if idle.len() < READERS_MAX {
            idle.push(connection);
        }
        Ok(answer)
    }
}

fn store(error: rusqlite::Error) -> ReadError {
    ReadError::Store(error.into())
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(lock::BUSY_MAX)?;
    Ok(connection)
}

impl Sqlite {
    /// Opens the log of a data directory, or makes an empty one where there is none.
    ///
    /// Refuses a foreign file, a newer format, and a log that is behind its anchor.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let path = path(dir);
        let anchor = Anchor::read(dir).map_err(|source| OpenError::Store {
            path: anchor::path(dir),
            source,
        })?;
        if let Some(anchor) = anchor.filter(|_| !path.exists()) {
            let what = Damage::BehindAnchor { head: Position(0) };
            return Err(damaged(ReadError::Damaged {
                at: anchor.position,
                what,
            }));
        }
        Self::start(dir, anchor)
    }

    /// Opens a log that may be behind its anchor: for restoring alone.
    pub(crate) fn open_behind(dir: &Path) -> Result<Self, OpenError> {
        Self::start(dir, None)
    }

    fn start(dir: &Path, anchor: Option<Anchor>) -> Result<Self, OpenError> {
        let path = path(dir);
        let connection = open_writer(&path)?;
        let head = read::head(&connection).map_err(damaged)?;
        if let Some(anchor) = anchor {
            anchor.check(&connection, head).map_err(damaged)?;
        }
        let (told, head) = watch::channel(head.position);
        let readers = Arc::new(Readers {
            path,
            idle: Mutex::default(),
        });
        let writer = Writer::start(connection, dir.to_owned(), told.clone());
        watch_others(Arc::downgrade(&readers), told);
        Ok(Self {
            writer,
            readers,
            head,
        })
    }

    /// Holds SQLite's own structures against one another: the indexes that find streams and scans.
    /// What the commits say is for [`crate::verify()`].
    pub async fn check_file(&self) -> Result<(), ReadError> {
        self.reading(|connection| {
            let said: String = connection
                .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
                .map_err(store)?;
            match said.as_str() {
                "ok" => Ok(()),
                _ => Err(ReadError::Damaged {
                    at: Position(0),
                    what: Damage::File(said),
                }),
            }
        })
        .await
    }

    async fn reading<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Connection) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let readers = self.readers.clone();
        let joined = tokio::task::spawn_blocking(move || readers.with(act)).await;
        joined.map_err(|error| ReadError::Store(error.into()))?
    }
}

fn damaged(error: ReadError) -> OpenError {
    OpenError::Damaged(Box::new(error))
}

fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    let fail = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            let pid = lock::holder(path);
            OpenError::Create(Box::new(AppendError::Busy { pid }))
        }
        _ => OpenError::Store {
            path: path.to_owned(),
            source: source.into(),
        },
    };
    let foreign = |source| OpenError::Foreign {
        path: path.to_owned(),
        source,
    };
    let is_new = !path.exists();
    crate::evidence::sync_wal(path).map_err(|source| OpenError::Store {
        path: path.to_owned(),
        source: source.into(),
    })?;
    let connection = Connection::open(path).map_err(fail)?;
    connection.busy_timeout(lock::BUSY_MAX).map_err(fail)?;
    if !is_new {
        // One statement, so one moment: another starter may be making the tables.
        let sql = "SELECT (SELECT application_id FROM pragma_application_id), \
                   (SELECT user_version FROM pragma_user_version), \
                   (SELECT count(*) FROM sqlite_schema)";
        let (application, format, tables): (i64, i64, i64) = connection
            .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .map_err(|error| foreign(Some(error.into())))?;
        match (application, format) {
            (APPLICATION, FORMAT) => {}
            (APPLICATION, found) if found > FORMAT => {
                return Err(OpenError::Newer {
                    path: path.to_owned(),
                    found,
                    known: FORMAT,
                });
            }
            // Another starter has made the file and not yet filled it.
            (0, 0) if tables == 0 => {}
            _ => return Err(foreign(None)),
        }
    }
    use_wal(&connection).map_err(fail)?;
    connection
        .pragma_update(None, "synchronous", "FULL")
        .map_err(fail)?;
    connection
        .pragma_update(None, "cache_size", -CACHE_KIB)
        .map_err(fail)?;
    create(&connection).map_err(fail)?;
    Ok(connection)
}

/// Makes the tables in one transaction; whoever comes second finds them there.
fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let format: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if format == 0 {
        connection.execute_batch(SCHEMA)?;
        connection.pragma_update(None, "application_id", APPLICATION)?;
        connection.pragma_update(None, "user_version", FORMAT)?;
    }
    connection.execute_batch("COMMIT")
}

/// Looks for commits of other processes until the log is dropped.
fn watch_others(readers: Weak<Readers>, told: watch::Sender<Position>) {
    let mut known = None;
    let look = move || -> Option<()> {
        let readers = readers.upgrade()?;
        let seen = readers.with(|connection| {
            let version =
                connection.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0));
            Ok((version.map_err(store)?, read::head(connection)?.position))
        });
        // A reader that fails says so itself; the watcher only wakes them.
        if let Ok((_, head)) = seen
            && known.replace(head) != Some(head)
        {
            told.send_if_modified(|position| {
                let is_news = head > *position;
                *position = head.max(*position);
                is_news
            });
        }
        Some(())
    };
    let watch = move || {
        let mut look = look;
        while look().is_some() {
            std::thread::park_timeout(POLL);
        }
    };
    std::thread::Builder::new()
        .name("log-watch".into())
        .spawn(watch)
        .expect("a thread can be started");
}

#[async_trait]
impl EventLog for Sqlite {
    async fn append(
        &self,
        commit: EncodedCommit,
        expected: Option<Tip>,
    ) -> Result<Tip, AppendError> {
        self.writer.act(Act::Append { expected }, commit).await
    }

    async fn copy(&self, at: Position, commit: EncodedCommit) -> Result<(), AppendError> {
        self.writer.act(Act::Copy { at }, commit).await.map(|_| ())
    }

    fn read(&self, after: Position, filter: Filter) -> BoxStream<'_, Result<Read, ReadError>> {
        let page = Page::first(after, filter);
        let tail = Tail::new(self.readers.clone(), self.head.clone(), page);
        Box::pin(futures::stream::unfold(tail, |mut tail| async {
            let read = tail.next().await?;
            Some((read, tail))
        }))
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Position,
    ) -> Result<Vec<Arc<Recorded>>, ReadError> {
        let stream = stream.clone();
        self.reading(move |connection| read::stream(connection, &stream, after))
            .await
    }

    async fn read_stream_page(
        &self,
        stream: &StreamId,
        tip: Option<Tip>,
    ) -> Result<Vec<Arc<Recorded>>, ReadError> {
        let stream = stream.clone();
        self.reading(move |connection| read::stream_page(connection, &stream, tip))
            .await
    }

    async fn commit(&self, at: Position) -> Result<Arc<Recorded>, ReadError> {
        self.reading(move |connection| read::commit(connection, at))
            .await
    }

    async fn head(&self) -> Result<Head, ReadError> {
        self.reading(read::head).await
    }

    fn capabilities(&self) -> Capabilities {
        let server = format!("SQLite {}", rusqlite::version());
        Capabilities {
            backend: "sqlite",
            is_durable: true,
            replicas: 1,
            server,
        }
    }
}

#[cfg(test)]
mod tests;
