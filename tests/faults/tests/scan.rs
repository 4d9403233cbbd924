//! Whole scans under kill -9: whatever is killed, the scan ends with the same set of findings.

use std::time::Duration;

use anyhow::{Result, ensure};
use mirage_faults::scan::{claims, start};
use mirage_log::sqlite::Sqlite;
use mirage_log::verify;
use mirage_world::{Config, World};

/// Kills; more by `FAULT_CYCLES`.
fn cycles() -> u32 {
    std::env::var("FAULT_CYCLES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(100)
}

/// The longest that an undisturbed scan may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The longest life of a scan that is killed, at least.
const LIFE_MIN: Duration = Duration::from_millis(700);

async fn wait(child: &mut std::process::Child, most: Duration) -> Result<bool> {
    let until = tokio::time::Instant::now() + most;
    let mut look = tokio::time::interval(Duration::from_millis(5));
    while tokio::time::Instant::now() < until {
        look.tick().await;
        if child.try_wait()?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_that_is_killed_again_and_again_ends_with_the_same_set() -> Result<()> {
    let world = World::start(Config {
        hosts: 40,
        ..Config::default()
    })
    .await?;
    let undisturbed = tempfile::tempdir()?;
    let begun = tokio::time::Instant::now();
    let mut child = start(&world, undisturbed.path())?;
    ensure!(
        wait(&mut child, PATIENCE).await?,
        "the undisturbed scan does not end"
    );
    // A busy machine gets longer lives: one that is too short for any task shows only that tasks are given up.
    let life = (begun.elapsed() / 5).max(LIFE_MIN).as_millis() as u64;
    let (wanted, is_over) = claims(undisturbed.path()).await?;
    ensure!(
        is_over && wanted.len() > 300,
        "{} claims, over: {is_over}",
        wanted.len()
    );
    let (mut kills, mut scans) = (0, 0);
    while kills < cycles() {
        let data = tempfile::tempdir()?;
        scans += 1;
        loop {
            let mut child = start(&world, data.path())?;
            // A pseudo-random moment; the last runs of the budget are left to end.
            let moment = Duration::from_millis(60 + (u64::from(kills) * 7919) % life);
            let most = if kills < cycles() { moment } else { PATIENCE };
            if wait(&mut child, most).await? {
                break;
            }
            child.kill()?;
            child.wait()?;
            kills += 1;
            ensure!(
                kills <= cycles(),
                "the scan does not end after the last kill"
            );
        }
        verify(&Sqlite::open(data.path())?).await?;
        let (found, is_over) = claims(data.path()).await?;
        ensure!(is_over, "the program ended and the scan is not over");
        let lost: Vec<_> = wanted.difference(&found).collect();
        let gained: Vec<_> = found.difference(&wanted).collect();
        ensure!(
            lost.is_empty() && gained.is_empty(),
            "lost {lost:?}, gained {gained:?}"
        );
    }
    eprintln!(
        "{kills} kills over {scans} scans of {} claims each",
        wanted.len()
    );
    Ok(())
}
