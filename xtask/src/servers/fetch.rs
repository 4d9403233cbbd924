//! How each server is got: a file of this machine's package managers, never a download of our own.
//!
//! **Invariant:** what is there is not fetched again, and what cannot be had is said, not fatal.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail};
use mirage_servers::{Kind, cached};

/// Gets all of `wanted` side by side and says in a line each what came of it; the answer is what is there.
pub(super) fn all(wanted: &[&'static Kind]) -> Vec<&'static Kind> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = wanted
            .iter()
            .map(|kind| scope.spawn(|| one(kind)))
            .collect();
        let had = threads
            .into_iter()
            .zip(wanted)
            .filter_map(|(thread, kind)| {
                let is_there = thread
                    .join()
                    .expect("fetching answers with an error, it does not panic");
                is_there.then_some(*kind)
            });
        had.collect()
    })
}

fn one(kind: &Kind) -> bool {
    let name = kind.name;
    if let Ok(program) = (kind.find)() {
        println!(
            "{name} {}: is there, {}",
            program.version,
            program.path.display()
        );
        return true;
    }
    let started = Instant::now();
    let fetched = way(name);
    match (fetched, (kind.find)()) {
        (_, Ok(program)) => {
            let seconds = started.elapsed().as_secs_f64();
            println!("{name} {}: fetched in {seconds:.1} s", program.version);
            true
        }
        (Err(error), Err(_)) => {
            println!("{name}: cannot be had: {error:#}");
            false
        }
        (Ok(()), Err(reason)) => {
            println!("{name}: cannot be had: {reason}");
            false
        }
    }
}

fn way(name: &str) -> anyhow::Result<()> {
    match name {
        "nats" => go(
            "github.com/nats-io/nats-server/v2",
            "nats-server",
            mirage_servers::NATS_VERSION,
        ),
        _ => Ok(()),
    }
}

/// Builds a Go program of this version.
fn go(package: &str, program: &str, version: &str) -> anyhow::Result<()> {
    let folder = cached(program, version);
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let mut command = Command::new("go");
    command.arg("install").arg(format!("{package}@v{version}"));
    command
        .env("GOBIN", &folder)
        .env_remove("GOOS")
        .env_remove("GOARCH");
    ran(command, &folder)
}

/// Runs it in `folder`; an error carries the last thing that it said.
fn ran(mut command: Command, folder: &Path) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.current_dir(folder).output();
    let output = output.with_context(|| format!("{program} is needed and does not start"))?;
    if !output.status.success() {
        let said = [output.stderr, output.stdout].concat();
        let said = String::from_utf8_lossy(&said);
        let last = said
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or("");
        bail!("{program} ended with {}: {last}", output.status);
    }
    Ok(())
}
