//! Pause, stop, leave, resume, fencing: what people and other processes do to a running scan.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::event::Event;
use mirage_domain::id::{Position, ScanId};
use mirage_domain::scan::{Command, Outcome, PauseScan, ResumeScan, StopScan};
use mirage_domain::{plan, task};
use mirage_log::{Filter, Read, Recorded};
use mirage_workers::leases::LeaseFile;
use mirage_workers::node::{Caller, Node, ScanRequest};
use mirage_workers::orchestrate::{Ended, run};
use mirage_world::{Config, World};
use tokio_util::sync::CancellationToken;

use crate::scans::{entities, node, request};

pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) async fn world() -> World {
    World::start(Config {
        hosts: 300,
        ..Config::default()
    })
    .await
    .unwrap()
}

/// A scan of many seeds, so that it has many tasks.
pub(crate) fn many(world: &World) -> ScanRequest {
    let seed = |n| Entity::new(Kind::Domain, &format!("h{n:05}.{}", world.domain())).unwrap();
    ScanRequest {
        seeds: (1..=300).map(seed).collect(),
        ..request(world, &["dns"])
    }
}

pub(crate) async fn history(node: &Node, scan: &ScanId) -> Vec<Arc<Recorded>> {
    let mut read = node.log.read(Position(0), Filter::Scan(scan.clone()));
    let mut commits = Vec::new();
    while let Some(Ok(Read::Commit(recorded))) = read.next().await {
        commits.push(recorded);
    }
    commits
}

/// Waits for the first event that `wanted` accepts.
pub(crate) async fn until(node: &Node, scan: &ScanId, wanted: impl Fn(&Event) -> bool) {
    let mut read = node.log.read(Position(0), Filter::Scan(scan.clone()));
    let seen = async {
        while let Some(read) = read.next().await {
            if let Read::Commit(recorded) = read.unwrap()
                && recorded
                    .commit
                    .events
                    .iter()
                    .any(|entry| wanted(&entry.event))
            {
                return;
            }
        }
    };
    tokio::time::timeout(LONG, seen).await.unwrap();
}

pub(crate) fn is_found(event: &Event) -> bool {
    matches!(event, Event::Task(task::Event::Found(finding)) if finding.kind == Kind::Ip)
}

fn spawn(
    node: &Arc<Node>,
    scan: &ScanId,
    leave: &CancellationToken,
) -> tokio::task::JoinHandle<Ended> {
    let run = run(node.clone(), scan.clone(), leave.clone());
    tokio::spawn(async move { tokio::time::timeout(LONG, run).await.unwrap().unwrap() })
}

