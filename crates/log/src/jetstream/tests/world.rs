//! Servers that tests share, and fresh logs on them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use mirage_servers::Nats;

use crate::jetstream::{JetStream, Options};

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
