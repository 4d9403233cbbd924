//! A running scan is backed up and exported, and what was copied is whole up to its position.

use anyhow::{Result, ensure};
use mirage_scenarios::{Place, until};
use mirage_world::{Config, World};

fn text(path: &std::path::Path) -> &str {
    path.to_str().expect("a path that is text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_is_backed_up_while_it_runs_and_goes_on_from_the_copy() -> Result<()> {
    let world = World::start(Config {
        hosts: 100,
        ..Config::default()
    })
    .await?;
    let (place, backup, restored) = (Place::new()?, Place::new()?, Place::new()?);
    let running = place.session(&world)?.usual(&world).start()?;
    let log = place.data().join("log.db");
    until("the log", async || Ok(log.exists().then_some(()))).await?;
    let findings = async || {
        let found = place.mirage(&["findings", "-o", "key"]).await?;
        Ok((found.code == Some(0) && found.text()?.lines().count() > 50).then_some(()))
    };
    until("some findings", findings).await?;
    let to = text(backup.data());
    place.mirage(&["log", "backup", to]).await?.expect(&[0])?;
    // Evidence comes before the commits that cite it, in the copy too.
    backup.mirage(&["evidence", "verify"]).await?.expect(&[0])?;
    backup.mirage(&["log", "verify"]).await?.expect(&[0])?;
    let archive = place.mirage(&["log", "export"]).await?.expect(&[0])?;
    let file = place.home().join("archive");
    std::fs::write(&file, &archive.out)?;
    let proof = ["log", "verify", "--archive", text(&file)];
    place.mirage(&proof).await?.expect(&[0])?;
    running.end().await?.expect(&[0, 7])?;

    place.mirage(&["log", "backup", to]).await?.expect(&[0])?;
    let restore = ["log", "restore", to];
    restored.mirage(&restore).await?.expect(&[0])?;
    restored
        .mirage(&["evidence", "verify"])
        .await?
        .expect(&[0])?;
    for words in [
        &["views", "dump", "catalog"][..],
        &["log", "export"],
        &["findings", "@last", "-o", "jsonl"],
    ] {
        let (here, there) = (place.mirage(words).await?, restored.mirage(words).await?);
        ensure!(
            here.expect(&[0])?.out == there.expect(&[0])?.out,
            "{words:?} differs"
        );
    }
    let doctor = restored.objects(&["doctor", "--deep"]).await?;
    let failed: Vec<_> = doctor
        .iter()
        .filter(|line| line["verdict"] == "fail")
        .collect();
    ensure!(failed.is_empty(), "{failed:?}");
    Ok(())
}
