//! The made-up company as a process: started, asked where it stands, stopped again.
//!
//! **Invariant:** dropping a `World` ends its process, politely first and by force if it does not go.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;

use crate::workspace;

/// It makes keys and certificates before it answers; a busy machine needs a while for that.
const READY_WITHIN: Duration = Duration::from_secs(60);
const GONE_WITHIN: Duration = Duration::from_secs(5);

pub(super) struct World {
    pub(super) answer: Answer,
    _process: Process,
}

/// What the world says about itself once it serves: one line of JSON.
#[derive(Deserialize)]
pub(super) struct Answer {
    pub(super) domain: String,
    /// `IP:PORT` of its DNS server.
    pub(super) resolver: String,
    /// By the name of the service.
    pub(super) ports: BTreeMap<String, u16>,
    pub(super) ca_file: String,
    pub(super) routes_file: String,
    pub(super) places_file: String,
    pub(super) crtsh_url: String,
    pub(super) rdap_url: String,
    pub(super) whois_server: String,
}

impl World {
    pub(super) fn start(hosts: u32) -> anyhow::Result<Self> {
        let mut command = Command::new(workspace::debug_binary("mirage-world")?);
        command.args(["--hosts", &hosts.to_string()]);
        let process = Process::start(command).context("starting mirage-world")?;
        let line = process
            .lines
            .recv_timeout(READY_WITHIN)
            .context("mirage-world gave no answer")?;
        let answer = serde_json::from_str(&line).context("reading the answer of mirage-world")?;
        Ok(Self {
            answer,
            _process: process,
        })
    }
}

impl Answer {
    /// The port that the company's name servers listen on.
    pub(super) fn dns_port(&self) -> String {
        let port = self.resolver.rsplit(':').next();
        port.unwrap_or_default().to_owned()
    }

    /// The ports of these services, separated by commas; a service that is not there has none.
    pub(super) fn ports_of(&self, services: &[&str]) -> String {
        let ports = services
            .iter()
            .filter_map(|service| self.ports.get(*service));
        ports.map(u16::to_string).collect::<Vec<_>>().join(",")
    }
}

/// A child that serves until its stdin closes.
struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    /// What it prints; the other end goes away when the child does.
    lines: Receiver<String>,
}

impl Process {
    fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("stdout was asked for as a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
            lines.try_for_each(|line| sender.send(line))
        });
        Ok(Self {
            child,
            stdin,
            lines,
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stdin = None;
        let last = loop {
            match self.lines.recv_timeout(GONE_WITHIN) {
                Ok(_) => {}
                Err(end) => break end,
            }
        };
        // An error of either call means that it is gone already.
        if last == RecvTimeoutError::Timeout {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start(command).unwrap()
    }

    #[test]
    fn its_first_line_is_read_and_closing_stdin_ends_it() {
        let process = shell("echo ready; read -r _ || echo leaving");
        assert_eq!(process.lines.recv_timeout(READY_WITHIN).unwrap(), "ready");
        drop(process);
    }

    #[test]
    fn a_child_that_dies_at_once_is_no_endless_wait() {
        let process = shell("exit 3");
        assert_eq!(
            process.lines.recv_timeout(READY_WITHIN),
            Err(RecvTimeoutError::Disconnected)
        );
    }
}
