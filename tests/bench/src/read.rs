//! Reading the whole log against a bare reader that hashes and decodes the same rows.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use futures::StreamExt;
use mirage_domain::id::{Digest, Position};
use mirage_log::commit::decode;
use mirage_log::sqlite::{Sqlite, path};
use mirage_log::{EventLog, Filter, Read};
use rusqlite::{Connection, OpenFlags};

use crate::append::commits;
use crate::row::{Row, median};

const COMMITS: usize = 2_000;
const EVENTS: usize = 50;
const ROUNDS: usize = 7;

pub(crate) fn run(dir: &Path) -> Result<Vec<Row>> {
    let place = tempfile::tempdir_in(dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let log = Sqlite::open(place.path())?;
    runtime.block_on(async {
        for batch in commits(0, COMMITS, EVENTS).chunks(64) {
            let batch = batch.iter().map(|commit| log.append(commit.clone(), None));
            futures::future::try_join_all(batch).await?;
        }
        anyhow::Ok(())
    })?;
    let count = (COMMITS * EVENTS) as f64;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        anyhow::ensure!(bare(place.path())? == COMMITS * EVENTS);
        theirs.push(count / begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        anyhow::ensure!(runtime.block_on(whole(&log))? == COMMITS * EVENTS);
        ours.push(count / begun.elapsed().as_secs_f64());
    }
    let rates = (median(ours), median(theirs));
    Ok(vec![Row::rates(
        "read the whole log, verified and decoded",
        "events",
        rates,
        "≥ 0.8×",
    )])
}

async fn whole(log: &Sqlite) -> Result<usize> {
    let mut read = log.read(Position(0), Filter::All);
    let mut events = 0;
    while let Some(Read::Commit(recorded)) = read.next().await.transpose()? {
        events += recorded.commit.events.len();
    }
    Ok(events)
}

fn bare(dir: &Path) -> Result<usize> {
    let connection = Connection::open_with_flags(path(dir), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = connection.prepare("SELECT hash, bytes FROM commits ORDER BY position")?;
    let mut rows = statement.query([])?;
    let mut events = 0;
    while let Some(row) = rows.next()? {
        let hash: [u8; 32] = row.get(0)?;
        let bytes = row.get_ref(1)?.as_blob()?;
        anyhow::ensure!(Digest::of(bytes).0 == hash);
        events += decode(bytes)?.events.len();
    }
    Ok(events)
}
