//! `bench`: runs the benchmark package in a release build and hands its arguments through.

use anyhow::{Context, bail};

use crate::workspace;

const PACKAGE: &str = "mirage-bench";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only this measurement
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
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
    let mut command = workspace::cargo();
    command.args(["run", "--release", "--locked", "--package", PACKAGE, "--"]);
    if let Some(name) = &arguments.only {
        command.args(["--only", name]);
    }
    let status = command.status().context("starting cargo run")?;
    if !status.success() {
        bail!("{PACKAGE} ended with {status}");
    }
    Ok(())
}
