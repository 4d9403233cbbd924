//! Scans whose orchestrator and collectors know one another only by the log and a queue.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use mirage_domain::event::Event;
use mirage_domain::finding::Finding;
use mirage_domain::id::{ScanId, TaskId};
use mirage_domain::scan::{Command, PauseScan, ResumeScan};
use mirage_domain::{plan, scan, task};
use mirage_log::jetstream::Options;
use mirage_log::queue::in_process::InProcess;
use mirage_log::queue::jetstream::{Config, JetStreamQueue};
use mirage_log::queue::{self, Delivery, Incarnation, TaskQueue, Ticket};
use mirage_workers::collect::{self, Limits};
use mirage_workers::leases::{LeaseBucket, LeaseFile, Leases};
use mirage_workers::node::tenants::Tenants;
use mirage_workers::node::{Caller, Node, ScanRequest};
use mirage_workers::orchestrate::{self, Ended, SCANS_MAX};
use mirage_world::{Config as WorldConfig, World};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::lifecycle::{
    assert_each_task_ends_once, history, is_found, many, undisturbed, until, world,
};
use crate::scans::{entities, node, request};

/// A lease that ends soon, for what is lost.
const SHORT: Duration = Duration::from_millis(400);

/// What one process runs until it is stopped.
pub(crate) struct Role {
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Role {
    pub(crate) async fn orchestrate(dir: &Path, queue: Arc<dyn TaskQueue>) -> Self {
        Self::orchestrate_as(node(dir).await, queue)
    }

    fn orchestrate_as(node: Arc<Node>, queue: Arc<dyn TaskQueue>) -> Self {
        let stop = CancellationToken::new();
        let (log, tenants) = (node.log.clone(), Arc::new(Tenants::one(node, queue)));
        let serving = orchestrate::serve(log, tenants, stop.clone(), SCANS_MAX);
        let running = tokio::spawn(async move { serving.await.unwrap() });
        Self { stop, running }
    }

    pub(crate) async fn collect(dir: &Path, queue: Arc<dyn TaskQueue>) -> Self {
        Self::collect_as(node(dir).await, queue)
    }

    pub(crate) fn collect_as(node: Arc<Node>, queue: Arc<dyn TaskQueue>) -> Self {
        let stop = CancellationToken::new();
        let limits = Limits {
            grace: Duration::ZERO,
            ..Limits::default()
        };
        let tenants = Arc::new(Tenants::one(node, queue));
        let running = tokio::spawn(collect::serve(tenants, stop.clone(), limits));
        Self { stop, running }
    }

    pub(crate) async fn leave(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

pub(crate) async fn started(dir: &Path, request: ScanRequest) -> (Arc<Node>, ScanId) {
    let node = node(dir).await;
    let started = node.commands.start(request, &Caller::user("tester")).await;
    (node, started.unwrap().0)
}

/// What the scan claims: module, parent, relation, entity; ids hang on the workspace's key, so none is among it.
pub(crate) async fn claims(node: &Node, scan: &ScanId) -> BTreeSet<String> {
    let commits = history(node, scan).await;
    let (mut found, mut names) = (Vec::new(), HashMap::new());
    for recorded in &commits {
        for entry in &recorded.commit.events {
            if let Event::Task(task::Event::Found(finding)) = &entry.event {
                let name = finding.entity().unwrap().to_string();
                names.insert(finding.entity, name);
                found.push((&recorded.commit.actor.id, finding));
            }
        }
    }
    let claim = |(module, finding): (&String, &Finding)| {
        let parent = finding.parent.as_ref().map(|parent| &names[&parent.entity]);
        let (relation, direction) = (finding.relation, finding.direction);
        let entity = &names[&finding.entity];
        format!("{module}: {parent:?} {relation:?} {direction:?} {entity}")
    };
    found.into_iter().map(claim).collect()
}

pub(crate) fn assert_same(one: &BTreeSet<String>, other: &BTreeSet<String>) {
    let differing: Vec<_> = one.symmetric_difference(other).take(20).collect();
    assert!(!one.is_empty() && differing.is_empty(), "{differing:#?}");
}

fn is_planned(event: &Event) -> bool {
    matches!(event, Event::Plan(plan::Event::Scheduled(_)))
}

pub(crate) async fn until_finished(node: &Node, scan: &ScanId) {
    let is_finished = |event: &Event| matches!(event, Event::Scan(scan::Event::Finished(_)));
    until(node, scan, is_finished).await;
}

/// Every task has one end, and nothing stands after it.
pub(crate) async fn assert_in_order(node: &Node, scan: &ScanId) {
    let commits = history(node, scan).await;
    assert_each_task_ends_once(&commits);
    let mut over = HashSet::new();
    for recorded in &commits {
        let task = &recorded.commit.stream.id;
        assert!(!over.contains(task), "{task} went on after its end");
        let mut events = recorded.commit.events.iter();
        if events.any(|entry| matches!(&entry.event, Event::Task(event) if event.is_terminal())) {
            over.insert(task.clone());
        }
    }
    mirage_log::verify(&*node.log).await.unwrap();
}

async fn assert_same_as_undisturbed(node: &Node, scan: &ScanId, world: &World) {
    assert_same(&entities(node, scan).await, &undisturbed(world).await);
    assert_in_order(node, scan).await;
}

/// Names, records, web servers, pages, certificates: modules that build on one another.
pub(crate) fn all_of_the_company(world: &World) -> ScanRequest {
    let modules = [
        "crawl",
        "crtsh",
        "dns",
        "dns-records",
        "extract",
        "http",
        "tls",
        "well-known",
    ];
    let mut request = request(world, &modules);
    let (plain, tls) = (
        world.ports().http.to_string(),
        world.ports().https.to_string(),
    );
    for (key, value) in [
        ("crtsh.url", &world.crtsh_url()),
        ("http.plain-ports", &plain),
        ("http.tls-ports", &tls),
        ("tls.ports", &tls),
        ("well-known.plain-ports", &plain),
        ("well-known.tls-ports", &tls),
    ] {
        request.settings.set(key, value).unwrap();
    }
    request
}

async fn assert_roles_find_what_one_process_finds(
    queue: Arc<dyn TaskQueue>,
    other: Arc<dyn TaskQueue>,
) {
    let world = World::start(WorldConfig::default()).await.unwrap();
    let (dir, alone) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (node, scan) = started(dir.path(), all_of_the_company(&world)).await;
    let roles = [
        Role::orchestrate(dir.path(), queue.clone()).await,
        Role::collect(dir.path(), queue).await,
        Role::collect(dir.path(), other).await,
    ];
    until_finished(&node, &scan).await;
    for role in roles {
        role.leave().await;
    }
    let (single, same) = started(alone.path(), all_of_the_company(&world)).await;
    let run = orchestrate::run(single.clone(), same.clone(), CancellationToken::new());
    run.await.unwrap();
    assert_same(&claims(&node, &scan).await, &claims(&single, &same).await);
    assert_in_order(&node, &scan).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_orchestrator_and_two_collectors_find_what_one_process_finds() {
    let queue = Arc::new(InProcess::default());
    assert_roles_find_what_one_process_finds(queue.clone(), queue).await;
}

async fn jetstream(nats: &mirage_servers::Nats, lease: Duration) -> Arc<JetStreamQueue> {
    let workspace = mirage_domain::id::WorkspaceId::new("default").unwrap();
    let config = Config {
        lease,
        ..Config::new("mirage", workspace)
    };
    let options = Options {
        servers: vec![nats.url()],
        ..Options::default()
    };
    Arc::new(JetStreamQueue::connect(&options, config).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_that_share_a_queue_of_jetstream_find_what_one_process_finds() {
    let Some(nats) = mirage_servers::nats(1) else {
        return;
    };
    let one = jetstream(&nats, queue::LEASE).await;
    let other = jetstream(&nats, queue::LEASE).await;
    assert_roles_find_what_one_process_finds(one, other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_deleted_midway_costs_nothing_but_time() {
    let Some(nats) = mirage_servers::nats(1) else {
        return;
    };
    let (world, dir) = (world().await, tempfile::tempdir().unwrap());
    let queue = jetstream(&nats, SHORT).await;
    world.drop_dns(40);
    let (node, scan) = started(dir.path(), many(&world)).await;
    let orchestrator = Role::orchestrate(dir.path(), queue.clone()).await;
    until(&node, &scan, is_planned).await;
    queue.delete().await.unwrap();
    let collector = Role::collect(dir.path(), queue.clone()).await;
    until(&node, &scan, is_found).await;
    queue.delete().await.unwrap();
    until_finished(&node, &scan).await;
    orchestrator.leave().await;
    collector.leave().await;
    assert_same_as_undisturbed(&node, &scan, &world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_a_queue_that_is_lost_is_published_again_at_once() {
    let Some(nats) = mirage_servers::nats(1) else {
        return;
    };
    let (world, dir) = (world().await, tempfile::tempdir().unwrap());
    // Silence alone would be noticed in half an hour.
    let queue = jetstream(&nats, Duration::from_secs(600)).await;
    let (node, scan) = started(dir.path(), many(&world)).await;
    let orchestrator = Role::orchestrate(dir.path(), queue.clone()).await;
    until(&node, &scan, is_planned).await;
    queue.delete().await.unwrap();
    let collector = Role::collect(dir.path(), queue).await;
    until_finished(&node, &scan).await;
    orchestrator.leave().await;
    collector.leave().await;
    assert_same_as_undisturbed(&node, &scan, &world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_dies_midway_is_replaced_by_another() {
    let (world, dir) = (world().await, tempfile::tempdir().unwrap());
    let queue = Arc::new(InProcess::new(queue::MESSAGES_MAX, SHORT));
    world.drop_dns(40);
    let (node, scan) = started(dir.path(), many(&world)).await;
    let orchestrator = Role::orchestrate(dir.path(), queue.clone()).await;
    for _ in 0..2 {
        let collector = Role::collect(dir.path(), queue.clone()).await;
        until(&node, &scan, is_found).await;
        collector.running.abort();
    }
    let last = Role::collect(dir.path(), queue).await;
    until_finished(&node, &scan).await;
    orchestrator.leave().await;
    last.leave().await;
    assert_same_as_undisturbed(&node, &scan, &world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_leaves_hands_its_tasks_to_another_at_once() {
    let (world, dir) = (world().await, tempfile::tempdir().unwrap());
    // Were a task not handed back, the scan would wait for this lease.
    let queue = Arc::new(InProcess::new(
        queue::MESSAGES_MAX,
        Duration::from_secs(600),
    ));
    let (node, scan) = started(dir.path(), many(&world)).await;
    let orchestrator = Role::orchestrate(dir.path(), queue.clone()).await;
    world.drop_dns(1_000_000);
    let first = Role::collect(dir.path(), queue.clone()).await;
    let is_task_of_dns = |event: &Event| matches!(event, Event::Plan(plan::Event::Scheduled(task)) if task.module.as_str() == "dns");
    until(&node, &scan, is_task_of_dns).await;
    first.leave().await;
    world.drop_dns(0);
    let second = Role::collect(dir.path(), queue).await;
    until_finished(&node, &scan).await;
    orchestrator.leave().await;
    second.leave().await;
    assert_same_as_undisturbed(&node, &scan, &world).await;
}

/// Loses each task's first message.
struct Lossy {
    queue: InProcess,
    seen: Mutex<HashSet<TaskId>>,
}

#[async_trait]
impl TaskQueue for Lossy {
    async fn publish(&self, ticket: &Ticket) -> Result<(), queue::Error> {
        let is_first = self.seen.lock().unwrap().insert(ticket.task.clone());
        match is_first {
            true => Ok(()),
            false => self.queue.publish(ticket).await,
        }
    }
    async fn take(&self) -> Result<Delivery, queue::Error> {
        self.queue.take().await
    }
    async fn incarnation(&self) -> Result<Incarnation, queue::Error> {
        self.queue.incarnation().await
    }
    fn lease(&self) -> Duration {
        self.queue.lease()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sweep_finds_every_task_that_was_lost() {
    let world = World::start(WorldConfig::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let queue = Arc::new(Lossy {
        queue: InProcess::new(queue::MESSAGES_MAX, SHORT),
        seen: Mutex::default(),
    });
    let (node, scan) = started(dir.path(), request(&world, &["dns"])).await;
    let orchestrator = Role::orchestrate(dir.path(), queue.clone()).await;
    let collector = Role::collect(dir.path(), queue.clone()).await;
    until_finished(&node, &scan).await;
    orchestrator.leave().await;
    collector.leave().await;
    assert!(queue.seen.lock().unwrap().len() > 1);
    assert_in_order(&node, &scan).await;
}

/// Gives each task to two workers at once, as if each lease had ended too early.
struct Doubled {
    one: Arc<InProcess>,
    other: Arc<InProcess>,
}

#[async_trait]
impl TaskQueue for Doubled {
    async fn publish(&self, ticket: &Ticket) -> Result<(), queue::Error> {
        self.one.publish(ticket).await?;
        let again = Ticket {
            is_again: true,
            ..ticket.clone()
        };
        self.other.publish(&again).await
    }
    async fn take(&self) -> Result<Delivery, queue::Error> {
        self.one.take().await
    }
    async fn incarnation(&self) -> Result<Incarnation, queue::Error> {
        self.one.incarnation().await
    }
    fn lease(&self) -> Duration {
        self.one.lease()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_wakes_up_late_changes_nothing() {
    let (world, dir) = (world().await, tempfile::tempdir().unwrap());
    let (one, other) = (
        Arc::new(InProcess::default()),
        Arc::new(InProcess::default()),
    );
    let queue = Arc::new(Doubled {
        one: one.clone(),
        other: other.clone(),
    });
    let (node, scan) = started(dir.path(), many(&world)).await;
    let roles = [
        Role::orchestrate(dir.path(), queue).await,
        Role::collect(dir.path(), one).await,
        Role::collect(dir.path(), other).await,
    ];
    until_finished(&node, &scan).await;
    for role in roles {
        role.leave().await;
    }
    assert_same_as_undisturbed(&node, &scan, &world).await;
}

/// A node under another name, so that its leases are not taken for those of the first.
async fn node_named(dir: &Path, holder: &str) -> Arc<Node> {
    let node = Arc::into_inner(node(dir).await).unwrap();
    Arc::new(Node {
        holder: holder.to_owned(),
        ..node
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_that_is_held_in_the_bucket_of_the_cluster_is_left_to_its_holder() {
    let Some(nats) = mirage_servers::nats(1) else {
        return;
    };
    let (world, dir) = (world().await, tempfile::tempdir().unwrap());
    let (_, scan) = started(dir.path(), many(&world)).await;
    let queue = jetstream(&nats, queue::LEASE).await;
    let age = Duration::from_secs(600);
    let another = LeaseBucket(queue.holders(age).await.unwrap());
    let now = mirage_workers::node::now();
    another
        .take(scan.as_str(), "another", now)
        .await
        .unwrap()
        .unwrap();
    let node = Arc::into_inner(node(dir.path()).await).unwrap();
    let node = Arc::new(Node {
        leases: Arc::new(LeaseBucket(queue.holders(age).await.unwrap())),
        ..node
    });
    let run = orchestrate::run(node, scan, CancellationToken::new());
    assert_eq!(run.await.unwrap(), Ended::Held);
}

async fn until_claimed_by(node: &Node, scan: &ScanId, holder: &str) {
    let is_claim = |event: &Event| matches!(event, Event::Plan(plan::Event::Claimed(claimed)) if claimed.holder == holder);
    until(node, scan, is_claim).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orchestrator_that_leaves_hands_its_scans_to_the_one_that_waits() {
    let (world, dir) = (world().await, tempfile::tempdir().unwrap());
    let queue = Arc::new(InProcess::default());
    let (node, scan) = started(dir.path(), many(&world)).await;
    let first = Role::orchestrate_as(node_named(dir.path(), "first").await, queue.clone());
    until_claimed_by(&node, &scan, "first").await;
    let second = Role::orchestrate_as(node_named(dir.path(), "second").await, queue.clone());
    first.leave().await;
    until_claimed_by(&node, &scan, "second").await;
    let collector = Role::collect(dir.path(), queue).await;
    until_finished(&node, &scan).await;
    second.leave().await;
    collector.leave().await;
    assert_same_as_undisturbed(&node, &scan, &world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orchestrators_that_know_nothing_of_one_another_fence_each_other_and_do_no_harm() {
    let (world, dir) = (world().await, tempfile::tempdir().unwrap());
    let aside = tempfile::tempdir().unwrap();
    let queue = Arc::new(InProcess::default());
    let (node, scan) = started(dir.path(), many(&world)).await;
    let mut roles = Vec::new();
    for name in ["first", "second"] {
        let leases = LeaseFile::open(&aside.path().join(name)).unwrap();
        let named = Arc::into_inner(node_named(dir.path(), name).await).unwrap();
        let with_own_leases = Node {
            leases: Arc::new(leases),
            ..named
        };
        roles.push(Role::orchestrate_as(
            Arc::new(with_own_leases),
            queue.clone(),
        ));
        until_claimed_by(&node, &scan, name).await;
    }
    roles.push(Role::collect(dir.path(), queue).await);
    until_finished(&node, &scan).await;
    for role in roles {
        role.leave().await;
    }
    assert_same_as_undisturbed(&node, &scan, &world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_runs_several_scans_and_goes_on_with_one_that_was_paused() {
    let (world, dir) = (world().await, tempfile::tempdir().unwrap());
    let queue = Arc::new(InProcess::default());
    let orchestrator = Role::orchestrate(dir.path(), queue.clone()).await;
    let (node, one) = started(dir.path(), many(&world)).await;
    let (_, other) = started(dir.path(), many(&world)).await;
    until(&node, &one, is_planned).await;
    let caller = Caller::user("tester");
    let pause = node
        .commands
        .command(&one, Command::Pause(PauseScan), &caller)
        .await;
    pause.unwrap();
    let collector = Role::collect(dir.path(), queue).await;
    until_finished(&node, &other).await;
    let resume = Command::Resume(ResumeScan { failed: false });
    node.commands.command(&one, resume, &caller).await.unwrap();
    until_finished(&node, &one).await;
    orchestrator.leave().await;
    collector.leave().await;
    assert_same(&claims(&node, &one).await, &claims(&node, &other).await);
    assert_in_order(&node, &one).await;
    assert_in_order(&node, &other).await;
}
