//! `test`: the one command that says whether a change may be merged.
//!
//! **Invariant:** the cheap steps come first, and what did not run is said, never left out.

use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, bail};

use crate::servers::Shared;
use crate::{npm, python, tidy, workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only format, tidy and clippy: what one runs between two edits
    #[arg(long)]
    fast: bool,
}

struct Step {
    name: &'static str,
    action: Action,
    is_fast: bool,
}

enum Action {
    Tidy,
    Cargo(&'static [&'static str]),
    /// Programs by which tests speak to Mirage as others do, where npm and its registry are in reach.
    Npm,
    /// Libraries by which tests read files as other programs do, where a package index is in reach.
    Python,
    /// The servers that tests speak to: fetched, and those that all suites share started.
    Servers,
    /// Tests name what they skipped, for want of a tool or a right, in a file.
    Tests(&'static [&'static str]),
    /// Rustdoc takes its "warnings are errors" from the environment only.
    Doc(&'static [&'static str]),
    /// A cargo subcommand that is not part of the toolchain: used where it is installed.
    Optional(&'static [&'static str]),
}

const STEPS: &[Step] = &[
    Step {
        name: "format",
        is_fast: true,
        action: Action::Cargo(&["fmt", "--all", "--check"]),
    },
    Step {
        name: "tidy",
        is_fast: true,
        action: Action::Tidy,
    },
    Step {
        name: "clippy",
        is_fast: true,
        action: Action::Cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ]),
    },
    // Tests start the binaries as processes; a plain `cargo test` does not build those of other packages.
    Step {
        name: "binaries",
        is_fast: false,
        action: Action::Cargo(&["build", "--workspace", "--bins", "--locked"]),
    },
    Step {
        name: "python",
        is_fast: false,
        action: Action::Python,
    },
    Step {
        name: "npm",
        is_fast: false,
        action: Action::Npm,
    },
    Step {
        name: "servers",
        is_fast: false,
        action: Action::Servers,
    },
    Step {
        name: "tests",
        is_fast: false,
        action: Action::Tests(&["test", "--workspace", "--locked"]),
    },
    Step {
        name: "doc",
        is_fast: false,
        action: Action::Doc(&[
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
            "--locked",
        ]),
    },
    Step {
        name: "deny",
        is_fast: false,
        action: Action::Optional(&["deny", "check", "bans", "licenses", "sources"]),
    },
    Step {
        name: "machete",
        is_fast: false,
        action: Action::Optional(&["machete"]),
    },
];

/// How a step ended, when it did not fail.
enum Outcome {
    Passed,
    Skipped(String),
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let steps: Vec<&Step> = STEPS
        .iter()
        .filter(|step| step.is_fast || !arguments.fast)
        .collect();
    let started = Instant::now();
    let mut skipped = Vec::new();
    let mut servers = None;
    for (index, step) in steps.iter().enumerate() {
        println!(
            "==> {}/{} {}: {}",
            index + 1,
            steps.len(),
            step.name,
            step.action
        );
        let step_started = Instant::now();
        match step.action.perform(&mut servers) {
            Ok(Outcome::Passed) => println!("    passed in {}", seconds(step_started)),
            Ok(Outcome::Skipped(reason)) => {
                println!("    skipped: {reason}");
                skipped.push(reason);
            }
            Err(error) => {
                println!("    FAILED after {}", seconds(step_started));
                let not_run = names(&steps[index + 1..]);
                println!(
                    "{}",
                    summary(index - skipped.len(), &skipped, Some(step.name), &not_run)
                );
                return Err(error.context(format!("step {}", step.name)));
            }
        }
    }
    println!(
        "{}",
        summary(steps.len() - skipped.len(), &skipped, None, &[])
    );
    println!("all of it in {}", seconds(started));
    Ok(())
}

