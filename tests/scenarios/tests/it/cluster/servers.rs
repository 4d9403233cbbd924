//! The servers of a cluster are cut off in the middle of a scan; nodes say so, wait, and go on.

use std::time::Duration;

use anyhow::{Result, ensure};
use mirage_faults::cluster::until;

use super::Scene;

/// How long a server is gone once it was missed.
const OUTAGE: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_gone_for_a_while_is_waited_for() -> Result<()> {
    let Some(scene) = Scene::new(1).await? else {
        return Ok(());
    };
    let orchestrate = scene.node("orchestrate", "orchestrate").await?;
    let collect = scene.node("collect", "collect").await?;
    scene.begin().await?;
    scene.middle().await?;
    scene.cluster.nats.node(0).kill();
    scene.ready(&orchestrate, "log", false).await?;
    tokio::time::sleep(OUTAGE).await;
    scene.cluster.nats.node(0).restart();
    scene.ready(&orchestrate, "log", true).await?;
    scene.ready(&collect, "log", true).await?;
    scene.ends_the_same().await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_that_is_gone_for_a_while_is_waited_for() -> Result<()> {
    let Some(scene) = Scene::new(1).await? else {
        return Ok(());
    };
    let _orchestrate = scene.node("orchestrate", "orchestrate").await?;
    let collect = scene.node("collect", "collect").await?;
    scene.begin().await?;
    scene.middle().await?;
    scene.cluster.s3.kill();
    scene.ready(&collect, "evidence", false).await?;
    tokio::time::sleep(OUTAGE).await;
    scene.cluster.s3.restart();
    scene.ready(&collect, "evidence", true).await?;
    scene.ends_the_same().await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_of_three_is_replaced_in_the_middle_of_a_scan() -> Result<()> {
    let Some(scene) = Scene::new(3).await? else {
        return Ok(());
    };
    let _orchestrate = scene.node("orchestrate", "orchestrate").await?;
    let _one = scene.node("one", "collect").await?;
    let _two = scene.node("two", "collect").await?;
    scene.begin().await?;
    scene.middle().await?;
    let leader = until("a leader", async || scene.cluster.leader().await).await?;
    scene.cluster.nats.node(leader).kill();
    scene.ends_the_same().await?;
    scene.cluster.nats.node(leader).restart();
    scene.cluster.nats.ready();
    let leader = until("a leader", async || scene.cluster.leader().await).await?;
    ensure!(leader < 3, "node {leader}");
    scene.ends_the_same().await.map(drop)
}
