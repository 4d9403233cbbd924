//! The appender: writes made-up commits as fast as it can and tells every acknowledgement.
//!
//! `mirage-append DIR SALT`: the salt keeps the streams of several appenders apart. With `@servers` for a directory it
//! appends to the log that the environment names, as the program does, a commit at a time.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use mirage_domain::id::StreamId;
use mirage_faults::SERVERS;
use mirage_faults::cluster::options_of_environment;
use mirage_log::commit::encode;
use mirage_log::contract::{commit_of, found};
use mirage_log::jetstream::JetStream;
use mirage_log::sqlite::Sqlite;
use mirage_log::{AppendError, EncodedCommit, EventLog, Tip};

/// Appends in flight.
const WINDOW: u64 = 32;
/// Between two appends to servers, which others need too.
const PACE: Duration = Duration::from_millis(25);
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

/// The log, how many appends are in flight, and how long to rest after each.
async fn open(place: &str) -> Result<(Arc<dyn EventLog>, u64, Duration)> {
    if place != SERVERS {
        let log = Sqlite::open(place.as_ref())?;
        return Ok((Arc::new(log), WINDOW, Duration::ZERO));
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let log = JetStream::open(options_of_environment()?).await?;
    Ok((Arc::new(log), 1, PACE))
}

async fn append(log: Arc<dyn EventLog>, salt: u64, n: u64) -> Result<Done> {
    let commit = commit(salt, n)?;
    let id = commit.id.to_string();
    Ok((n, id, log.append(commit, None).await))
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let place = arguments.next().context("the data directory")?;
    let salt: u64 = arguments.next().context("the salt")?.parse()?;
    let (log, flight_max, pace) = open(&place).await?;
    let mut window = FuturesUnordered::new();
    let (mut next, mut refusals) = (0, 0);
    // The last append that had begun when the first one failed for good; outcomes are told in no strict order.
    let mut last_before_failure = None;
    let mut out = std::io::stdout().lock();
    while refusals < AFTER_REFUSAL {
        while (window.len() as u64) < flight_max {
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
        if !pace.is_zero() {
            tokio::time::sleep(pace).await;
        }
    }
    Ok(())
}
