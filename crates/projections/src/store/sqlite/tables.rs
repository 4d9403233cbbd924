//! The tables of every view beside its own, and how its file is opened.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use mirage_domain::id::{Digest, Position};
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use super::insert;
use crate::operations::Operations;
use crate::store::FRAME;
use crate::{Checkpoint, Registered};

/// How long a batch waits for another process's; it is over in milliseconds.
const BUSY_MAX: Duration = Duration::from_secs(5);

/// Pages that a view's writer keeps, in KiB: ids are hashes, so each row falls on another page of an index.
const CACHE_KIB: i64 = 24 * 1024;
/// The same while a build is put in order. SQLite sorts so much at once: what fits a core's own cache is sorted faster,
/// and the more portions there are, the more of them a second core sorts while the first gathers the next.
const SORTED_KIB: i64 = 4 * 1024;
/// Pages in the WAL before they move into the file: a page that several batches wrote moves once.
const WAL_PAGES: i64 = 8 * 1024;

pub(super) fn connect(path: &Path, may_create: bool) -> rusqlite::Result<Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // A build that was there a moment ago and is gone must not come back empty.
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, may_create);
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_MAX)?;
    mirage_log::sqlite::use_wal(&connection)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    Ok(connection)
}

/// Makes the tables in one transaction; whoever comes second finds them there.
pub(super) fn create(connection: &mut Connection, view: &Registered) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        transaction.execute_batch(FRAME)?;
        transaction.execute_batch(view.schema)?;
        transaction.pragma_update(None, "user_version", view.version)?;
    }
    transaction.commit()
}

/// Lets an empty view do without all that is ordered by something else than the log, until its rows are there; answers
/// the statements that make up for it.
///
/// Rows of a table that lies in its key gather in a temporary one of its name, which a statement without a schema
/// means first. It has no key, so a row that is there already comes again: the first one wins at the end.
pub(super) fn defer_order(
    connection: &Connection,
    view: &Registered,
) -> rusqlite::Result<Vec<String>> {
    // What is put in order at the end may take a second core; nobody asks this build yet.
    connection.pragma_update(None, "threads", 1)?;
    let mut deferred = Vec::new();
    for (table, keys) in texts(connection, KEYED)? {
        connection.execute_batch(&format!(
            "CREATE TEMP TABLE \"{table}\" AS SELECT * FROM main.\"{table}\""
        ))?;
        deferred.push(format!(
            "INSERT OR IGNORE INTO main.\"{table}\" SELECT * FROM temp.\"{table}\" ORDER BY {keys}, rowid;
             DROP TABLE temp.\"{table}\""
        ));
    }
    let indexes = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
    for (name, sql) in texts(connection, indexes)? {
        connection.execute_batch(&format!("DROP INDEX \"{name}\""))?;
        deferred.push(sql);
    }
    let [begin, end] = view.hurry;
    connection.execute_batch(begin)?;
    deferred.push(end.to_owned());
    Ok(deferred)
}

/// Makes up for what was deferred.
pub(super) fn put_in_order(connection: &Connection, deferred: &[String]) -> rusqlite::Result<()> {
    connection.pragma_update(None, "cache_size", -SORTED_KIB)?;
    for statement in deferred {
        connection.execute_batch(statement)?;
    }
    connection.pragma_update(None, "cache_size", -CACHE_KIB)
}

/// Lets a build do without a write-ahead log, which would write each page twice: what a crash leaves of it is never
/// used, and it is brought to disk before it takes its name.
pub(super) fn without_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "MEMORY", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "OFF")
}

/// Tables without row numbers, and the columns of their keys.
const KEYED: &str = "SELECT l.name, (
        SELECT group_concat('\"' || i.name || '\"', ', ' ORDER BY i.pk) FROM pragma_table_info(l.name) i WHERE i.pk > 0)
    FROM pragma_table_list l WHERE l.schema = 'main' AND l.type = 'table' AND l.wr = 1";

fn texts(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
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

pub(super) fn quarantined(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    let mut statement = connection.prepare_cached("SELECT stream FROM quarantine")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// Ends a transaction that was begun.
pub(super) fn finish(
    connection: &Connection,
    view: &Registered,
    operations: &Operations,
    last: Checkpoint,
) -> rusqlite::Result<()> {
    insert::execute(connection, operations)?;
    connection.execute_batch(view.settle)?;
    connection
        .prepare_cached(
            "INSERT INTO checkpoint (id, position, log_hash, hash) VALUES (1, ?1, ?2, ?3) \
             ON CONFLICT (id) DO UPDATE SET position = ?1, log_hash = ?2, hash = ?3",
        )?
        .execute(params![
            last.position.0 as i64,
            last.log_hash.0,
            last.hash.0
        ])?;
    connection.execute_batch("COMMIT")
}

/// Tables by name, each with the columns of its primary key.
pub(crate) fn tables(connection: &Connection) -> rusqlite::Result<Vec<(String, Vec<String>)>> {
    let mut statement = connection.prepare(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'
         ORDER BY name",
    )?;
    let names = statement.query_map([], |row| row.get(0))?;
    let names: Vec<String> = names.collect::<rusqlite::Result<_>>()?;
    let mut keys =
        connection.prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?;
    let with_keys = names.into_iter().map(|name| {
        let columns = keys.query_map([&name], |row| row.get(0))?;
        let columns = columns.collect::<rusqlite::Result<_>>()?;
        Ok((name, columns))
    });
    with_keys.collect()
}
