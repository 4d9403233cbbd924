//! The live probe against small servers on loopback.

mod dns;
mod egress;
mod http;
mod line;
mod pool;
mod post;
mod proxy;
mod spellings;
mod tls;
mod web;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use mirage_domain::id::WorkspaceId;
use mirage_log::evidence;

use super::*;

/// Evidence in memory.
#[derive(Default)]
pub(super) struct Kept(Mutex<HashMap<Digest, Vec<u8>>>);

#[async_trait]
impl EvidenceStore for Kept {
    async fn put(&self, _: &WorkspaceId, bytes: Vec<u8>) -> Result<Digest, evidence::Error> {
        let digest = Digest::of(&bytes);
        self.0.lock().unwrap().insert(digest, bytes);
        Ok(digest)
    }
    async fn flush(&self) -> Result<(), evidence::Error> {
        Ok(())
    }
    async fn get(&self, _: &WorkspaceId, d: Digest) -> Result<Option<Vec<u8>>, evidence::Error> {
        Ok(self.0.lock().unwrap().get(&d).cloned())
    }
    fn list<'a>(&'a self, _: &'a WorkspaceId) -> BoxStream<'a, Result<Digest, evidence::Error>> {
        let all: Vec<_> = self.0.lock().unwrap().keys().copied().map(Ok).collect();
        Box::pin(futures::stream::iter(all))
    }
}

impl Kept {
    fn all(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().values().cloned().collect()
    }
}

static MANIFEST: Manifest = Manifest {
    name: "test",
    profile: mirage_domain::module::Profile::Standard,
    ..Manifest::DEFAULT
};

/// One task of one scan, with its evidence.
struct World {
    probe: TaskProbe,
    kept: Arc<Kept>,
}

/// A policy for loopback, with waits that no test sits out.
fn policy(resolver: SocketAddr) -> Policy {
    let timeouts = Timeouts {
        dns: Duration::from_secs(10),
        ..Timeouts::default()
    };
    Policy {
        resolvers: vec![resolver],
        allow_private: vec!["127.0.0.0/8".parse().unwrap()],
        timeouts,
        ..Policy::new(WorkspaceId::new("default").unwrap())
    }
}

/// The same, for servers that let every wait run out.
fn impatient(resolver: SocketAddr) -> Policy {
    let short = Duration::from_millis(300);
    let timeouts = Timeouts {
        connect: short,
        tls: short,
        first_byte: short,
        between_chunks: short,
        total: Duration::from_millis(600),
        dns: short,
    };
    Policy {
        timeouts,
        ..policy(resolver)
    }
}

async fn world(policy: Policy) -> World {
    let live = Live::new(LiveConfig::default()).await.unwrap();
    let kept = Arc::new(Kept::default());
    let probe = live.scan(policy, kept.clone()).task(&MANIFEST);
    World { probe, kept }
}
