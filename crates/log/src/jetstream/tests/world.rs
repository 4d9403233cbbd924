//! Servers that tests share, and fresh logs on them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use mirage_domain::id::Position;
use mirage_servers::Nats;

use crate::contract::encoded;
use crate::jetstream::{JetStream, Options};
use crate::{EncodedCommit, EventLog, Filter, Read, Recorded, Tip};

/// Started once for all tests of this binary; each test that finds none records its own skip.
pub(super) fn shared(nodes: usize) -> Option<&'static Nats> {
    static SERVERS: [Mutex<Option<&'static Nats>>; 4] = [const { Mutex::new(None) }; 4];
    let mut server = SERVERS[nodes]
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    if server.is_none() {
        *server = mirage_servers::nats(nodes).map(|nats| &*Box::leak(Box::new(nats)));
    }
    *server
}

/// Options for a log of its own on a server.
pub(super) fn options(nats: &Nats, nodes: usize) -> Options {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let name = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
    Options {
        servers: nats.url().split(',').map(str::to_owned).collect(),
        prefix: name.clone(),
        name,
        replicas: nodes,
        bytes_max: 64 << 20,
        monitors: (0..nodes).map(|node| nats.monitor(node)).collect(),
        ..Options::default()
    }
}

/// A fresh log on the shared servers.
pub(super) async fn fresh(nodes: usize) -> Option<(JetStream, Options)> {
    let nats = shared(nodes)?;
    let options = options(nats, nodes);
    let log = JetStream::open(options.clone()).await.unwrap();
    Some((log, options))
}

/// Commits of made-up findings on one stream, each on top of the one before, with the positions that follow `after`.
pub(super) fn chain(n: u64, commits: u64, after: u64) -> Vec<EncodedCommit> {
    let mut tip = None;
    let made = (1..=commits).map(|at| {
        let commit = encoded(n, tip);
        tip = Some(Tip {
            position: Position(after + at),
            version: commit.last_version(),
            hash: commit.hash,
        });
        commit
    });
    made.collect()
}

/// Publishes commits as they are, all at once and without an expectation: quicker than the log itself.
pub(super) async fn publish(log: &JetStream, commits: &[EncodedCommit]) {
    let asker = &log.inner.asker;
    let mut sent = Vec::new();
    for commit in commits {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(async_nats::header::NATS_MESSAGE_ID, commit.id.to_string());
        let subject = asker.subject(&commit.stream).unwrap();
        let bytes = commit.bytes.to_vec().into();
        let publish = asker.context.publish_with_headers(subject, headers, bytes);
        sent.push(publish.await.unwrap());
    }
    for acknowledgement in sent {
        acknowledgement.await.unwrap();
    }
}

/// The commits up to the first `CaughtUp`.
pub(super) async fn history(log: &JetStream, filter: Filter) -> Vec<Arc<Recorded>> {
    let mut read = log.read(Position(0), filter);
    let mut commits = Vec::new();
    while let Some(next) = read.next().await {
        match next.unwrap() {
            Read::Commit(commit) => commits.push(commit),
            Read::CaughtUp(_) => break,
        }
    }
    commits
}
