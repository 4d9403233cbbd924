//! The loopback company in a process of its own, so that its work is not counted as the scanner's.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// A program of this workspace, built beside this one.
pub(crate) fn beside(name: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(
        path.exists(),
        "{} is missing: build mirage and mirage-world for release",
        path.display()
    );
    Ok(path)
}

/// The loopback company in a process of its own; it ends with its standard input.
pub(crate) struct Company {
    process: Child,
    input: Option<ChildStdin>,
    pub(crate) said: Value,
}

impl Company {
    pub(crate) fn start(hosts: usize) -> Result<Self> {
        let mut process = Command::new(beside("mirage-world")?)
            .args(["--hosts", &hosts.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take();
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("its output")?).read_line(&mut line)?;
        Ok(Self {
            process,
            input,
            said: serde_json::from_str(&line)?,
        })
    }

    pub(crate) fn text(&self, name: &str) -> Result<&str> {
        self.said[name]
            .as_str()
            .with_context(|| format!("the company does not say its {name}"))
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        self.input.take();
        // It ends by itself; the kill is for one that does not.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
