//! A data directory becomes a cluster's log and comes back, with the same positions and hashes.

use std::path::Path;

use anyhow::{Result, ensure};
use mirage_faults::cluster::{Cluster, look};
use mirage_log::sqlite::Sqlite;
use mirage_log::{EventLog, Head};
use mirage_scenarios::{Place, Running, same, web_ports};
use mirage_world::{Config, World};

use super::{MODULES, ran, text};

const FINDINGS: [&str; 4] = ["findings", "@last", "-o", "jsonl"];

/// A directory with a scan, and its backup beside it.
async fn backed_up(world: &World) -> Result<Place> {
    let place = Place::new()?;
    let session = place.session(world)?.usual(world);
    let ran = session.with(&["--modules", MODULES]).run().await?;
    ran.expect(&[0, 7])?;
    let to = place.home().join("backup");
    let backup = ["log", "backup", text(&to)];
    place.mirage(&backup).await?.expect(&[0])?;
    Ok(place)
}

async fn head(data: &Path) -> Result<Head> {
    Ok(Sqlite::open(data)?.head().await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_is_promoted_scanned_on_and_brought_back() -> Result<()> {
    let Some(cluster) = Cluster::start(1)? else {
        return Ok(());
    };
    let world = World::start(Config::default()).await?;
    let place = backed_up(&world).await?;
    let from = place.home().join("backup");
    let restore = ["log", "restore", text(&from)];
    ran(&cluster, "me", &restore).await?.expect(&[0])?;
    let log = cluster.log().await?;
    ensure!(
        log.head().await? == head(place.data()).await?,
        "another log"
    );
    let here = place.mirage(&FINDINGS).await?.expect(&[0])?;
    let there = ran(&cluster, "me", &FINDINGS).await?.expect(&[0])?;
    ensure!(here.out == there.out, "findings differ");

    let _node = cluster.node(&world, "node", "all").await?;
    let ports = web_ports(&world);
    let scan = cluster.scan(&world, "me", &["--ports", &ports, "--modules", MODULES])?;
    Running::start(scan)?.end().await?.expect(&[0, 7])?;
    ensure!(look(&log).await?.over == 2, "no second scan");

    let back = place.home().join("back");
    let backup = ["log", "backup", text(&back)];
    ran(&cluster, "me", &backup).await?.expect(&[0])?;
    ensure!(head(&back).await? == log.head().await?, "another log");
    for words in [["log", "verify"], ["evidence", "verify"]] {
        place.mirage_at(&back, &words).await?.expect(&[0])?;
    }
    let scans = mirage_faults::scan::scans(&back).await?;
    let [one, two] = &*scans.values().collect::<Vec<_>>() else {
        anyhow::bail!("{} scans", scans.len());
    };
    same(&one.claims, &two.claims)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_log_is_refused_and_changes_nothing() -> Result<()> {
    let Some(cluster) = Cluster::start(1)? else {
        return Ok(());
    };
    let world = World::start(Config::default()).await?;
    let (place, other) = (backed_up(&world).await?, backed_up(&world).await?);
    let from = |place: &Place| place.home().join("backup");
    let restore = ["log", "restore", text(&from(&place))].map(str::to_owned);
    let words: Vec<&str> = restore.iter().map(String::as_str).collect();
    ran(&cluster, "me", &words).await?.expect(&[0])?;
    let (log, keys) = (cluster.log().await?, keys(&cluster)?);
    let before = log.head().await?;
    let other = from(&other);
    let refused = ran(&cluster, "me", &["log", "restore", text(&other)]).await?;
    let refused = refused.expect(&[5])?;
    ensure!(refused.err.contains("another log"), "{}", refused.err);
    ensure!(log.head().await? == before, "the log was changed");
    ensure!(self::keys(&cluster)? == keys, "the keys were changed");
    // What stands there already is found there.
    ran(&cluster, "me", &words).await?.expect(&[0])?;
    ensure!(log.head().await? == before, "the log was changed");
    Ok(())
}

fn keys(cluster: &Cluster) -> Result<Vec<(String, Vec<u8>)>> {
    let mut keys = Vec::new();
    for entry in std::fs::read_dir(cluster.keys())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        keys.push((name, std::fs::read(entry.path())?));
    }
    keys.sort();
    Ok(keys)
}
