//! Reading pages of commits, each row held against its bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use mirage_domain::id::{Digest, Position, StreamId, Version};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::store;
use crate::commit::{Commit, decode};
use crate::error::Damage;
use crate::{Filter, Head, ReadError, Recorded, Tip};

/// Commits of one page at most.
const PAGE_COMMITS: usize = 512;
/// Commits of one stream that are read at once, each at most as large as a commit may be.
const STREAM_PAGE_COMMITS: usize = 64;
/// Bytes of commits after which a page ends: about what a core's cache holds once it is decoded.
const PAGE_BYTES: usize = 256 * 1024;

const COLUMNS: &str = "position, stream, version, events, scan, id, hash, log_hash, bytes";

/// A place in the log and the commits that were read ahead of it.
pub(super) struct Page {
    filter: Filter,
    pub(super) after: Position,
    /// Log hash at `after`; known once an unfiltered reader has begun.
    log_hash: Option<Digest>,
    pub(super) ready: VecDeque<Raw>,
    /// Whether the page's bounds cut it: there may be more at once.
    pub(super) is_full: bool,
}

impl Page {
    pub(super) fn first(after: Position, filter: Filter) -> Self {
        Self {
            filter,
            after,
            log_hash: None,
            ready: VecDeque::new(),
            is_full: false,
        }
    }

    /// Reads what follows, up to the page's bounds.
    pub(super) fn next(mut self, connection: &Connection) -> Result<Self, ReadError> {
        if self.filter == Filter::All && self.log_hash.is_none() {
            self.log_hash = Some(begin(connection, self.after)?);
        }
        let scan = match &self.filter {
            Filter::All => None,
            Filter::Scan(scan) => Some(scan.to_string()),
        };
        let sql = match scan {
            None => format!("SELECT {COLUMNS} FROM commits WHERE position > ?1 ORDER BY position"),
            Some(_) => format!(
                "SELECT {COLUMNS} FROM commits WHERE scan = ?2 AND position > ?1 ORDER BY position"
            ),
        };
        let mut statement = connection.prepare_cached(&sql).map_err(store)?;
        let after = self.after.0 as i64;
        let mut rows = match &scan {
            None => statement.query(params![after]),
            Some(scan) => statement.query(params![after, scan]),
        }
        .map_err(store)?;
        let mut bytes = 0;
        while self.ready.len() < PAGE_COMMITS && bytes < PAGE_BYTES {
            let Some(row) = rows.next().map_err(store)? else {
                break;
            };
            let raw = match Raw::read(row).and_then(|raw| self.follow(raw)) {
                Ok(raw) => raw,
                // What stands before a bad commit is read; the next page begins with the error.
                Err(_) if !self.ready.is_empty() => return Ok(self),
                Err(error) => return Err(error),
            };
            bytes += raw.bytes.len();
            self.ready.push_back(raw);
        }
        self.is_full = self.ready.len() >= PAGE_COMMITS || bytes >= PAGE_BYTES;
        Ok(self)
    }

    /// Holds a commit against the one before it, where the reader has seen that one.
    fn follow(&mut self, raw: Raw) -> Result<Raw, ReadError> {
        if let Some(previous) = self.log_hash {
            let at = Position(self.after.0 + 1);
            if raw.position != at {
                return Err(ReadError::Damaged {
                    at,
                    what: Damage::Missing,
                });
            }
            if Digest::chain(previous, at, raw.hash) != raw.log_hash {
                return Err(ReadError::Damaged {
                    at,
                    what: Damage::LogHash,
                });
            }
            self.log_hash = Some(raw.log_hash);
        }
        self.after = raw.position;
        Ok(raw)
    }
}

fn begin(connection: &Connection, after: Position) -> Result<Digest, ReadError> {
    match after {
        Position(0) => Ok(Digest::EMPTY),
        at => log_hash(connection, at)?.ok_or(ReadError::Damaged {
            at,
            what: Damage::Missing,
        }),
    }
}

fn digest(row: &Row<'_>, column: &str) -> rusqlite::Result<Digest> {
    row.get(column).map(Digest)
}

