//! An evidence store that fails now and then: what its failures say nothing about is asked again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use mirage_domain::event::Event;
use mirage_domain::id::{Digest, WorkspaceId};
use mirage_domain::task;
use mirage_log::evidence::{Error, EvidenceStore, Stored};
use mirage_log::queue::in_process::InProcess;
use mirage_workers::node::Node;
use mirage_world::{Config as WorldConfig, World};

use crate::lifecycle::history;
use crate::roles::{
    Role, all_of_the_company, assert_in_order, assert_same, claims, started, until_finished,
};
use crate::scans::node;

/// Fails at calls 3, 7, 15, …: often enough to be met, seldom enough for every task to end.
struct Flaky {
    store: Arc<dyn EvidenceStore>,
    calls: AtomicUsize,
}

impl Flaky {
    fn call(&self) -> Result<(), Error> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        match (call + 1).is_power_of_two() && call > 1 {
            true => Err(Error::Unreachable("it fails now and then".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl EvidenceStore for Flaky {
    async fn put(&self, workspace: &WorkspaceId, bytes: Vec<u8>) -> Result<Digest, Error> {
        self.call()?;
        self.store.put(workspace, bytes).await
    }
    async fn flush(&self) -> Result<(), Error> {
        self.store.flush().await
    }
    async fn get(&self, workspace: &WorkspaceId, digest: Digest) -> Result<Option<Vec<u8>>, Error> {
        self.call()?;
        self.store.get(workspace, digest).await
    }
    fn list<'a>(&'a self, workspace: &'a WorkspaceId) -> BoxStream<'a, Result<Digest, Error>> {
        self.store.list(workspace)
    }
    async fn open(
        &self,
        workspace: &WorkspaceId,
        digest: Digest,
    ) -> Result<Option<Box<dyn Stored>>, Error> {
        self.call()?;
        self.store.open(workspace, digest).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_of_the_store_is_no_answer_of_a_source() {
    let world = World::start(WorldConfig::default()).await.unwrap();
    let (dir, alone) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (undisturbed, same) = started(alone.path(), all_of_the_company(&world)).await;
    let queue = Arc::new(InProcess::default());
    let roles = [
        Role::orchestrate(alone.path(), queue.clone()).await,
        Role::collect(alone.path(), queue).await,
    ];
    until_finished(&undisturbed, &same).await;
    for role in roles {
        role.leave().await;
    }

    let (watching, scan) = started(dir.path(), all_of_the_company(&world)).await;
    let inner = Arc::into_inner(node(dir.path()).await).unwrap();
    let flaky = Arc::new(Flaky {
        store: inner.evidence.clone(),
        calls: AtomicUsize::default(),
    });
    let collector = Arc::new(Node {
        evidence: flaky.clone(),
        ..inner
    });
    let queue = Arc::new(InProcess::default());
    let roles = [
        Role::orchestrate(dir.path(), queue.clone()).await,
        Role::collect_as(collector, queue),
    ];
    until_finished(&watching, &scan).await;
    for role in roles {
        role.leave().await;
    }
    assert!(flaky.calls.load(Ordering::Relaxed) > 63);
    assert_same(
        &claims(&watching, &scan).await,
        &claims(&undisturbed, &same).await,
    );
    assert_in_order(&watching, &scan).await;
    for recorded in history(&watching, &scan).await {
        for entry in &recorded.commit.events {
            if let Event::Task(task::Event::Finished(finished)) = &entry.event {
                let told = format!("{:?}", finished.failures);
                assert!(!told.contains("evidence"), "{told}");
            }
        }
    }
}
