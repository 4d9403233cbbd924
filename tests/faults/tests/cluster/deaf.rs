//! A queue of tasks that is there and delivers nothing is made anew by whoever orchestrates.

use std::time::Duration;

use anyhow::{Result, ensure};
use mirage_faults::Ledger;
use mirage_faults::cluster::{Cluster, Watch, run};
use mirage_world::{Config, World};

use crate::rig::{LEASE, check};
use crate::{MODULES, undisturbed};

/// Enough that there is a middle.
const HOSTS: usize = 60;
/// The queue's own; far longer than any scan here is waited for.
const PAUSE: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_whose_queue_falls_deaf_ends_all_the_same() -> Result<()> {
    let Some(mut cluster) = Cluster::start(1)? else {
        return Ok(());
    };
    cluster.set("MIRAGE_SERVE_LEASE", LEASE);
    let config = Config {
        hosts: HOSTS,
        ..Config::default()
    };
    let world = World::start(config).await?;
    let wanted = undisturbed(&world).await?;
    let log = cluster.log().await?;
    let watch = Watch::begin(cluster.log().await?);
    let _orchestrate = cluster.node(&world, "orchestrate", "orchestrate").await?;
    let _collect = cluster.node(&world, "collect", "collect").await?;
    let words = ["--modules", MODULES, "--no-wait"];
    let begun = run(cluster.scan(&world, "me", &words)?).await?;
    ensure!(begun.status.success(), "{begun:?}");
    let enough = wanted.claims.len() / 4;
    let middle = watch.until("the middle of the scan", |now| {
        now.findings.values().any(|found| *found >= enough)
    });
    middle.await?;
    cluster.deafen(PAUSE).await?;
    ensure!(watch.now().running().is_some(), "over before its middle");
    let over = watch.until("the end of the scan", |now| now.over.len() == 1);
    cluster.or_tell(over).await?;
    check(&log, &Ledger::default(), &wanted).await
}
