//! Which pack holds a small item: a local cache, made anew from the packs whenever it is not there.
//!
//! **Never:** anything that the packs do not tell.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mirage_domain::id::{Digest, WorkspaceId};
use rusqlite::{Connection, OptionalExtension, params};

use super::pack::Entry;
use crate::evidence::Error;

/// Raise when the tables change: an older file is thrown away.
const VERSION: i64 = 1;
/// Digests of one page.
const PAGE_ROWS: u32 = 512;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS bucket (name TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS packs (
        id INTEGER PRIMARY KEY,
        workspace TEXT NOT NULL,
        name TEXT NOT NULL,
        size INTEGER NOT NULL,
        UNIQUE (workspace, name)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS items (
        digest BLOB NOT NULL,
        pack INTEGER NOT NULL,
        start INTEGER NOT NULL,
        ends INTEGER NOT NULL,
        PRIMARY KEY (digest, pack)
    ) STRICT, WITHOUT ROWID;
";

/// Where an item lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) pack: String,
    pub(super) start: u64,
    pub(super) end: u64,
    /// Bytes of the pack; less than `end` if the pack was cut off.
    pub(super) size: u64,
}

pub(super) struct Index(Arc<Mutex<Connection>>);

impl Index {
    /// Opens the index of a bucket in a file, or in a temporary one; what is not this bucket's is thrown away.
    pub(super) fn open(path: Option<&Path>, bucket: &str) -> Result<Self, Error> {
        if let Some(folder) = path.and_then(Path::parent) {
            std::fs::create_dir_all(folder).map_err(|error| Error::Open(error.into()))?;
        }
        let opened = prepare(path, bucket).or_else(|error| match path {
            // It can be made anew, so a damaged one is no error.
            Some(file) if is_damage(&error) => {
                tracing::warn!(path = %file.display(), "the index of evidence is damaged and made anew");
                remove(file);
                prepare(path, bucket)
            }
            _ => Err(error),
        });
        let connection = opened.map_err(failed)?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().expect("no holder panics")
    }

    /// Where an item lies, whole ones first.
    pub(super) fn places(
        &self,
        workspace: &WorkspaceId,
        digest: Digest,
    ) -> Result<Vec<Place>, Error> {
        let sql = "SELECT name, start, ends, size FROM items JOIN packs ON packs.id = items.pack \
                   WHERE digest = ?1 AND workspace = ?2 ORDER BY ends > size, packs.id";
        let connection = self.connection();
        let mut statement = connection.prepare_cached(sql).map_err(failed)?;
        let rows = statement.query_map(params![digest.0, workspace.as_str()], |row| {
            Ok(Place {
                pack: row.get(0)?,
                start: unsigned(row, 1)?,
                end: unsigned(row, 2)?,
                size: unsigned(row, 3)?,
            })
        });
        rows.and_then(Iterator::collect).map_err(failed)
    }

    /// Whether a pack holds all of an item.
    pub(super) fn has(&self, workspace: &WorkspaceId, digest: Digest) -> Result<bool, Error> {
        let places = self.places(workspace, digest)?;
        Ok(places.iter().any(|place| place.end <= place.size))
    }

    /// The names and sizes of the packs that are known.
    pub(super) fn packs(&self, workspace: &WorkspaceId) -> Result<HashMap<String, u64>, Error> {
        let connection = self.connection();
        let sql = "SELECT name, size FROM packs WHERE workspace = ?1";
        let mut statement = connection.prepare_cached(sql).map_err(failed)?;
        let rows = statement.query_map([workspace.as_str()], |row| {
            Ok((row.get(0)?, unsigned(row, 1)?))
        });
        rows.and_then(Iterator::collect).map_err(failed)
    }

    /// Takes in what a pack holds; a pack that is known changes nothing.
    pub(super) async fn take(
        &self,
        workspace: &WorkspaceId,
        name: String,
        size: u64,
        entries: Vec<Entry>,
    ) -> Result<(), Error> {
        let (connection, workspace) = (self.0.clone(), workspace.clone());
        let take = move || {
            let mut connection = connection.lock().expect("no holder panics");
            take(&mut connection, &workspace, &name, size, &entries)
        };
        let taken = tokio::task::spawn_blocking(take).await;
        taken
            .map_err(|error| Error::Open(error.into()))?
            .map_err(failed)
    }

    /// Drops a pack that is no longer there.
    pub(super) fn forget(&self, workspace: &WorkspaceId, name: &str) -> Result<(), Error> {
        let connection = self.connection();
        let key = params![workspace.as_str(), name];
        let sql = "DELETE FROM items WHERE pack = (SELECT id FROM packs WHERE workspace = ?1 AND name = ?2)";
        let gone = connection.execute(sql, key);
        let sql = "DELETE FROM packs WHERE workspace = ?1 AND name = ?2";
        gone.and_then(|_| connection.execute(sql, key))
            .map(drop)
            .map_err(failed)
    }

    /// The next digests after one, in order; none at the end.
    pub(super) fn page(
        &self,
        workspace: &WorkspaceId,
        after: Option<Digest>,
    ) -> Result<Vec<Digest>, Error> {
        let after = after.map_or(Vec::new(), |digest| digest.0.to_vec());
        let sql = "SELECT DISTINCT digest FROM items JOIN packs ON packs.id = items.pack \
                   WHERE digest > ?1 AND workspace = ?2 ORDER BY digest LIMIT ?3";
        let connection = self.connection();
        let mut statement = connection.prepare_cached(sql).map_err(failed)?;
        let rows = statement.query_map(params![after, workspace.as_str(), PAGE_ROWS], |row| {
            Ok(Digest(row.get(0)?))
        });
        rows.and_then(Iterator::collect).map_err(failed)
    }
}

fn take(
    connection: &mut Connection,
    workspace: &WorkspaceId,
    name: &str,
    size: u64,
    entries: &[Entry],
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let sql = "INSERT OR IGNORE INTO packs (workspace, name, size) VALUES (?1, ?2, ?3)";
    if transaction.execute(sql, params![workspace.as_str(), name, signed(size)])? == 1 {
        let id = transaction.last_insert_rowid();
        let sql = "INSERT OR IGNORE INTO items (digest, pack, start, ends) VALUES (?1, ?2, ?3, ?4)";
        let mut insert = transaction.prepare_cached(sql)?;
        for entry in entries {
            let (start, end) = (signed(entry.start), signed(entry.end));
            insert.execute(params![entry.digest.0, id, start, end])?;
        }
    }
    transaction.commit()
}

/// Without a path SQLite uses a file of its own that is gone when it is closed.
fn prepare(path: Option<&Path>, bucket: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path.unwrap_or(Path::new("")))?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // What a crash takes is read from the packs again.
    connection.pragma_update(None, "synchronous", "OFF")?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != VERSION {
        connection.execute_batch(
            "DROP TABLE IF EXISTS bucket; DROP TABLE IF EXISTS packs; DROP TABLE IF EXISTS items;",
        )?;
        connection.pragma_update(None, "user_version", VERSION)?;
    }
    connection.execute_batch(SCHEMA)?;
    let of = connection.query_row("SELECT name FROM bucket", [], |row| row.get::<_, String>(0));
    if of.optional()?.as_deref() != Some(bucket) {
        connection.execute_batch("DELETE FROM bucket; DELETE FROM packs; DELETE FROM items;")?;
        connection.execute("INSERT INTO bucket (name) VALUES (?1)", [bucket])?;
    }
    Ok(connection)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseCorrupt | NotADatabase)
    )
}

