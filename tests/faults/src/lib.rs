//! Faults on purpose: processes that are killed, stopped and starved, and the checker that judges.
//!
//! A child appends and tells each acknowledgement on its standard output, which the parent keeps outside the system:
//! the ledger. The checker holds the log against it: **a** acknowledged ⊆ log, **b** nothing twice, **d** the chain.

pub mod cluster;
pub mod scan;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cluster::Cluster;
use futures::StreamExt;
use mirage_domain::id::Position;
use mirage_log::sqlite::Sqlite;
use mirage_log::{EventLog, Filter, Read, verify};

/// What the appender is told instead of a directory for the servers that its environment names.
pub const SERVERS: &str = "@servers";
/// The longest that a test waits for a child's next line.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A program of this workspace, built beside the test that asks.
pub fn program(name: &str) -> Result<PathBuf> {
    let mut folder = std::env::current_exe()?;
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    let program = folder.join(name);
    ensure!(
        program.exists(),
        "{} is missing: run `cargo build --workspace --bins`",
        program.display()
    );
    Ok(program)
}

/// Takes from a command what would configure the program in the tester's surroundings.
pub fn without_configuration(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("MIRAGE_") || text.starts_with("XDG_") {
            command.env_remove(name);
        }
    }
}

/// What a child says, line by line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The commit with this id stands at this position.
    Acknowledged { id: String, position: u64 },
    /// An append that began after another one had failed for good was acknowledged: the log lies.
    Late(String),
    /// An append was refused, with the error's code.
    Refused(String),
}

impl Said {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        match (words.next()?, words.next()?) {
            ("ack", id) => Some(Self::Acknowledged {
                id: id.to_owned(),
                position: words.next()?.parse().ok()?,
            }),
            ("late", id) => Some(Self::Late(id.to_owned())),
            ("err", code) => Some(Self::Refused(code.to_owned())),
            _ => None,
        }
    }
}

/// A child that appends.
pub struct Appender {
    child: Child,
    said: mpsc::Receiver<Said>,
}

impl Appender {
    /// Starts the appender on a data directory, `before` it the words of a wrapper (`strace …`).
    pub fn start(dir: &Path, salt: u64, before: &[&str]) -> Result<Self> {
        let program = program("mirage-append")?;
        let mut words = before
            .iter()
            .map(std::ffi::OsString::from)
            .collect::<Vec<_>>();
        words.push(program.into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(dir).arg(salt.to_string());
        Self::spawn(command)
    }

    /// Starts it on the log of a cluster, where it appends at a walking pace beside the nodes.
    pub fn join(cluster: &Cluster, salt: u64) -> Result<Self> {
        let mut command = Command::new(program("mirage-append")?);
        cluster.join(&mut command);
        command.args([SERVERS, &salt.to_string()]);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("starting the appender")?;
        let (tell, said) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().context("the child's output")?);
        std::thread::spawn(move || {
            let lines = out.lines().map_while(Result::ok);
            lines
                .filter_map(|line| Said::parse(&line))
                .try_for_each(|said| tell.send(said))
        });
        Ok(Self { child, said })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line, or an error when none comes in time.
    pub fn next(&self) -> Result<Said> {
        self.said
            .recv_timeout(PATIENCE)
            .context("the appender fell silent")
    }

    /// Sends a signal by name, `KILL`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) -> Result<()> {
        signal(self.pid(), name)
    }

    /// Kills the child at once and answers everything it had said.
    pub fn kill(mut self) -> Result<Vec<Said>> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(self.said.iter().collect())
    }
}

/// Sends a signal to a process.
pub fn signal(pid: u32, name: &str) -> Result<()> {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status()?;
    ensure!(sent.success(), "kill -{name} {pid} failed");
    Ok(())
}

/// What the parent knows to have been acknowledged.
#[derive(Debug, Default)]
pub struct Ledger {
    acknowledged: Vec<(String, u64)>,
    pub refused: Vec<String>,
    /// Acknowledged although the log had failed before.
    pub late: Vec<String>,
}

impl Ledger {
    pub fn note(&mut self, said: Said) {
        match said {
            Said::Acknowledged { id, position } => self.acknowledged.push((id, position)),
            Said::Refused(code) => self.refused.push(code),
            Said::Late(id) => self.late.push(id),
        }
    }
    pub fn len(&self) -> usize {
        self.acknowledged.len()
    }
    pub fn is_empty(&self) -> bool {
        self.acknowledged.is_empty()
    }
    /// Forges an acknowledgement: a checker that was never seen to refuse proves nothing.
    pub fn plant(&mut self, id: &str, position: u64) {
        self.acknowledged.push((id.to_owned(), position));
    }

    /// Holds the log of a data directory against the ledger.
    pub async fn check(&self, dir: &Path) -> Result<()> {
        self.check_log(&Sqlite::open(dir)?).await
    }

    /// The same for any log: its chains and their order, what was acknowledged, and nothing at two places.
    pub async fn check_log(&self, log: &dyn EventLog) -> Result<()> {
        verify(log).await?;
        let mut read = log.read(Position(0), Filter::All);
        let mut stands = BTreeSet::new();
        while let Some(Read::Commit(recorded)) = read.next().await.transpose()? {
            let commit = (recorded.commit.id.to_string(), recorded.position.0);
            ensure!(stands.insert(commit.clone()), "{commit:?} stands twice");
        }
        let ids: BTreeSet<&String> = stands.iter().map(|(id, _)| id).collect();
        ensure!(
            ids.len() == stands.len(),
            "a commit stands at two positions"
        );
        for acknowledged in &self.acknowledged {
            if !stands.contains(acknowledged) {
                bail!("acknowledged and lost: {acknowledged:?}");
            }
        }
        Ok(())
    }
}

/// Says visibly that a test was skipped, and why: past the test runner's capture, and in the file `TEST_SKIPS` names.
pub fn skip(test: &str, reason: &str) {
    let line = format!("skipped: {test}: {reason}\n");
    // Nothing hangs on whether it can be said.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("TEST_SKIPS") {
        let file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}
