//! Nodes are cut from all servers; others end their scan, and those that come back do no harm.

use std::time::Duration;

use anyhow::{Result, ensure};
use mirage_faults::Ledger;
use mirage_faults::cluster::{Cluster, Network, Node, Watch, run, until, within};
use mirage_log::EventLog;
use mirage_world::{Config, World};

use crate::rig::{LEASE, check};
use crate::{MODULES, runtime, undisturbed};

/// Enough that there is a middle.
const HOSTS: usize = 60;
/// The grace of running tasks, and time to say so on a busy machine.
const GRACE: Duration = Duration::from_secs(40);

#[test]
fn nodes_that_are_cut_off_are_replaced_and_change_nothing_when_they_are_back() -> Result<()> {
    let test =
        "partition::nodes_that_are_cut_off_are_replaced_and_change_nothing_when_they_are_back";
    within(test, |network| match network {
        Some(network) => runtime()?.block_on(cut_off(&network)),
        // Which is told.
        None => Ok(()),
    })
}

async fn cut_off(network: &Network) -> Result<()> {
    let config = Config {
        hosts: HOSTS,
        ..Config::default()
    };
    let world = World::start(config).await?;
    let wanted = undisturbed(&world).await?;
    let Some(mut cluster) = Cluster::start(1)? else {
        return Ok(());
    };
    cluster.set("MIRAGE_SERVE_LEASE", LEASE);
    let log = cluster.log().await?;
    let watch = Watch::begin(cluster.log().await?);
    let mut cut = Vec::new();
    for role in ["orchestrate", "collect"] {
        let wire = network.wire()?;
        let node = cluster.node_at(&wire, &world, role, role).await?;
        cut.push((wire, node));
    }
    let words = ["--modules", MODULES, "--no-wait"];
    let begun = run(cluster.scan(&world, "me", &words)?).await?;
    ensure!(begun.status.success(), "{begun:?}");
    let enough = wanted.claims.len() / 4;
    let middle = watch.until("the middle of the scan", |now| {
        now.findings.values().any(|found| *found >= enough)
    });
    middle.await?;
    for (wire, _) in &cut {
        wire.cut(&cluster.ports()?)?;
    }
    ensure!(watch.now().running().is_some(), "over before its middle");
    for (_, node) in &cut {
        until_log_is_ready(node, false).await?;
    }
    ensure!(watch.now().running().is_some(), "the cut nodes ended it");
    let _orchestrate = cluster.node(&world, "orchestrate2", "orchestrate").await?;
    let _collect = cluster.node(&world, "collect2", "collect").await?;
    watch
        .until("the end of the scan", |now| now.over.len() == 1)
        .await?;
    check(&log, &Ledger::default(), &wanted).await?;

    let head = log.head().await?;
    for (wire, node) in &mut cut {
        wire.mend()?;
        until_log_is_ready(node, true).await?;
        node.signal("TERM")?;
        let code = node.ends_within(GRACE).await?;
        ensure!(code == Some(0), "it ended with {code:?}: {}", node.said());
    }
    let after = log.head().await?;
    ensure!(after == head, "{head:?} became {after:?}");
    Ok(())
}

async fn until_log_is_ready(node: &Node, is_ready: bool) -> Result<()> {
    until("another readiness", async || {
        let (_, told) = node.ready().await?;
        let mut all = told["dependencies"].as_array().into_iter().flatten();
        let log = all.find(|dependency| dependency["name"] == "log");
        Ok(log
            .is_some_and(|log| log["is_ready"] == is_ready)
            .then_some(()))
    })
    .await
}
