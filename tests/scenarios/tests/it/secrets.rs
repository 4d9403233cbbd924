//! Secrets of environment and configuration reach neither the data directory nor an output.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use mirage_scenarios::{Place, Ran};
use mirage_world::{Config, World};

const CANARY: &str = "c4n4ry-5ecret-0f-m1rage";

/// Every file below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => files.extend(self::files(&path)?),
            false => files.push(path),
        }
    }
    Ok(files)
}

fn holds(bytes: &[u8]) -> bool {
    bytes
        .windows(CANARY.len())
        .any(|window| window == CANARY.as_bytes())
}

fn is_silent(ran: &Ran) -> Result<()> {
    ensure!(!holds(&ran.out), "the canary stands on stdout");
    ensure!(
        !holds(ran.err.as_bytes()),
        "the canary stands on stderr: {}",
        ran.err
    );
    Ok(())
}

fn is_clean(place: &Place) -> Result<()> {
    for file in files(place.data())? {
        let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
        ensure!(!holds(&bytes), "the canary stands in {}", file.display());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_of_the_surroundings_reaches_no_byte_of_a_scan() -> Result<()> {
    let world = World::start(Config {
        hosts: 4,
        ..Config::default()
    })
    .await?;
    let place = Place::new()?;
    std::fs::write(
        place.home().join("mirage.toml"),
        format!("# key: {CANARY}\noutput = 'table'\n"),
    )?;
    // The second is what a cluster sets beside a service of our name: not meant for us.
    let session = place
        .session(&world)?
        .usual(&world)
        .env("SHODAN_API_KEY", CANARY)
        .env("MIRAGE_SERVICE_TOKEN", CANARY);
    let ran = session.with(&["-v"]).run().await?.expect(&[0, 7])?;
    is_silent(&ran)?;
    for words in [
        &["findings", "-o", "jsonl"][..],
        &["scans", "get", "-o", "json"],
        &["log", "tail"],
        &["config", "explain"],
    ] {
        is_silent(&place.mirage(words).await?)?;
    }
    ensure!(files(place.data())?.len() > 3, "nothing was written");
    is_clean(&place)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_for_a_setting_that_is_none_is_refused_without_being_shown() -> Result<()> {
    let world = World::start(Config {
        hosts: 0,
        ..Config::default()
    })
    .await?;
    let place = Place::new()?;
    let session = place
        .session(&world)?
        .usual(&world)
        .env("MIRAGE_MODULES_SHODAN_KEY", CANARY);
    is_silent(&session.run().await?.expect(&[2])?)?;
    let set = format!("shodan.key={CANARY}");
    let session = place.session(&world)?.usual(&world).with(&["--set", &set]);
    is_silent(&session.run().await?.expect(&[2])?)?;
    std::fs::write(
        place.home().join("mirage.toml"),
        format!("[modules.shodan]\nkey = '{CANARY}'\n"),
    )?;
    is_silent(
        &place
            .session(&world)?
            .usual(&world)
            .run()
            .await?
            .expect(&[2])?,
    )?;
    for command in ["check", "explain"] {
        is_silent(&place.mirage(&["config", command]).await?)?;
    }
    is_clean(&place)
}