/// A row whose bytes have the recorded hash, not yet decoded.
pub(super) struct Raw {
    position: Position,
    stream: String,
    scan: Option<String>,
    version: u64,
    events: usize,
    id: [u8; 16],
    hash: Digest,
    log_hash: Digest,
    bytes: Arc<[u8]>,
}

impl Raw {
    fn read(row: &Row<'_>) -> Result<Self, ReadError> {
        let at = position(row)?;
        // A flipped bit may also turn a column into something that is no longer of its type.
        let lost = Damage::Row("a column has lost its form");
        let raw = Self::columns(row, at);
        let raw = raw.map_err(|_| ReadError::Damaged { at, what: lost })?;
        match Digest::of(&raw.bytes) == raw.hash {
            true => Ok(raw),
            false => Err(ReadError::Damaged {
                at,
                what: Damage::Bytes,
            }),
        }
    }

    fn columns(row: &Row<'_>, position: Position) -> rusqlite::Result<Self> {
        Ok(Self {
            position,
            stream: row.get("stream")?,
            scan: row.get("scan")?,
            version: row.get::<_, i64>("version")? as u64,
            events: row.get::<_, i64>("events")? as usize,
            id: row.get("id")?,
            hash: digest(row, "hash")?,
            log_hash: digest(row, "log_hash")?,
            bytes: row.get_ref("bytes")?.as_blob()?.into(),
        })
    }

    /// The commit, held against the row's columns. Whoever uses it decodes it: what is decoded on one thread and freed
    /// on another costs the allocator dear.
    pub(super) fn decode(self) -> Result<Recorded, ReadError> {
        let at = self.position;
        let commit = decode(&self.bytes).map_err(|source| ReadError::Decode { at, source })?;
        if let Some(what) = self.differs(&commit) {
            return Err(ReadError::Damaged {
                at,
                what: Damage::Row(what),
            });
        }
        let Self {
            hash,
            log_hash,
            bytes,
            ..
        } = self;
        Ok(Recorded {
            position: at,
            hash,
            log_hash,
            bytes,
            commit,
        })
    }

    /// The first column that says something else than the commit.
    fn differs(&self, commit: &Commit) -> Option<&'static str> {
        let StreamId {
            workspace,
            scan,
            category,
            id,
        } = &commit.stream;
        let scan = scan.as_ref().map(|scan| scan.as_str());
        let parts = [
            workspace.as_str(),
            scan.unwrap_or("_"),
            category.as_str(),
            id.as_str(),
        ];
        match () {
            () if !self.stream.split('/').eq(parts) => Some("stream"),
            () if self.scan.as_deref() != scan => Some("scan"),
            () if self.version != commit.version.0 => Some("version"),
            () if self.events != commit.events.len() => Some("events"),
            () if self.id != *commit.id.as_bytes() => Some("id"),
            () => None,
        }
    }
}

fn recorded(row: &Row<'_>) -> Result<Recorded, ReadError> {
    Raw::read(row)?.decode()
}

pub(super) fn head(connection: &Connection) -> Result<Head, ReadError> {
    let sql = "SELECT position, log_hash FROM commits ORDER BY position DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql).map_err(store)?;
    let head = statement.query_row([], |row| {
        let position = Position(row.get::<_, i64>("position")? as u64);
        Ok(Head {
            position,
            log_hash: digest(row, "log_hash")?,
        })
    });
    Ok(head.optional().map_err(store)?.unwrap_or(Head::EMPTY))
}

pub(super) fn log_hash(connection: &Connection, at: Position) -> Result<Option<Digest>, ReadError> {
    let sql = "SELECT log_hash FROM commits WHERE position = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(store)?;
    statement
        .query_row([at.0 as i64], |row| digest(row, "log_hash"))
        .optional()
        .map_err(store)
}

