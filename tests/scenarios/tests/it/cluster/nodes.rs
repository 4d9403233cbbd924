//! Nodes are killed, frozen and asked to leave in the middle of a scan, and others go on.

use std::time::Duration;

use anyhow::{Result, ensure};
use mirage_faults::cluster::until;
use mirage_log::EventLog;

use super::{Scene, ran};

/// The grace of running tasks, and time to say so on a busy machine.
const GRACE: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_collector_leaves_its_tasks_to_another() -> Result<()> {
    let Some(scene) = Scene::new(1).await? else {
        return Ok(());
    };
    let _orchestrate = scene.node("orchestrate", "orchestrate").await?;
    let one = scene.node("one", "collect").await?;
    let _two = scene.node("two", "collect").await?;
    scene.begin().await?;
    scene.middle().await?;
    one.kill()?;
    scene.ends_the_same().await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_orchestrator_and_projector_are_replaced() -> Result<()> {
    let Some(scene) = Scene::new(1).await? else {
        return Ok(());
    };
    let orchestrate = scene.node("orchestrate", "orchestrate").await?;
    let project = scene.node("project", "project").await?;
    let _collect = scene.node("collect", "collect").await?;
    scene.begin().await?;
    scene.middle().await?;
    state(&scene, "running").await?;
    orchestrate.kill()?;
    project.kill()?;
    state(&scene, "interrupted").await?;
    let _orchestrate = scene.node("another", "orchestrate").await?;
    let project = scene.node("project", "project").await?;
    scene.ends_the_same().await?;
    scene.ready(&project, "catalog", true).await?;
    let dump = ["views", "dump", "catalog"];
    let live = ran(&scene.cluster, "project", &dump).await?.expect(&[0])?;
    let anew = ran(&scene.cluster, "anew", &dump).await?.expect(&[0])?;
    ensure!(live.out == anew.out, "the killed node's view is no fold");
    Ok(())
}

/// Waits until the one scan is told to be in this state, wherever one asks.
async fn state(scene: &Scene, wanted: &str) -> Result<()> {
    until("another state", async || {
        let words = ["scans", "get", "@last", "-o", "jsonl"];
        let told = ran(&scene.cluster, "me", &words).await?.expect(&[0])?;
        let is_so = told.objects()?.iter().any(|scan| scan["state"] == wanted);
        Ok(is_so.then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_wakes_after_its_leases_changes_nothing() -> Result<()> {
    let Some(scene) = Scene::new(1).await? else {
        return Ok(());
    };
    let _orchestrate = scene.node("orchestrate", "orchestrate").await?;
    let mut frozen = scene.node("frozen", "collect").await?;
    let _other = scene.node("other", "collect").await?;
    scene.begin().await?;
    scene.middle().await?;
    frozen.signal("STOP")?;
    let head = scene.ends_the_same().await?;
    frozen.signal("CONT")?;
    scene.ready(&frozen, "log", true).await?;
    frozen.signal("TERM")?;
    let code = frozen.ends_within(GRACE).await?;
    ensure!(code == Some(0), "it ended with {code:?}: {}", frozen.said());
    let after = scene.log.head().await?;
    ensure!(after == head, "{head:?} became {after:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_asked_to_leave_drains_and_another_ends_its_tasks() -> Result<()> {
    let Some(scene) = Scene::new(1).await? else {
        return Ok(());
    };
    let _orchestrate = scene.node("orchestrate", "orchestrate").await?;
    let mut leaving = scene.node("leaving", "collect").await?;
    let _staying = scene.node("staying", "collect").await?;
    scene.begin().await?;
    scene.middle().await?;
    leaving.signal("TERM")?;
    let code = leaving.ends_within(GRACE).await?;
    ensure!(
        code == Some(0),
        "it ended with {code:?}: {}",
        leaving.said()
    );
    scene.ends_the_same().await.map(drop)
}
