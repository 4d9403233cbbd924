//! What a scan finds hangs neither on threads nor on its pace; a limit cuts, and says so.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mirage_faults::scan::COMPANY;
use mirage_scenarios::{Place, ended_once, same, web_ports};
use mirage_world::{Config, World};
use serde_json::Value;

async fn world() -> Result<World> {
    World::start(Config {
        hosts: 8,
        ..Config::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_and_pace_change_nothing_of_what_is_found() -> Result<()> {
    let world = world().await?;
    let ports = web_ports(&world);
    let mut wanted = None;
    for (threads, rate) in [("1", "0"), ("4", "0"), ("2", "400")] {
        let place = Place::new()?;
        let session = place.session(&world)?.env("TOKIO_WORKER_THREADS", threads);
        let words = [
            "--allow-private",
            COMPANY,
            "--ports",
            &ports,
            "--rate",
            rate,
        ];
        session.with(&words).run().await?.expect(&[0, 7])?;
        let scanned = place.scanned().await?;
        ended_once(&scanned)?;
        let wanted = wanted.get_or_insert_with(|| scanned.claims.clone());
        same(wanted, &scanned.claims).with_context(|| format!("{threads} threads, rate {rate}"))?;
    }
    Ok(())
}

/// Scans under a limit, and answers what `scans get` says.
async fn limited(world: &World, words: &[&str], name: &str) -> Result<(Place, Value)> {
    let place = Place::new()?;
    let ran = place.session(world)?.usual(world).with(words).run().await?;
    ran.expect(&[0, 7])?;
    ended_once(&place.scanned().await?)?;
    let scan = place.scan("@last").await?;
    ensure!(
        scan["state"] == "finished" && scan["outcome"] == "limited",
        "{scan}"
    );
    let limits = scan["limits"].to_string();
    ensure!(limits.contains(name), "{name} is not among {limits}");
    Ok((place, scan))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_of_requests_cuts_and_is_recorded() -> Result<()> {
    let world = world().await?;
    let (_, scan) = limited(&world, &["--max-requests", "50"], "requests").await?;
    let requests = scan["requests"].as_u64().context("requests")?;
    ensure!(requests <= 50, "{requests} requests");
    let served = world.counts();
    ensure!(served.tcp <= 50, "{served:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_depth_cuts_and_is_recorded() -> Result<()> {
    let world = world().await?;
    let (place, _) = limited(&world, &["--depth", "1"], "depth").await?;
    let whole = Place::new()?;
    whole
        .session(&world)?
        .usual(&world)
        .run()
        .await?
        .expect(&[0, 7])?;
    let (cut, whole) = (place.scanned().await?.claims, whole.scanned().await?.claims);
    ensure!(
        cut.is_subset(&whole) && cut.len() > 10,
        "{} of {}",
        cut.len(),
        whole.len()
    );
    ensure!(cut.len() < whole.len(), "nothing was cut");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_cuts_and_is_recorded() -> Result<()> {
    let world = world().await?;
    // Every question waits for its answer: without the limit this takes minutes.
    world.drop_dns(1_000_000);
    let began = tokio::time::Instant::now();
    limited(&world, &["--max-time", "1s"], "time").await?;
    let took = began.elapsed();
    ensure!(took < Duration::from_secs(20), "it took {took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_help_lists_the_codes_that_a_scan_ends_with() -> Result<()> {
    let help = Place::new()?
        .mirage(&["scan", "--help"])
        .await?
        .expect(&[0])?;
    let help = help.text()?;
    for code in [
        "0 ok",
        "7 finished with failed modules",
        "8 still running",
        "130 interrupted",
    ] {
        let flat: Vec<_> = help.split_whitespace().collect();
        ensure!(flat.join(" ").contains(code), "{code} is not in {help}");
    }
    Ok(())
}
