//! A data directory, and the program run on it with nothing of the tester's surroundings.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use mirage_domain::id::Position;
use mirage_faults::scan::{self, COMPANY, Scanned};
use mirage_faults::{program, without_configuration};
use mirage_log::sqlite::Sqlite;
use mirage_log::{EventLog, Filter, Read, Recorded, verify};
use mirage_world::World;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Ran, Running, web_ports};

/// A data directory of its own, and a folder to run in, without a `mirage.toml`.
pub struct Place {
    dir: TempDir,
    home: TempDir,
}

/// A scan that is to be started here.
pub struct Session(Command);

impl Place {
    pub fn new() -> Result<Self> {
        let (dir, home) = (tempfile::tempdir()?, tempfile::tempdir()?);
        Ok(Self { dir, home })
    }

    /// With its data below this folder: on a disk where durable writes cost what they cost.
    pub fn new_in(folder: &Path) -> Result<Self> {
        let (dir, home) = (tempfile::tempdir_in(folder)?, tempfile::tempdir()?);
        Ok(Self { dir, home })
    }

    pub fn data(&self) -> &Path {
        self.dir.path()
    }

    /// Where the program runs: a `mirage.toml` in it is read.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs a command on this place to its end.
    pub async fn mirage(&self, words: &[&str]) -> Result<Ran> {
        Running::start(self.command(words)?)?.end().await
    }

    /// Starts a command on this place and leaves it running.
    pub fn begin(&self, words: &[&str]) -> Result<Running> {
        Running::start(self.command(words)?)
    }

    /// Runs a command on another data directory, from here.
    pub async fn mirage_at(&self, data: &Path, words: &[&str]) -> Result<Ran> {
        let mut command = Command::new(program("mirage")?);
        command.args(words).arg("--data").arg(data);
        Running::start(self.at_home(command))?.end().await
    }

    /// Goes on with a scan of the world, and trusts the world's certificates as whoever began it did.
    pub async fn resume(&self, world: &World, id: &str) -> Result<Ran> {
        let mut command = self.command(&["scans", "resume", id])?;
        command.env("SSL_CERT_FILE", world.ca_file());
        Running::start(command)?.end().await
    }

    /// The same to its end, and it must end well; its output as objects.
    pub async fn objects(&self, words: &[&str]) -> Result<Vec<Value>> {
        let words = [words, &["-o", "jsonl"]].concat();
        self.mirage(&words).await?.expect(&[0])?.objects()
    }

    /// The object of `scans get`.
    pub async fn scan(&self, id: &str) -> Result<Value> {
        let mut objects = self.objects(&["scans", "get", id]).await?;
        objects.pop().context("an object of the scan")
    }

    /// A scan of the whole company: its web ports, as fast as it goes.
    pub fn session(&self, world: &World) -> Result<Session> {
        let command = scan::bare(world, self.data())?;
        Ok(Session(self.at_home(command)))
    }

    /// What the log holds of the one scan, after its chain was verified.
    pub async fn scanned(&self) -> Result<Scanned> {
        let mut scans = self.all_scanned().await?;
        ensure!(scans.len() == 1, "{} scans", scans.len());
        scans.pop().context("a scan")
    }

    pub async fn all_scanned(&self) -> Result<Vec<Scanned>> {
        verify(&Sqlite::open(self.data())?).await?;
        Ok(scan::scans(self.data()).await?.into_values().collect())
    }

    /// Every commit so far, in order.
    pub async fn history(&self) -> Result<Vec<Arc<Recorded>>> {
        let log = Sqlite::open(self.data())?;
        let mut read = log.read(Position(0), Filter::All);
        let mut commits = Vec::new();
        while let Some(Read::Commit(recorded)) = read.next().await.transpose()? {
            commits.push(recorded);
        }
        Ok(commits)
    }

    /// A command on this place that is not started yet.
    pub fn command(&self, words: &[&str]) -> Result<Command> {
        let mut command = Command::new(program("mirage")?);
        command.args(words).arg("--data").arg(self.data());
        Ok(self.at_home(command))
    }

    fn at_home(&self, mut command: Command) -> Command {
        without_configuration(&mut command);
        command.current_dir(self.home()).env("HOME", self.home());
        command
    }
}

impl Session {
    /// The usual: the company may be contacted, at its web ports, without a limit on the rate.
    pub fn usual(self, world: &World) -> Self {
        let ports = web_ports(world);
        self.with(&["--allow-private", COMPANY, "--rate", "0", "--ports", &ports])
    }

    pub fn with(mut self, words: &[&str]) -> Self {
        self.0.args(words);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    pub fn start(self) -> Result<Running> {
        Running::start(self.0)
    }

    /// Runs to the end.
    pub async fn run(self) -> Result<Ran> {
        self.start()?.end().await
    }
}