fn remove(file: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        // What cannot be removed fails again when it is opened.
        let _ = std::fs::remove_file(name);
    }
}

/// SQLite has no unsigned numbers; no object is larger than half of them.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn unsigned(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::unsigned_abs)
}

fn failed(error: rusqlite::Error) -> Error {
    Error::Open(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> WorkspaceId {
        WorkspaceId::new("default").unwrap()
    }

    fn entry(of: &[u8], start: u64, end: u64) -> Entry {
        let digest = Digest::of(of);
        Entry { digest, start, end }
    }

    #[tokio::test]
    async fn a_whole_place_goes_before_one_that_was_cut_off() {
        let index = Index::open(None, "here").unwrap();
        let digest = Digest::of(b"it");
        let take = async |name: &str, size| {
            let entries = vec![entry(b"it", 10, 20)];
            let taken = index
                .take(&workspace(), name.to_owned(), size, entries)
                .await;
            taken.unwrap();
        };
        take("cut", 15).await;
        assert!(!index.has(&workspace(), digest).unwrap());
        take("whole", 20).await;
        take("whole", 11).await;
        let places = index.places(&workspace(), digest).unwrap();
        let packs: Vec<_> = places.iter().map(|place| place.pack.as_str()).collect();
        assert_eq!(packs, ["whole", "cut"]);
        assert_eq!(index.page(&workspace(), None).unwrap(), [digest]);
        index.forget(&workspace(), "whole").unwrap();
        assert!(!index.has(&workspace(), digest).unwrap());
    }

    #[tokio::test]
    async fn a_file_of_another_bucket_or_a_damaged_one_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.db");
        let known = async |bucket| {
            let index = Index::open(Some(&path), bucket).unwrap();
            let known = index.packs(&workspace()).unwrap().len();
            let name = "pack".to_owned();
            let taken = index.take(&workspace(), name, 20, Vec::new()).await;
            taken.unwrap();
            known
        };
        let seen = [known("one").await, known("one").await, known("two").await];
        assert_eq!(seen, [0, 1, 0]);
        std::fs::write(&path, [7; 5000]).unwrap();
        assert_eq!(known("two").await, 0);
    }
}
