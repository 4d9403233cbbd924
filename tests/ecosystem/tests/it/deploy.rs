//! The files of `deploy/`: one holds what another names, and the programs that read them take them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use mirage_ecosystem::{python, root};
use mirage_faults::without_configuration;
use mirage_servers::nats_program;
use serde_json::Value;

use crate::ran::ran;

const FILES: [&str; 3] = ["compose.yaml", "mirage.toml", "nats.conf"];

/// A copy of the folder, changed in one place.
fn changed(file: &str, from: &str, to: &str) -> Result<tempfile::TempDir> {
    let copy = tempfile::tempdir()?;
    for name in FILES {
        let text = fs::read_to_string(root().join("deploy").join(name))?;
        let is_meant = name == file;
        ensure!(!is_meant || text.contains(from), "{file} has no `{from}`");
        let text = if is_meant {
            text.replacen(from, to, 1)
        } else {
            text
        };
        fs::write(copy.path().join(name), text)?;
    }
    Ok(copy)
}

/// The program in a folder whose `mirage.toml` it reads.
fn mirage(folder: &Path, words: &[&str]) -> Result<Command> {
    let mut command = Command::new(mirage_faults::program("mirage")?);
    without_configuration(&mut command);
    command.args(words).current_dir(folder);
    Ok(command)
}

/// Every key of the configuration, as the program explains it in a folder.
fn explained(folder: &Path) -> Result<Vec<Value>> {
    let (is_good, said) = ran(mirage(folder, &["config", "explain", "-o", "jsonl"])?)?;
    ensure!(is_good, "{said}");
    let keys: Result<_, _> = said.lines().map(serde_json::from_str).collect();
    keys.with_context(|| said.clone())
}

fn check(folder: &Path) -> Result<Option<(bool, String)>> {
    let Some(mut command) = python("the files of deploy", "yaml", "check_deploy.py") else {
        return Ok(None);
    };
    command.arg(folder);
    let keys = explained(&root().join("deploy"))?;
    command.args(keys.iter().filter_map(|key| key["variable"].as_str()));
    ran(command).map(Some)
}

#[test]
fn what_one_file_names_another_one_has() -> Result<()> {
    let Some((is_good, said)) = check(&root().join("deploy"))? else {
        return Ok(());
    };
    ensure!(is_good, "{said}");
    for (file, from, to, fault) in [
        (
            "mirage.toml",
            "@catalog:",
            "@catalogue:",
            "no service catalogue",
        ),
        (
            "compose.yaml",
            "MIRAGE_LOG_PASSWORD",
            "MIRAGE_LOG_PASS",
            "does not know",
        ),
        (
            "compose.yaml",
            "\"--role\", \"api\"",
            "\"--role\", \"project\"",
            "the roles are",
        ),
        (
            "compose.yaml",
            "./nats.conf:",
            "./nats.cfg:",
            "mounts ./nats.cfg",
        ),
        (
            "compose.yaml",
            "NATS_PASSWORD, CATALOG",
            "CATALOG",
            "nobody is told of NATS_PASSWORD",
        ),
    ] {
        let folder = changed(file, from, to)?;
        let (is_good, said) = check(folder.path())?.context("it was there")?;
        ensure!(!is_good && said.contains(fault), "{from}: {said}");
    }
    Ok(())
}

#[test]
fn the_program_takes_its_configuration() -> Result<()> {
    let keys = explained(&root().join("deploy"))?;
    let url = keys.iter().find(|key| key["key"] == "catalog.url");
    let url = url.context("a key")?;
    let layer = url["layer"].as_str().unwrap_or_default();
    ensure!(layer.ends_with("mirage.toml"), "{url}");
    // What asks no server and does not bear faults.
    let list = |folder: &Path| ran(mirage(folder, &["modules", "ls"])?);
    let (is_good, said) = list(&root().join("deploy"))?;
    ensure!(is_good, "{said}");
    let unknown = changed("mirage.toml", "url = \"bolt", "address = \"bolt")?;
    let (is_good, said) = list(unknown.path())?;
    ensure!(!is_good && said.contains("graph.address"), "{said}");
    Ok(())
}

#[test]
fn the_server_of_the_log_takes_its_configuration() -> Result<()> {
    let test = |folder: &Path| {
        let mut command = nats_program()?;
        command.args(["-t", "-c"]).arg(folder.join("nats.conf"));
        Some(ran({
            command.env("NATS_PASSWORD", "secret");
            command
        }))
    };
    let Some(taken) = test(&root().join("deploy")) else {
        return Ok(());
    };
    let (is_good, said) = taken?;
    ensure!(is_good, "{said}");
    let unfit = changed(
        "nats.conf",
        "sync_interval: always",
        "sync_interval: sometimes",
    )?;
    let (is_good, said) = test(unfit.path()).context("it was there")??;
    ensure!(!is_good && said.contains("sync_interval"), "{said}");
    Ok(())
}