pub(crate) async fn undisturbed(world: &World) -> BTreeSet<String> {
    let dir = tempfile::tempdir().unwrap();
    let node = node(dir.path()).await;
    let (scan, _) = node
        .commands
        .start(many(world), &Caller::user("tester"))
        .await
        .unwrap();
    let ended = spawn(&node, &scan, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(ended, Ended::Finished(Outcome::Completed));
    entities(&node, &scan).await
}

/// Every scheduled task has exactly one end.
pub(crate) fn assert_each_task_ends_once(commits: &[Arc<Recorded>]) {
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    let mut scheduled = BTreeSet::new();
    for recorded in commits {
        for entry in &recorded.commit.events {
            match &entry.event {
                Event::Plan(plan::Event::Scheduled(task)) => {
                    scheduled.insert(task.task.to_string());
                }
                Event::Task(event) if event.is_terminal() => {
                    *ends
                        .entry(recorded.commit.stream.id.to_string())
                        .or_default() += 1;
                }
                _ => {}
            }
        }
    }
    assert!(ends.values().all(|count| *count == 1), "{ends:?}");
    assert_eq!(ends.into_keys().collect::<BTreeSet<_>>(), scheduled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_by_another_process_ends_a_hanging_scan_within_a_second() {
    let world = world().await;
    let dir = tempfile::tempdir().unwrap();
    let (runner, other) = (node(dir.path()).await, node(dir.path()).await);
    let caller = Caller::user("tester");
    let (scan, _) = runner.commands.start(many(&world), &caller).await.unwrap();
    world.drop_dns(1_000_000);
    let running = spawn(&runner, &scan, &CancellationToken::new());
    until(&runner, &scan, |event| matches!(event, Event::Plan(plan::Event::Scheduled(task)) if task.module.as_str() == "dns")).await;
    let asked = Instant::now();
    other
        .commands
        .command(&scan, Command::Stop(StopScan), &caller)
        .await
        .unwrap();
    assert_eq!(running.await.unwrap(), Ended::Finished(Outcome::Stopped));
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    assert_each_task_ends_once(&history(&runner, &scan).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_scan_schedules_nothing_until_it_is_resumed() {
    let world = world().await;
    let dir = tempfile::tempdir().unwrap();
    let node = node(dir.path()).await;
    let caller = Caller::user("tester");
    let (scan, _) = node.commands.start(many(&world), &caller).await.unwrap();
    let paused = node
        .commands
        .command(&scan, Command::Pause(PauseScan), &caller)
        .await
        .unwrap();
    let running = spawn(&node, &scan, &CancellationToken::new());
    until(&node, &scan, |event| {
        matches!(event, Event::Plan(plan::Event::Claimed(_)))
    })
    .await;
    let resumed = node
        .commands
        .command(
            &scan,
            Command::Resume(ResumeScan { failed: false }),
            &caller,
        )
        .await
        .unwrap();
    assert_eq!(running.await.unwrap(), Ended::Finished(Outcome::Completed));
    for recorded in history(&node, &scan).await {
        let is_scheduling = |event: &Event| matches!(event, Event::Plan(plan::Event::Scheduled(_)));
        if recorded
            .commit
            .events
            .iter()
            .any(|entry| is_scheduling(&entry.event))
        {
            assert!(recorded.position > resumed && recorded.position > paused);
        }
    }
    assert_eq!(entities(&node, &scan).await, undisturbed(&world).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_that_was_left_again_and_again_ends_with_the_same_set() {
    let world = world().await;
    let dir = tempfile::tempdir().unwrap();
    let caller = Caller::user("tester");
    let first = node(dir.path()).await;
    let (scan, _) = first.commands.start(many(&world), &caller).await.unwrap();
    drop(first);
    let mut rounds = 0;
    loop {
        rounds += 1;
        let node = node(dir.path()).await;
        let leave = CancellationToken::new();
        let running = spawn(&node, &scan, &leave);
        if rounds <= 3 {
            until(&node, &scan, is_found).await;
            leave.cancel();
        }
        match running.await.unwrap() {
            Ended::Left => assert!(rounds <= 3),
            ended => {
                assert_eq!(ended, Ended::Finished(Outcome::Completed));
                break;
            }
        }
    }
    let node = node(dir.path()).await;
    assert_eq!(entities(&node, &scan).await, undisturbed(&world).await);
    assert_each_task_ends_once(&history(&node, &scan).await);
    mirage_log::verify(&*node.log).await.unwrap();
}

/// A node whose leases are its own, so that nothing but the plan's stream stands between two orchestrators.
async fn node_with_own_leases(dir: &Path, leases: &Path) -> Arc<Node> {
    let node = Arc::into_inner(node(dir).await).unwrap();
    Arc::new(Node {
        leases: Arc::new(LeaseFile::open(leases).unwrap()),
        ..node
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_orchestrators_the_first_is_fenced_and_nothing_is_done_twice() {
    let world = world().await;
    let (dir, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = node_with_own_leases(dir.path(), &aside.path().join("one.db")).await;
    let two = node_with_own_leases(dir.path(), &aside.path().join("two.db")).await;
    let (scan, _) = one
        .commands
        .start(many(&world), &Caller::user("tester"))
        .await
        .unwrap();
    world.drop_dns(40);
    let first = spawn(&one, &scan, &CancellationToken::new());
    until(&one, &scan, |event| {
        matches!(event, Event::Plan(plan::Event::Scheduled(_)))
    })
    .await;
    let second = spawn(&two, &scan, &CancellationToken::new());
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert_eq!(first, Ended::Fenced);
    assert_eq!(second, Ended::Finished(Outcome::Completed));
    assert_each_task_ends_once(&history(&two, &scan).await);
    assert_eq!(entities(&two, &scan).await, undisturbed(&world).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_scan_is_left_to_its_holder_and_a_repeated_start_meets_it() {
    let world = world().await;
    let dir = tempfile::tempdir().unwrap();
    let node_one = node(dir.path()).await;
    let key = Some(("k".to_owned(), b"request".to_vec()));
    let caller = Caller {
        key,
        ..Caller::user("tester")
    };
    let (scan, at) = node_one
        .commands
        .start(many(&world), &caller)
        .await
        .unwrap();
    let again = node_one
        .commands
        .start(many(&world), &caller)
        .await
        .unwrap();
    assert_eq!(again, (scan.clone(), at));
    node_one
        .leases
        .take(scan.as_str(), "another process", (node_one.now)())
        .await
        .unwrap()
        .unwrap();
    let ended = spawn(&node_one, &scan, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(ended, Ended::Held);
}
