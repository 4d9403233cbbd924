//! The program as a cluster: nodes in roles over servers of their own, hurt in mid-scan.

mod company;
mod nodes;
mod promotion;
mod refusals;
mod secured;
mod servers;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use mirage_faults::cluster::{Cluster, Node, look, until};
use mirage_faults::scan::{Scanned, scans_of};
use mirage_log::jetstream::JetStream;
use mirage_log::{EventLog, Head, verify};
use mirage_scenarios::{Place, Ran, Running, ended_once, same, web_ports};
use mirage_world::{Config, World};

/// Enough hosts that there is a middle, and few modules, so that it is soon over.
const HOSTS: usize = 60;
const MODULES: &str = "crtsh,dns,http,ports,tls";

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

/// Runs a command from the node of this name to its end.
async fn ran(cluster: &Cluster, name: &str, words: &[&str]) -> Result<Ran> {
    Running::start(cluster.command(name, words)?)?.end().await
}

/// A cluster, a world, and what one undisturbed process found there.
struct Scene {
    cluster: Cluster,
    world: World,
    log: JetStream,
    wanted: Scanned,
}

impl Scene {
    /// `None` where the servers cannot be had.
    async fn new(replicas: usize) -> Result<Option<Self>> {
        let Some(cluster) = Cluster::start(replicas)? else {
            return Ok(None);
        };
        let config = Config {
            hosts: HOSTS,
            ..Config::default()
        };
        let world = World::start(config).await?;
        let place = Place::new()?;
        let alone = place.session(&world)?.usual(&world);
        let alone = alone.with(&["--modules", MODULES]);
        alone.run().await?.expect(&[0, 7])?;
        Ok(Some(Self {
            log: cluster.log().await?,
            wanted: place.scanned().await?,
            cluster,
            world,
        }))
    }

    async fn node(&self, name: &str, roles: &str) -> Result<Node> {
        self.cluster.node(&self.world, name, roles).await
    }

    /// Starts the scan and leaves it to the nodes.
    async fn begin(&self) -> Result<()> {
        let ports = web_ports(&self.world);
        let words = ["--ports", &ports, "--modules", MODULES, "--no-wait"];
        let scan = self.cluster.scan(&self.world, "me", &words)?;
        let ran = Running::start(scan)?.end().await?.expect(&[0])?;
        ensure!(ran.err.contains("the nodes run it"), "{}", ran.err);
        Ok(())
    }

    /// Waits until a quarter of all is found; there must be something left to do.
    async fn middle(&self) -> Result<()> {
        let enough = u64::try_from(self.wanted.claims.len() / 4)?;
        let seen = until("the middle of the scan", async || {
            let seen = look(&self.log).await?;
            Ok((seen.findings >= enough).then_some(seen))
        })
        .await?;
        ensure!(seen.over == 0, "over before its middle: {seen:?}");
        Ok(())
    }

    /// Waits for the end: the same set as undisturbed, every task ended once, the chain whole.
    async fn ends_the_same(&self) -> Result<Head> {
        let ended = until("the end of the scan", async || {
            Ok((look(&self.log).await?.over == 1).then_some(()))
        });
        self.cluster.or_tell(ended).await?;
        verify(&self.log).await?;
        let scans = scans_of(&self.log).await?;
        ensure!(scans.len() == 1, "{} scans", scans.len());
        let found = scans.into_values().next().context("a scan")?;
        ended_once(&found)?;
        same(&self.wanted.claims, &found.claims)?;
        Ok(self.log.head().await?)
    }

    /// Waits until a node is ready, or not; then `name` is among what it waits for.
    async fn ready(&self, node: &Node, name: &str, is_ready: bool) -> Result<()> {
        let wanted = if is_ready { 200 } else { 503 };
        until("another readiness", async || {
            let (status, told) = node.ready().await?;
            let all = told["dependencies"].as_array().into_iter().flatten();
            let mut named = all.filter(|dependency| dependency["name"] == name);
            let is_so = named.next().is_some_and(|one| one["is_ready"] == is_ready);
            Ok((status == wanted && is_so).then_some(()))
        })
        .await
    }
}
