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

async fn append(log: Arc<Sqlite>, salt: u64, n: u64) -> Result<(String, Result<Tip, AppendError>)> {
    let commit = commit(salt, n)?;
    let id = commit.id.to_string();
    Ok((id, log.append(commit, None).await))
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().context("the data directory")?;
    let salt: u64 = arguments.next().context("the salt")?.parse()?;
    let log = Arc::new(Sqlite::open(dir.as_ref())?);
    let mut window = FuturesUnordered::new();
    let (mut next, mut refusals) = (0, 0);
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
            (id, Ok(tip)) => writeln!(out, "ack {id} {}", tip.position)?,
            (_, Err(error)) => {
                refusals += u32::from(!error.may_retry());
                writeln!(out, "err {}", error.code())?;
            }
        }
        out.flush()?;
    }
    Ok(())
}