impl Action {
    fn perform(&self, servers: &mut Option<Shared>) -> anyhow::Result<Outcome> {
        match self {
            Self::Tidy => tidy::run()?,
            Self::Cargo(words) => cargo(words, &[])?,
            Self::Npm => {
                if let Err(reason) = npm::prepare()? {
                    return Ok(Outcome::Skipped(reason));
                }
            }
            Self::Python => {
                if let Err(reason) = python::prepare()? {
                    return Ok(Outcome::Skipped(reason));
                }
            }
            Self::Servers => {
                let missing = servers.insert(Shared::prepare()?).missing();
                if !missing.is_empty() {
                    let reason = format!("no server for {}", missing.join(" and "));
                    return Ok(Outcome::Skipped(reason));
                }
            }
            // They are stopped with the last test.
            Self::Tests(words) => tests(words, servers.take())?,
            Self::Doc(words) => cargo(words, &[("RUSTDOCFLAGS", "-D warnings")])?,
            Self::Optional(words) if !is_installed(words[0]) => {
                return Ok(Outcome::Skipped(format!(
                    "cargo-{} is not installed",
                    words[0]
                )));
            }
            Self::Optional(words) => cargo(words, &[])?,
        }
        Ok(Outcome::Passed)
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tidy => formatter.write_str("cargo xtask tidy"),
            Self::Npm => formatter.write_str("npm ci of the ecosystem tests' packages"),
            Self::Python => {
                formatter.write_str("python3 with the libraries of the ecosystem tests")
            }
            Self::Servers => formatter.write_str("cargo xtask servers fetch"),
            Self::Doc(words) => {
                write!(
                    formatter,
                    "RUSTDOCFLAGS=\"-D warnings\" cargo {}",
                    words.join(" ")
                )
            }
            Self::Cargo(words) | Self::Tests(words) | Self::Optional(words) => {
                write!(formatter, "cargo {}", words.join(" "))
            }
        }
    }
}

fn cargo(words: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<()> {
    let mut command = workspace::cargo();
    command.args(words).envs(environment.iter().copied());
    let status = command.status().context("starting cargo")?;
    if !status.success() {
        bail!("`cargo {}` ended with {status}", words.join(" "));
    }
    Ok(())
}

/// Runs the tests and says with counts what they skipped and which servers they spoke to.
fn tests(words: &[&str], servers: Option<Shared>) -> anyhow::Result<()> {
    let skips = tempfile::NamedTempFile::new().context("making a file for skips")?;
    let path = skips
        .path()
        .to_str()
        .context("a temporary path that is text")?;
    let told = servers
        .as_ref()
        .map(Shared::environment)
        .unwrap_or_default();
    let mut environment: Vec<(&str, &str)> = vec![("TEST_SKIPS", path)];
    environment.extend(told.iter().map(|(key, value)| (*key, value.as_str())));
    let outcome = cargo(words, &environment);
    let said = std::fs::read_to_string(skips.path()).context("reading the skips")?;
    for line in said.lines() {
        println!("    {line}");
    }
    println!("    skipped inside the tests: {}", said.lines().count());
    if let Some(servers) = servers {
        for line in servers.account()?.lines() {
            println!("    {line}");
        }
    }
    outcome
}

fn is_installed(subcommand: &str) -> bool {
    let mut command = workspace::cargo();
    command
        .args([subcommand, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn names(steps: &[&Step]) -> Vec<&'static str> {
    steps.iter().map(|step| step.name).collect()
}

/// The closing lines: every step of the run is counted in exactly one of them.
fn summary(passed: usize, skipped: &[String], failed: Option<&str>, not_run: &[&str]) -> String {
    let mut lines = vec![format!("steps passed: {passed}")];
    if !skipped.is_empty() {
        lines.push(format!(
            "skipped: {} ({})",
            skipped.join(", "),
            skipped.len()
        ));
    }
    if let Some(name) = failed {
        lines.push(format!("failed: {name} (1)"));
    }
    if !not_run.is_empty() {
        lines.push(format!(
            "not run: {} ({})",
            not_run.join(", "),
            not_run.len()
        ));
    }
    lines.join("\n")
}

fn seconds(since: Instant) -> String {
    format!("{:.1} s", since.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_what_was_skipped_and_says_why() {
        let skipped = ["cargo-deny is not installed".to_owned()];
        let expected = "steps passed: 7\nskipped: cargo-deny is not installed (1)";
        assert_eq!(summary(7, &skipped, None, &[]), expected);
    }

    #[test]
    fn a_failure_names_what_was_not_run() {
        let expected = "steps passed: 1\nfailed: tidy (1)\nnot run: clippy, tests (2)";
        assert_eq!(
            summary(1, &[], Some("tidy"), &["clippy", "tests"]),
            expected
        );
    }

    #[test]
    fn the_fast_steps_are_the_first_ones() {
        let fast = STEPS.iter().take_while(|step| step.is_fast).count();
        assert_eq!(fast, 3);
        assert!(STEPS[fast..].iter().all(|step| !step.is_fast));
    }
}