pub(super) fn commit(connection: &Connection, at: Position) -> Result<Arc<Recorded>, ReadError> {
    let absent = || ReadError::Absent(at);
    let position = i64::try_from(at.0).map_err(|_| absent())?;
    let sql = format!("SELECT {COLUMNS} FROM commits WHERE position = ?1");
    let mut statement = connection.prepare_cached(&sql).map_err(store)?;
    let mut rows = statement.query([position]).map_err(store)?;
    let row = rows.next().map_err(store)?.ok_or_else(absent)?;
    recorded(row).map(Arc::new)
}

/// The commits of a stream after a position, walked from its end, so that a hot reader pays for what is new alone.
pub(super) fn stream(
    connection: &Connection,
    stream: &StreamId,
    after: Position,
) -> Result<Vec<Arc<Recorded>>, ReadError> {
    let sql = format!("SELECT {COLUMNS} FROM commits WHERE stream = ?1 ORDER BY version DESC");
    let mut statement = connection.prepare_cached(&sql).map_err(store)?;
    let mut rows = statement.query([stream.to_string()]).map_err(store)?;
    let mut commits: Vec<Arc<Recorded>> = Vec::new();
    let mut before = None;
    while let Some(row) = rows.next().map_err(store)? {
        if position(row)? <= after {
            before = Some(digest(row, "hash").map_err(store)?);
            break;
        }
        commits.push(Arc::new(recorded(row)?));
    }
    commits.reverse();
    chained(commits, before)
}

/// The commits of a stream that follow on its commit at `tip`, a page of them.
pub(super) fn stream_page(
    connection: &Connection,
    stream: &StreamId,
    tip: Option<Tip>,
) -> Result<Vec<Arc<Recorded>>, ReadError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM commits WHERE stream = ?1 AND version > ?2
         ORDER BY version LIMIT {STREAM_PAGE_COMMITS}"
    );
    let mut statement = connection.prepare_cached(&sql).map_err(store)?;
    let after = tip.map_or(0, |tip| tip.version.0) as i64;
    let mut rows = statement
        .query(params![stream.to_string(), after])
        .map_err(store)?;
    let mut commits = Vec::new();
    while let Some(row) = rows.next().map_err(store)? {
        commits.push(Arc::new(recorded(row)?));
    }
    chained(commits, tip.map(|tip| tip.hash))
}

/// The commits of one stream, each held against the one before it.
fn chained(
    commits: Vec<Arc<Recorded>>,
    mut before: Option<Digest>,
) -> Result<Vec<Arc<Recorded>>, ReadError> {
    for recorded in &commits {
        if recorded.commit.prev != before {
            return Err(ReadError::Damaged {
                at: recorded.position,
                what: Damage::Chain,
            });
        }
        before = Some(recorded.hash);
    }
    Ok(commits)
}

fn position(row: &Row<'_>) -> Result<Position, ReadError> {
    Ok(Position(
        row.get::<_, i64>("position").map_err(store)? as u64
    ))
}

/// The end of a stream, by its index.
pub(super) fn tip(connection: &Connection, stream: &str) -> rusqlite::Result<Option<Tip>> {
    let sql = "SELECT position, version, events, hash FROM commits WHERE stream = ?1 \
               ORDER BY version DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row([stream], tip_of).optional()
}

/// The commit that begins with `version` of a stream, if it has this id and hash.
pub(super) fn landed(
    connection: &Connection,
    stream: &str,
    version: Version,
    id: uuid::Uuid,
    hash: Digest,
) -> rusqlite::Result<Option<Tip>> {
    let sql = "SELECT position, version, events, hash FROM commits \
               WHERE stream = ?1 AND version = ?2 AND id = ?3 AND hash = ?4";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row(
        params![stream, version.0 as i64, id.as_bytes(), hash.0],
        tip_of,
    );
    found.optional()
}

fn tip_of(row: &Row<'_>) -> rusqlite::Result<Tip> {
    let first: i64 = row.get("version")?;
    let events: i64 = row.get("events")?;
    Ok(Tip {
        position: Position(row.get::<_, i64>("position")? as u64),
        version: Version((first + events - 1) as u64),
        hash: digest(row, "hash")?,
    })
}
