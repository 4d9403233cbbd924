//! The appender: writes made-up commits as fast as it can and tells every acknowledgement.
//!
//! `mirage-append DIR SALT`: the salt keeps the streams of several appenders apart.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use mirage_domain::id::StreamId;
use mirage_log::commit::encode;
use mirage_log::contract::{commit_of, found};
use mirage_log::sqlite::Sqlite;
use mirage_log::{AppendError, EncodedCommit, EventLog, Tip};

/// Appends in flight.
const WINDOW: u64 = 32;
/// Appends after a refusal, to see whether anything is acknowledged after it.
const AFTER_REFUSAL: u32 = 20;

fn commit(salt: u64, n: u64) -> Result<EncodedCommit> {
    let (_, event) = found(n);
    let name = format!("tsk_{salt}_{n}");
    let (stream, _) = found(1);
    let stream: StreamId = format!(
        "{}/{}/task/{name}",
        stream.workspace,
        stream.scan.context("a task's scan")?
    )
    .parse()?;
    Ok(encode(&commit_of(stream, None, vec![event]))?)
}

type Done = (u64, String, Result<Tip, AppendError>);

async fn append(log: Arc<Sqlite>, salt: u64, n: u64) -> Result<Done> {
    let commit = commit(salt, n)?;
    let id = commit.id.to_string();
    Ok((n, id, log.append(commit, None).await))
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().context("the data directory")?;
    let salt: u64 = arguments.next().context("the salt")?.parse()?;
    let log = Arc::new(Sqlite::open(dir.as_ref())?);
    let mut window = FuturesUnordered::new();
    let (mut next, mut refusals) = (0, 0);
    // The last append that had begun when the first one failed for good; outcomes are told in no strict order.
    let mut last_before_failure = None;
    let mut out = std::io::stdout().lock();
    while refusals < AFTER_REFUSAL {
        while window.len() < WINDOW as usize {
            next += 1;
            window.push(append(log.clone(), salt, next));
        }
        let Some(done) = window.next().await else {
            break;
        };
        match done? {
            (n, id, Ok(_)) if last_before_failure.is_some_and(|last| n > last) => {
                writeln!(out, "late {id}")?;
            }
            (_, id, Ok(tip)) => writeln!(out, "ack {id} {}", tip.position)?,
            (_, _, Err(error)) => {
                if !error.may_retry() {
                    refusals += 1;
                    last_before_failure.get_or_insert(next);
                }
                writeln!(out, "err {}", error.code())?;
            }
        }
        out.flush()?;
    }
    Ok(())
}
