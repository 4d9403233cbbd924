//! `bench`: runs the benchmark package in a release build and hands its arguments through.

use std::path::Path;

use anyhow::{Context, bail};

use crate::workspace;

const PACKAGE: &str = "mirage-bench";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only this measurement
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Findings of the measurements of views [default: a million]
    #[arg(long, value_name = "N")]
    findings: Option<usize>,
    /// Write the rows to this file as Markdown
    #[arg(long, value_name = "FILE")]
    record: Option<String>,
}

/// The load generator of the gateway's measurements, and its version.
const OHA: [&str; 3] = ["oha", "--version", "1.16.0"];

/// Installs the load generator into the target folder, unless it is there.
fn load_generator() -> anyhow::Result<()> {
    let target = workspace::debug_binary("mirage")?;
    let target = target.parent().and_then(Path::parent);
    let tools = target.context("a target folder")?.join("tools");
    if tools.join("bin/oha").exists() {
        return Ok(());
    }
    let mut install = workspace::cargo();
    install.args(["install", "--locked", "--root"]);
    let status = install.arg(&tools).args(OHA).status();
    let status = status.context("starting cargo install")?;
    match status.success() {
        true => Ok(()),
        false => bail!("installing {} ended with {status}", OHA[0]),
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let metadata = crate::tidy::metadata::workspace()?;
    if !metadata
        .packages
        .iter()
        .any(|package| package.name == PACKAGE)
    {
        bail!("there is nothing to measure with: the workspace has no package `{PACKAGE}` yet");
    }
    // What is measured as a whole program must be built like the one that measures.
    let mut build = workspace::cargo();
    build.args([
        "build",
        "--release",
        "--locked",
        "--package",
        "mirage",
        "--package",
        "mirage-world",
    ]);
    let status = build.status().context("starting cargo build")?;
    if !status.success() {
        bail!("building the programs ended with {status}");
    }
    if arguments
        .only
        .as_deref()
        .is_none_or(|only| only == "gateway")
    {
        load_generator()?;
    }
    let mut command = workspace::cargo();
    command.args(["run", "--release", "--locked", "--package", PACKAGE, "--"]);
    if let Some(name) = &arguments.only {
        command.args(["--only", name]);
    }
    if let Some(findings) = arguments.findings {
        command.args(["--findings", &findings.to_string()]);
    }
    if let Some(file) = &arguments.record {
        command.args(["--record", file]);
    }
    let status = command.status().context("starting cargo run")?;
    if !status.success() {
        bail!("{PACKAGE} ended with {status}");
    }
    Ok(())
}
