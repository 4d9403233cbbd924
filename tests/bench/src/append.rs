//! Appending, SQLite FULL: the log against a bare two-column table, same bytes, same batches.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use mirage_domain::event::Event;
use mirage_log::commit::encode;
use mirage_log::contract::{commit_of, found, stream};
use mirage_log::sqlite::Sqlite;
use mirage_log::{EncodedCommit, EventLog};
use rusqlite::{Connection, params};

use crate::row::{Row, median};

/// Commits that are in flight together, and rows of one bare transaction.
const BATCH: usize = 16;
const ROUNDS: usize = 24;

pub(crate) fn run(dir: &Path) -> Result<Vec<Row>> {
    Ok(vec![
        measure(dir, 100)?
            .remark("the remainder is two indexes, two hashes and the check of the tip"),
        measure(dir, 10)?,
        measure(dir, 1)?,
    ])
}

/// Commits of `events` events each, every one the first of its stream.
pub(crate) fn commits(from: usize, many: usize, events: usize) -> Vec<EncodedCommit> {
    let commit = |n: usize| {
        let event = |k: usize| -> Event { found((n * events + k) as u64).1 };
        let commit = commit_of(stream(n as u64), None, (0..events).map(event).collect());
        encode(&commit).expect("a commit within bounds")
    };
    (from..from + many).map(commit).collect()
}

fn measure(dir: &Path, events: usize) -> Result<Row> {
    let place = tempfile::tempdir_in(dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let log = Arc::new(Sqlite::open(place.path())?);
    let bare = Bare::open(&place.path().join("bare.db"))?;
    let batches = if events == 100 { 8 } else { 32 };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let commits = commits(round * BATCH * batches, BATCH * batches, events);
        let count = (commits.len() * events) as f64;
        let begun = Instant::now();
        bare.insert(&commits)?;
        theirs.push(count / begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        runtime.block_on(append(&log, commits))?;
        ours.push(count / begun.elapsed().as_secs_f64());
    }
    let what = format!("append, {events} events a commit, {BATCH} commits in flight");
    let wanted = if events == 100 { "≥ 0.8×" } else { "–" };
    Ok(Row::rates(
        &what,
        "events",
        (median(ours), median(theirs)),
        wanted,
    ))
}

async fn append(log: &Arc<Sqlite>, commits: Vec<EncodedCommit>) -> Result<()> {
    for batch in commits.chunks(BATCH) {
        let batch = batch.iter().map(|commit| log.append(commit.clone(), None));
        futures::future::try_join_all(batch).await?;
    }
    Ok(())
}

/// What the bytes alone cost.
pub(crate) struct Bare(Connection);

impl Bare {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(
            "CREATE TABLE bare (position INTEGER PRIMARY KEY, bytes BLOB NOT NULL)",
        )?;
        Ok(Self(connection))
    }

    pub(crate) fn insert(&self, commits: &[EncodedCommit]) -> Result<()> {
        for batch in commits.chunks(BATCH) {
            self.0.execute_batch("BEGIN IMMEDIATE")?;
            let mut insert = self
                .0
                .prepare_cached("INSERT INTO bare (bytes) VALUES (?1)")?;
            for commit in batch {
                insert.execute(params![&*commit.bytes])?;
            }
            self.0.execute_batch("COMMIT")?;
        }
        Ok(())
    }
}
