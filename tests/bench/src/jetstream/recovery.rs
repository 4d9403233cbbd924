//! A server is killed: how long until the next durable append of a client that keeps trying.
//!
//! One node is started again at once; of three, the stream's leader stays away. A client appends one after another all
//! the time, so that one append is always under way when the server dies. Ours and the bare one take turns.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use async_trait::async_trait;
use mirage_log::EventLog;
use mirage_log::contract::encoded;
use mirage_log::jetstream::{JetStream, Options};
use mirage_servers::Nats;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::block_in_place;

use super::bare::{BARE, Bare};
use super::{REPLICAS, options, runtime};
use crate::row::{Row, median};

/// Kills for each client.
const KILLS: usize = 7;
/// Appends before a kill, so that all is in motion.
const BEFORE: usize = 50;
/// The longest that a client is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn run() -> Result<Vec<Row>> {
    let (runtime, mut rows) = (runtime()?, Vec::new());
    for replicas in REPLICAS {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..KILLS {
            for (is_ours, times) in [(true, &mut ours), (false, &mut theirs)] {
                // Servers of its own for each kill: none has a fault behind it.
                let Some(nats) = mirage_servers::nats(replicas) else {
                    return Ok(Vec::new());
                };
                times.push(runtime.block_on(turn(&nats, replicas, is_ours))?);
            }
        }
        rows.push(report(replicas, ours, theirs));
    }
    Ok(rows)
}

/// One kill under one client.
async fn turn(nats: &Nats, replicas: usize, is_ours: bool) -> Result<f64> {
    let bare = Bare::open(&nats.url(), replicas).await?;
    let log = Options::default().name;
    let (writer, stream): (Box<dyn Writer>, &str) = match is_ours {
        true => {
            let options = options(nats, &nats.url(), replicas);
            (Box::new(JetStream::open(options).await?), &log)
        }
        false => (Box::new(bare.clone()), BARE),
    };
    let node = match replicas {
        1 => 0,
        _ => bare.settled(stream).await?,
    };
    let (tell, mut told) = unbounded_channel();
    let task = tokio::spawn(keep_appending(writer, tell));
    let time = outage(nats, node, replicas, &mut told).await;
    task.abort();
    time
}

/// Seconds from the kill to the end of the first append that began after the server was gone.
async fn outage(
    nats: &Nats,
    node: usize,
    replicas: usize,
    told: &mut UnboundedReceiver<Acknowledged>,
) -> Result<f64> {
    for _ in 0..BEFORE {
        next(told).await?;
    }
    let killed = Instant::now();
    block_in_place(|| nats.node(node).kill());
    let gone = Instant::now();
    if replicas == 1 {
        block_in_place(|| nats.node(node).restart());
    }
    loop {
        let acknowledged = next(told).await?;
        if acknowledged.begun > gone {
            return Ok((acknowledged.ended - killed).as_secs_f64());
        }
    }
}

async fn next(told: &mut UnboundedReceiver<Acknowledged>) -> Result<Acknowledged> {
    let told = tokio::time::timeout(PATIENCE, told.recv()).await;
    told.context("nothing is acknowledged any more")?
        .context("the writer is gone")
}

/// An append that is durable.
struct Acknowledged {
    begun: Instant,
    ended: Instant,
}

/// A client that appends the first commit of a stream; again until it is acknowledged.
#[async_trait]
trait Writer: Send + Sync {
    async fn append(&self, stream: u64) -> Result<()>;
}

#[async_trait]
impl Writer for JetStream {
    async fn append(&self, stream: u64) -> Result<()> {
        EventLog::append(self, encoded(stream, None), None).await?;
        Ok(())
    }
}

#[async_trait]
impl Writer for Bare {
    async fn append(&self, stream: u64) -> Result<()> {
        self.publish_one(&encoded(stream, None)).await
    }
}

/// A try is given up when the client gives it up; the next one begins anew, with another stream.
async fn keep_appending(writer: Box<dyn Writer>, tell: UnboundedSender<Acknowledged>) {
    for stream in 1.. {
        let begun = Instant::now();
        if writer.append(stream).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        }
        let ended = Instant::now();
        if tell.send(Acknowledged { begun, ended }).is_err() {
            return;
        }
    }
}

fn report(replicas: usize, ours: Vec<f64>, theirs: Vec<f64>) -> Row {
    let told = |times: &[f64]| {
        let worst = times.iter().copied().fold(0.0, f64::max);
        format!("{:.2} s, worst {worst:.2} s", median(times.to_vec()))
    };
    let fault = match replicas {
        1 => "the only node killed and started again at once",
        _ => "the leader of three killed",
    };
    Row {
        what: format!("JetStream R{replicas}, {fault}: to the next durable append"),
        ours: told(&ours),
        bare: told(&theirs),
        ratio: Some(median(ours) / median(theirs)),
        wanted: "–".to_owned(),
        remark: format!("median of {KILLS}; an append is under way at each kill"),
    }
}
