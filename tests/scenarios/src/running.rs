//! One run of the program: its output goes to files, so that nobody has to read along.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use mirage_faults::signal;
use serde_json::Value;
use tokio::time::Instant;

use crate::{LOOK, PATIENCE};

/// A run that may still go on. Dropping it kills the process.
pub struct Running {
    child: Child,
    out: File,
    err: File,
    peak_kib: u64,
}

/// What a run left behind.
#[derive(Debug, Clone)]
pub struct Ran {
    /// None for a process that was killed.
    pub code: Option<i32>,
    pub out: Vec<u8>,
    pub err: String,
    /// The most resident memory that was seen.
    pub peak_kib: u64,
}

impl Running {
    pub fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null());
        Self::start_reading(command)
    }

    /// Starts what reads the input that its command has.
    pub fn start_reading(mut command: Command) -> Result<Self> {
        let (out, err) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let child = command
            .stdout(out.try_clone()?)
            .stderr(err.try_clone()?)
            .spawn()
            .context("starting mirage")?;
        Ok(Self {
            child,
            out,
            err,
            peak_kib: 0,
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, `KILL`, `STOP`, `CONT`, `INT`.
    pub fn signal(&self, name: &str) -> Result<()> {
        signal(self.pid(), name)
    }

    /// What it has told on stderr so far; leaves the position alone, which the program shares.
    pub fn said(&self) -> Result<String> {
        so_far(&self.err)
    }

    /// What it has printed on stdout so far.
    pub fn printed(&self) -> Result<String> {
        so_far(&self.out)
    }

    pub fn is_over(&mut self) -> Result<bool> {
        self.peak_kib = self.peak_kib.max(peak_kib(self.pid()).unwrap_or_default());
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits for the end.
    pub async fn end(self) -> Result<Ran> {
        self.end_within(PATIENCE).await
    }

    /// Waits for the end, at most so long.
    pub async fn end_within(mut self, most: Duration) -> Result<Ran> {
        let until = Instant::now() + most;
        let mut look = tokio::time::interval(LOOK);
        while !self.is_over()? {
            look.tick().await;
            if Instant::now() > until {
                let so_far = text(&mut self.err)?;
                bail!("the program does not end within {most:?}; it said: {so_far}");
            }
        }
        let code = self.child.wait()?.code();
        let mut out = Vec::new();
        self.out.rewind()?;
        self.out.read_to_end(&mut out)?;
        let err = text(&mut self.err)?;
        let peak_kib = self.peak_kib;
        Ok(Ran {
            code,
            out,
            err,
            peak_kib,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a process that is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn so_far(file: &File) -> Result<String> {
    let mut bytes = vec![0; file.metadata()?.len() as usize];
    let read = std::os::unix::fs::FileExt::read_at(file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn text(file: &mut File) -> Result<String> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// `VmHWM` of proc_pid_status(5): the most that was ever resident.
fn peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

impl Ran {
    /// The output as text; it must have ended with one of these codes.
    #[track_caller]
    pub fn expect(self, codes: &[i32]) -> Result<Self> {
        let is_fit = self.code.is_some_and(|code| codes.contains(&code));
        if !is_fit {
            bail!("ended with {:?} and not {codes:?}: {}", self.code, self.err);
        }
        Ok(self)
    }

    pub fn text(&self) -> Result<&str> {
        Ok(std::str::from_utf8(&self.out)?)
    }

    /// The output as one JSON value a line.
    pub fn objects(&self) -> Result<Vec<Value>> {
        let lines = self.text()?.lines();
        let objects: Result<_, _> = lines.map(serde_json::from_str).collect();
        objects.with_context(|| format!("not JSON lines: {}", self.text().unwrap_or_default()))
    }
}
