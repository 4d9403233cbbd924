//! One process that works for several workspaces.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mirage_domain::id::{Position, ScanId, WorkspaceId};
use mirage_log::commit::Entry;
use mirage_workers::collect::{self, Limits};
use mirage_workers::node::tenants::{InThisProcess, Tenants};
use mirage_workers::node::{Caller, Node, Place, ScanRequest};
use mirage_workers::orchestrate::{self, SCANS_MAX};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::lifecycle::{history, many, undisturbed, world};
use crate::roles::{assert_same, until_finished};
use crate::scans::{entities, request};

async fn within(dir: &Path, workspace: &str) -> Arc<Node> {
    let workspace = WorkspaceId::new(workspace).unwrap();
    Arc::new(Node::open(dir, workspace).await.unwrap())
}

async fn begun(node: &Node, request: ScanRequest) -> ScanId {
    let caller = Caller::user("tester");
    node.commands.start(request, &caller).await.unwrap().0
}

/// A process that orchestrates and collects for every workspace whose key is in the directory.
struct Process {
    stop: CancellationToken,
    parts: [JoinHandle<()>; 2],
}

impl Process {
    async fn start(dir: &Path, scans_max: usize, tasks: usize) -> Self {
        let (node, stop) = (within(dir, "first").await, CancellationToken::new());
        let (log, keys) = (node.log.clone(), Place(dir.to_owned()).keys());
        let tenants = Arc::new(Tenants::of_keys(node, keys, Box::new(InThisProcess)));
        let orchestrate = orchestrate::serve(log, tenants.clone(), stop.clone(), scans_max);
        let limits = Limits {
            concurrency: tasks,
            grace: Duration::ZERO,
        };
        let collect = collect::serve(tenants, stop.clone(), limits);
        Self {
            stop,
            parts: [
                tokio::spawn(async move { orchestrate.await.unwrap() }),
                tokio::spawn(collect),
            ],
        }
    }

    async fn leave(self) {
        self.stop.cancel();
        for part in self.parts {
            part.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scans_of_every_workspace_end_also_of_one_that_begins_later() {
    let (world, dir) = (world().await, tempfile::tempdir().unwrap());
    let process = Process::start(dir.path(), SCANS_MAX, 32).await;
    let (second, third) = (
        within(dir.path(), "second").await,
        within(dir.path(), "third").await,
    );
    let wanted = undisturbed(&world).await;
    for node in [&second, &third] {
        let scan = begun(node, many(&world)).await;
        until_finished(node, &scan).await;
        assert_same(&entities(node, &scan).await, &wanted);
    }
    process.leave().await;
    mirage_log::verify(&*third.log).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_whose_key_is_elsewhere_is_left_to_others() {
    let (world, dir) = (world().await, tempfile::tempdir().unwrap());
    let (first, foreign) = (
        within(dir.path(), "first").await,
        within(dir.path(), "foreign").await,
    );
    let (key, away) = (
        dir.path().join("keys/foreign.key"),
        dir.path().join("keys/away"),
    );
    std::fs::rename(&key, &away).unwrap();
    let untouched = begun(&foreign, request(&world, &["dns"])).await;
    let process = Process::start(dir.path(), SCANS_MAX, 32).await;
    let own = begun(&first, request(&world, &["dns"])).await;
    until_finished(&first, &own).await;
    let touched = history(&foreign, &untouched).await;
    let is_scan =
        |commit: &&Arc<mirage_log::Recorded>| commit.commit.stream.category.as_str() == "scan";
    assert_eq!(touched.iter().filter(|commit| !is_scan(commit)).count(), 0);
    // Once it is here, the same process goes on with it.
    std::fs::rename(&away, &key).unwrap();
    until_finished(&foreign, &untouched).await;
    process.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_with_many_scans_lets_another_one_have_its_turn() {
    let (world, dir) = (world().await, tempfile::tempdir().unwrap());
    let (first, second) = (
        within(dir.path(), "first").await,
        within(dir.path(), "second").await,
    );
    let mut crowd = Vec::new();
    for _ in 0..6 {
        crowd.push(begun(&first, request(&world, &["dns"])).await);
    }
    let late = begun(&second, request(&world, &["dns"])).await;
    let process = Process::start(dir.path(), 2, 2).await;
    until_finished(&second, &late).await;
    let ended = finished_at(&second, &late).await;
    let mut over_before = 0;
    for scan in &crowd {
        until_finished(&first, scan).await;
        over_before += usize::from(finished_at(&first, scan).await < ended);
    }
    assert!(
        over_before < 3,
        "{over_before} of six scans were over first"
    );
    process.leave().await;
}

async fn finished_at(node: &Node, scan: &ScanId) -> Position {
    let is_finished = |entry: &Entry| entry.event.kind() == "scan.finished";
    let commits = history(node, scan).await;
    let last = commits
        .iter()
        .find(|commit| commit.commit.events.iter().any(is_finished));
    last.unwrap().position
}
