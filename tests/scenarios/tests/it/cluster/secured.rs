//! A cluster whose log wants TLS, a certificate and credentials, and whose bucket wants TLS.
//!
//! It works, and no secret stands in any byte that it says or keeps.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use mirage_faults::cluster::Cluster;
use mirage_scenarios::{Ran, Running, web_ports};
use mirage_servers::{Authority, Identity, NatsOptions, Operator};
use mirage_world::{Config, World};

use super::ran;

/// What lies where; the rest comes by the environment, as secrets do.
fn file(authority: &Path, own: &Identity, creds: &Path) -> String {
    let Identity { certificate, key } = own;
    format!(
        "[log]\nca = {authority:?}\ncertificate = {certificate:?}\nkey = {key:?}\ncredentials = {creds:?}\n\n\
         [evidence]\nca = {authority:?}\n"
    )
}

/// Every file below a folder; links are not followed.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => files.extend(self::files(&entry.path())?),
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    Ok(files)
}

/// None of the secrets stands in these bytes.
fn silent(what: &str, bytes: &[u8], secrets: &[&str]) -> Result<()> {
    for secret in secrets {
        let mut windows = bytes.windows(secret.len());
        ensure!(
            !windows.any(|window| window == secret.as_bytes()),
            "a secret stands in {what}"
        );
    }
    Ok(())
}

fn both(ran: &Ran, secrets: &[&str]) -> Result<()> {
    silent("stdout", &ran.out, secrets)?;
    silent("stderr", ran.err.as_bytes(), secrets)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_behind_tls_scans_and_tells_no_secret() -> Result<()> {
    let (authority, operator) = (Authority::new(), Operator::new());
    let locked = NatsOptions::default()
        .with_tls(&authority.server(), Some(&authority.file()))
        .with_operator(&operator);
    let nats = mirage_servers::nats_with(1, &locked);
    let (Some(nats), Some(s3)) = (nats, mirage_servers::s3_with_tls(&authority)) else {
        return Ok(());
    };
    let (creds, own) = (
        tempfile::NamedTempFile::new()?,
        authority.signed("node", &["node"]),
    );
    std::fs::write(creds.path(), operator.creds())?;
    let key = std::fs::read_to_string(&own.key)?;
    let key = key.lines().nth(1).context("a key")?;
    let secrets = [operator.seed(), s3.secret_key(), key];

    let cluster = Cluster::over(1, nats, s3)?;
    std::fs::write(
        cluster.home().join("mirage.toml"),
        file(&authority.file(), &own, creds.path()),
    )?;
    let world = World::start(Config {
        hosts: 4,
        ..Config::default()
    })
    .await?;
    let node = cluster.node(&world, "node", "all").await?;
    let words = [
        "--ports",
        &web_ports(&world),
        "--modules",
        "crtsh,dns,http",
        "-vvv",
    ];
    let scan = cluster.scan(&world, "me", &words)?;
    both(
        &Running::start(scan)?.end().await?.expect(&[0, 7])?,
        &secrets,
    )?;
    for words in [
        &["findings", "-o", "jsonl"][..],
        &["doctor", "-vvv"],
        &["nodes", "-vvv"],
        &["log", "verify", "-vvv"],
        &["config", "explain"],
    ] {
        let told = ran(&cluster, "me", words).await?.expect(&[0])?;
        ensure!(!told.out.is_empty(), "{words:?} says nothing");
        both(&told, &secrets)?;
    }
    silent("the node's log", node.said().as_bytes(), &secrets)?;
    drop(node);
    let kept = files(cluster.folder())?;
    ensure!(kept.len() > 5, "hardly anything is kept");
    for file in kept {
        silent(
            &file.display().to_string(),
            &std::fs::read(&file)?,
            &secrets,
        )?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_a_wrong_secret_says_which_key_to_correct_and_not_what_it_holds() -> Result<()>
{
    const WRONG: &str = "wrong-battery-9";
    let locked = NatsOptions::default().with_token("correct-horse-9");
    let nats = mirage_servers::nats_with(1, &locked);
    let (Some(nats), Some(s3)) = (nats, mirage_servers::s3()) else {
        return Ok(());
    };
    let mut cluster = Cluster::over(1, nats, s3)?;
    cluster.set("MIRAGE_LOG_TOKEN", WRONG);
    for words in [
        &["serve", "--listen", "127.0.0.1:0", "-vvv"][..],
        &["nodes", "-vvv"],
        &["doctor", "-vvv"],
    ] {
        let refused = ran(&cluster, "me", words).await?.expect(&[1, 9])?;
        let said = format!("{}{}", refused.err, refused.text()?);
        ensure!(said.contains("correct `log.token`"), "{words:?}: {said}");
        both(&refused, &[WRONG])?;
    }
    Ok(())
}
