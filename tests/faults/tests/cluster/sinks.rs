//! The servers of the views die in the middle of scans: only the views wait, and catch up.

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use mirage_faults::Ledger;
use mirage_faults::cluster::{Cluster, Node, Watch, run, until};
use mirage_faults::scan::Scanned;
use mirage_log::EventLog;
use mirage_servers::{Neo4j, Postgres};
use mirage_world::{Config, World};

use crate::rig::check;
use crate::{MODULES, undisturbed};

/// Enough that there is a middle.
const HOSTS: usize = 60;
/// Each view and the server that keeps it.
const CATALOG: &str = "catalog";
const GRAPH: &str = "graph";

struct Scene {
    cluster: Cluster,
    world: World,
    wanted: Scanned,
    watch: Watch,
    catalog: Postgres,
    graph: Neo4j,
}

impl Scene {
    /// `None` where the servers cannot be had.
    async fn new() -> Result<Option<Self>> {
        let catalog = mirage_servers::postgres_alone();
        let (Some(catalog), Some(graph)) = (catalog, mirage_servers::neo4j_alone()) else {
            return Ok(None);
        };
        let Some(cluster) = Cluster::start(1)? else {
            return Ok(None);
        };
        let config = Config {
            hosts: HOSTS,
            ..Config::default()
        };
        let world = World::start(config).await?;
        Ok(Some(Self {
            watch: Watch::begin(cluster.log().await?),
            wanted: undisturbed(&world).await?,
            cluster,
            world,
            catalog,
            graph,
        }))
    }

    /// Tells a command where the two views lie.
    fn join(&self, mut command: Command) -> Command {
        command
            .env("MIRAGE_CATALOG_URL", self.catalog.url())
            .env("MIRAGE_GRAPH_URL", self.graph.bolt());
        command
    }

    async fn project(&self) -> Result<Node> {
        let at = Ipv4Addr::LOCALHOST;
        let serve = self.cluster.serve(&self.world, "project", "project", at)?;
        self.cluster.begin("project", self.join(serve)).await
    }

    /// Starts a scan and waits until a quarter of all is found; there is something left to do then.
    async fn middle(&self) -> Result<()> {
        let begun = self.watch.now().started.len();
        let words = ["--modules", MODULES, "--no-wait"];
        let ran = run(self.cluster.scan(&self.world, "me", &words)?).await?;
        ensure!(ran.status.success(), "{ran:?}");
        let enough = self.wanted.claims.len() / 4;
        let middle = self.watch.until("the middle of a scan", |now| {
            let scan = now.started.get(begun);
            scan.is_some_and(|scan| now.findings.get(scan).is_some_and(|found| *found >= enough))
        });
        let middle = middle.await?;
        ensure!(middle.running().is_some(), "over before its middle");
        Ok(())
    }

    /// All scans end, although a server is away, whose view stands still and is told by the node.
    async fn ingest_goes_on(&self, project: &Node, view: &str) -> Result<()> {
        let before = self.watch.now().position;
        until("the node to miss a server", async || {
            let (status, told) = project.ready().await?;
            Ok((status == 503 && told_of(&told, view)?.is_none()).then_some(()))
        })
        .await?;
        let over = self
            .watch
            .until("the end of the scans", |now| now.are_all_over());
        let after = self.cluster.or_tell(over).await?.position;
        ensure!(after > before, "the log stood still at {before}");
        Ok(())
    }

    /// By the node alone: nobody asks, and asking would fold.
    async fn catches_up(&self, project: &Node, view: &str) -> Result<()> {
        let end = format!("stands at {}, 0 behind", self.watch.now().position);
        let caught_up = until("a view to catch up", async || {
            let (_, told) = project.ready().await?;
            Ok((told_of(&told, view)?.as_deref() == Some(&*end)).then_some(()))
        });
        self.cluster.or_tell(caught_up).await
    }

    /// What lies on the server is what the same log folds to in a data directory, byte for byte.
    async fn is_a_fold(&self, view: &str) -> Result<()> {
        let words = ["views", "dump", view];
        let there = run(self.join(self.cluster.command("project", &words)?)).await?;
        let here = run(self.cluster.command("anew", &words)?).await?;
        for ran in [&there, &here] {
            let said = String::from_utf8_lossy(&ran.stderr);
            ensure!(ran.status.success() && !ran.stdout.is_empty(), "{said}");
        }
        ensure!(
            there.stdout == here.stdout,
            "the view {view} is no fold of the log"
        );
        Ok(())
    }
}

/// What a node tells of a view that is ready.
fn told_of(told: &serde_json::Value, view: &str) -> Result<Option<String>> {
    let mut all = told["dependencies"].as_array().into_iter().flatten();
    let view = all
        .find(|one| one["name"] == view)
        .context("no such view")?;
    let is_ready = view["is_ready"] == true;
    Ok(is_ready.then(|| view["detail"].as_str().unwrap_or_default().to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ingest_goes_on_while_a_sink_is_down_and_its_view_catches_up() -> Result<()> {
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let project = scene.project().await?;
    let _orchestrate = scene
        .cluster
        .node(&scene.world, "orchestrate", "orchestrate")
        .await?;
    let _collect = scene
        .cluster
        .node(&scene.world, "collect", "collect")
        .await?;

    scene.middle().await?;
    scene.catalog.process().kill();
    scene.ingest_goes_on(&project, CATALOG).await?;
    // The other view does not wait for it.
    scene.catches_up(&project, GRAPH).await?;
    scene.catalog.restart();
    scene.catches_up(&project, CATALOG).await?;

    scene.middle().await?;
    scene.graph.process().kill();
    scene.ingest_goes_on(&project, GRAPH).await?;
    scene.catches_up(&project, CATALOG).await?;
    scene.graph.restart();
    scene.catches_up(&project, GRAPH).await?;

    drop(project);
    scene.is_a_fold(CATALOG).await?;
    scene.is_a_fold(GRAPH).await?;
    let log = scene.cluster.log().await?;
    check(&log, &Ledger::default(), &scene.wanted).await?;
    ensure!(
        log.head().await?.position == scene.watch.now().position,
        "the log grew"
    );
    Ok(())
}
