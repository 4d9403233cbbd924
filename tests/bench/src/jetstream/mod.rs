//! The log on JetStream against bare async-nats: nodes that sync always, the same messages.

mod bare;
mod recovery;

use std::time::Instant;

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, stream};
use mirage_log::EventLog;
use mirage_log::contract::encoded;
use mirage_log::jetstream::{JetStream, Options};
use mirage_servers::Nats;

use crate::append::commits;
use crate::row::{Row, median};
use bare::{BARE, Bare};
pub(crate) use recovery::run as recovery;

/// Appends that are in flight together.
const WINDOW: usize = 256;
const COMMITS: usize = 1024;
const ROUNDS: usize = 5;
/// Durable appends one at a time.
const SINGLE: usize = 400;
/// How many nodes keep each commit.
const REPLICAS: [usize; 2] = [1, 3];

pub(crate) fn run() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for replicas in REPLICAS {
        let Some(nats) = mirage_servers::nats(replicas) else {
            return Ok(Vec::new());
        };
        rows.extend(runtime()?.block_on(measure(&nats, replicas))?);
    }
    Ok(rows)
}

/// As the program's `main` prepares it.
fn runtime() -> Result<tokio::runtime::Runtime> {
    // The second time there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?)
}

fn options(nats: &Nats, url: &str, replicas: usize) -> Options {
    Options {
        servers: url.split(',').map(str::to_owned).collect(),
        monitors: (0..replicas).map(|node| nats.monitor(node)).collect(),
        replicas,
        ..Options::default()
    }
}

async fn measure(nats: &Nats, replicas: usize) -> Result<Vec<Row>> {
    // Both clients sit at the node that leads: which one it is would else be luck, and worth a hop.
    let here = nats.node(0).url();
    let log = JetStream::open(options(nats, &here, replicas)).await?;
    let bare = Bare::open(&here, replicas).await?;
    if replicas > 1 {
        bare.lead_here(&Options::default().name).await?;
        bare.lead_here(BARE).await?;
    }
    let mut rows = vec![
        pipelined(&log, &bare, 100).await?,
        pipelined(&log, &bare, 1).await?,
        single(&log, &bare).await?,
    ];
    for row in &mut rows {
        row.what = row
            .what
            .replace("JetStream", &format!("JetStream R{replicas}"));
    }
    rows[0].remark = format!("nats-server {}, sync always", nats.version());
    Ok(rows)
}

async fn pipelined(log: &JetStream, bare: &Bare, events: usize) -> Result<Row> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let commits = commits((events * 100 + round) * COMMITS, COMMITS, events);
        let count = (COMMITS * events) as f64;
        let begun = Instant::now();
        bare.publish(&commits).await?;
        theirs.push(count / begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        let appends = commits.into_iter().map(|commit| log.append(commit, None));
        let appends = stream::iter(appends).buffer_unordered(WINDOW);
        appends.try_for_each(|_| async { Ok(()) }).await?;
        ours.push(count / begun.elapsed().as_secs_f64());
    }
    let what = format!("append on JetStream, {events} events a commit, {WINDOW} in flight");
    let wanted = if events == 100 { "≥ 0.9×" } else { "–" };
    let rates = (median(ours), median(theirs));
    Ok(Row::rates(&what, "events", rates, wanted))
}

/// One append after another, each on top of the last.
async fn single(log: &JetStream, bare: &Bare) -> Result<Row> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut tip = None;
    for _ in 0..SINGLE {
        let commit = encoded(u64::MAX >> 8, tip);
        let begun = Instant::now();
        bare.publish(std::slice::from_ref(&commit)).await?;
        theirs.push(begun.elapsed().as_secs_f64() * 1e3);
        let begun = Instant::now();
        tip = Some(log.append(commit, tip).await?);
        ours.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let at = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() * 99 / 100]
    };
    let (ours, theirs) = (at(&mut ours), at(&mut theirs));
    Ok(Row {
        what: "p99 of a durable append on JetStream".to_owned(),
        ours: format!("{ours:.2} ms"),
        bare: format!("{theirs:.2} ms"),
        ratio: Some(ours / theirs),
        wanted: "≤ 2×".to_owned(),
        remark: String::new(),
    })
}
