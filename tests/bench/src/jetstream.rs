//! The log on JetStream against bare async-nats: one node that syncs always, the same messages.

use std::time::Instant;

use anyhow::{Context as _, Result};
use async_nats::jetstream::stream::{Compression, Config, DiscardPolicy};
use async_nats::jetstream::{self, context::ContextBuilder};
use async_nats::{HeaderMap, header};
use futures::{StreamExt, TryStreamExt, stream};
use mirage_log::contract::encoded;
use mirage_log::jetstream::{JetStream, Options};
use mirage_log::{EncodedCommit, EventLog};
use mirage_servers::Nats;

use crate::append::commits;
use crate::row::{Row, median};

/// Appends that are in flight together.
const WINDOW: usize = 256;
const COMMITS: usize = 1024;
const ROUNDS: usize = 5;
/// Durable appends one at a time.
const SINGLE: usize = 400;

pub(crate) fn run() -> Result<Vec<Row>> {
    let Some(nats) = mirage_servers::nats(1) else {
        return Ok(Vec::new());
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(measure(&nats))
}

async fn measure(nats: &Nats) -> Result<Vec<Row>> {
    let log = JetStream::open(Options {
        servers: vec![nats.url()],
        monitors: vec![nats.monitor(0)],
        ..Options::default()
    });
    let log = log.await?;
    let bare = Bare::open(nats).await?;
    Ok(vec![
        pipelined(&log, &bare, 100).await?,
        pipelined(&log, &bare, 1).await?,
        single(&log, &bare).await?,
    ])
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
    let what = format!("append on JetStream R1, {events} events a commit, {WINDOW} in flight");
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
        what: "p99 of a durable append on JetStream R1".to_owned(),
        ours: format!("{ours:.2} ms"),
        bare: format!("{theirs:.2} ms"),
        ratio: Some(ours / theirs),
        wanted: "≤ 2×".to_owned(),
        remark: String::new(),
    })
}

/// The client alone, on a JetStream stream of the same configuration.
struct Bare(jetstream::Context);

impl Bare {
    async fn open(nats: &Nats) -> Result<Self> {
        let client = async_nats::connect(nats.url()).await?;
        let context = ContextBuilder::new().build(client);
        let config = Config {
            name: "bare".to_owned(),
            subjects: vec!["bare.>".to_owned()],
            discard: DiscardPolicy::New,
            max_bytes: 4 << 30,
            deny_delete: true,
            deny_purge: true,
            allow_direct: true,
            compression: Some(Compression::S2),
            ..Config::default()
        };
        context.create_stream(config).await.context("a stream")?;
        Ok(Self(context))
    }

    async fn publish(&self, commits: &[EncodedCommit]) -> Result<()> {
        let sent = commits.iter().map(|commit| async {
            let subject = format!("bare.{}", commit.stream.to_string().replace('/', "."));
            let mut headers = HeaderMap::new();
            headers.insert(header::NATS_MESSAGE_ID, commit.id.to_string());
            // The single ones follow one another on their subject; there the position is not known here.
            if commit.prev.is_none() {
                headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
            }
            let bytes = commit.bytes.to_vec().into();
            let acknowledged = self.0.publish_with_headers(subject, headers, bytes).await?;
            acknowledged.await?;
            anyhow::Ok(())
        });
        let sent = stream::iter(sent).buffer_unordered(WINDOW);
        sent.try_for_each(|()| async { Ok(()) }).await
    }
}
