//! The company's scan on a cluster finds and explains what it does on one machine.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use mirage_faults::cluster::{Cluster, run};
use mirage_faults::scan::{Scanned, scans_of};
use mirage_log::verify;
use mirage_scenarios::{Place, Running, ended_once, same, web_ports};
use mirage_world::{Config, World};
use serde_json::Value;

use super::{ran, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_finds_and_explains_what_one_process_does() -> Result<()> {
    let Some(cluster) = Cluster::start(1)? else {
        return Ok(());
    };
    let world = World::start(Config::default()).await?;
    let place = Place::new()?;
    let alone = place.session(&world)?.usual(&world);
    alone.run().await?.expect(&[0, 7])?;
    let wanted = place.scanned().await?;

    let _orchestrate = cluster.node(&world, "orchestrate", "orchestrate").await?;
    let _one = cluster.node(&world, "one", "collect").await?;
    let _two = cluster.node(&world, "two", "collect").await?;
    let project = cluster.node(&world, "project", "project").await?;
    let scan = cluster.scan(&world, "me", &["--ports", &web_ports(&world)])?;
    Running::start(scan)?.end().await?.expect(&[0, 7])?;

    let log = cluster.log().await?;
    verify(&log).await?;
    let mut scans = scans_of(&log).await?.into_values();
    let found = scans.next().context("a scan")?;
    ensure!(scans.next().is_none(), "more than one scan");
    ended_once(&found)?;
    same(&wanted.claims, &found.claims)?;
    same_troubles(&wanted, &found)?;
    ran(&cluster, "me", &["log", "verify"])
        .await?
        .expect(&[0])?;
    explains_itself(&cluster).await?;
    ensure!(
        project.ready().await?.0 == 200,
        "{:?}",
        project.ready().await?
    );
    drop(project);
    views_are_folds_of_the_log(&cluster, &place).await
}

/// The same was refused, cut or failed; the words beside it tell of addresses and times.
fn same_troubles(wanted: &Scanned, found: &Scanned) -> Result<()> {
    let of = |scanned: &Scanned| -> BTreeSet<[String; 3]> {
        let all = scanned.troubles.iter().cloned();
        all.map(|(module, input, reason, _)| [module, input, reason])
            .collect()
    };
    let (wanted, found) = (of(wanted), of(found));
    let differing: Vec<_> = wanted.symmetric_difference(&found).collect();
    ensure!(differing.is_empty(), "other troubles: {differing:#?}");
    Ok(())
}

/// One finding of each module reaches its seed, with every hash on the way verified.
async fn explains_itself(cluster: &Cluster) -> Result<()> {
    let words = ["findings", "@last", "-o", "jsonl"];
    let findings = ran(cluster, "me", &words).await?.expect(&[0])?.objects()?;
    let by_module = findings.iter().map(|finding| {
        let text = |field: &str| finding[field].as_str().unwrap_or_default().to_owned();
        (text("module"), text("finding_id"))
    });
    let samples: BTreeMap<String, String> = by_module.collect();
    ensure!(samples.len() > 10, "{samples:?}");
    for id in samples.values() {
        let why = ran(cluster, "me", &["why", id, "--json"])
            .await?
            .expect(&[0])?;
        let why: Value = serde_json::from_slice(&why.out)?;
        ensure!(why["reaches_seed"] == true, "{why}");
    }
    Ok(())
}

/// What the projecting node folded, a copy of the log folds in a data directory, byte for byte.
async fn views_are_folds_of_the_log(cluster: &Cluster, place: &Place) -> Result<()> {
    let copy = place.home().join("copy");
    ran(cluster, "me", &["log", "backup", text(&copy)])
        .await?
        .expect(&[0])?;
    place
        .mirage_at(&copy, &["log", "verify"])
        .await?
        .expect(&[0])?;
    for view in ["catalog", "graph"] {
        let words = ["views", "dump", view];
        let there = run(cluster.command("project", &words)?).await?;
        let here = place.mirage_at(&copy, &words).await?.expect(&[0])?;
        ensure!(
            !here.out.is_empty() && there.stdout == here.out,
            "{view} differs"
        );
    }
    Ok(())
}
