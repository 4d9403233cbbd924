//! One node of a cluster: a process that can be hurt, and is gone when this is dropped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::signal;

/// The longest that a cluster is waited for; many times what an idle machine takes.
pub const PATIENCE: Duration = Duration::from_secs(150);
/// How often something is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(10);
/// A node answers within five seconds what each of its servers did not.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// See the module's doc.
pub struct Node {
    child: Child,
    errors: PathBuf,
    /// HOST:PORT.
    address: String,
}

impl Node {
    /// Starts it with its talk in a file, and waits for the line with its address.
    pub(super) async fn start(mut command: Command, errors: &Path) -> Result<Self> {
        let child = command
            .stdout(Stdio::null())
            .stderr(File::create(errors)?)
            .spawn()?;
        let mut node = Self {
            child,
            errors: errors.to_owned(),
            address: String::new(),
        };
        node.address = until("the node's address", async || {
            let said = node.said();
            let told = said.lines().find_map(|line| {
                let (_, rest) = line.split_once(" at http://")?;
                rest.strip_suffix("/readyz")
            });
            if told.is_none() && node.child.try_wait()?.is_some() {
                bail!("the node ended: {said}");
            }
            Ok(told.map(str::to_owned))
        })
        .await?;
        Ok(node)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// Sends a signal by name, `STOP`, `CONT`, `TERM`.
    pub fn signal(&self, name: &str) -> Result<()> {
        signal(self.pid(), name)
    }

    /// kill -9; it is gone on return.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits for the end, at most so long; its exit code.
    pub async fn ends_within(&mut self, most: Duration) -> Result<Option<i32>> {
        match ends_within(&mut self.child, most).await? {
            Some(status) => Ok(status.code()),
            None => bail!("the node does not end within {most:?}: {}", self.said()),
        }
    }

    /// The status of /readyz, and what it says of each thing that the node needs.
    pub async fn ready(&self) -> Result<(u16, Value)> {
        let asked = get(&self.address, "/readyz");
        let answer = tokio::time::timeout(ANSWER_MAX, asked).await;
        let answer = answer.context("no answer from /readyz")??;
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP")?;
        let status = head.split(' ').nth(1).context("no status")?;
        Ok((status.parse()?, serde_json::from_str(body)?))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Both fail only for a process that is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) async fn get(address: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn ends_within(
    child: &mut Child,
    most: Duration,
) -> Result<Option<std::process::ExitStatus>> {
    let deadline = Instant::now() + most;
    let mut look = tokio::time::interval(LOOK);
    while Instant::now() < deadline {
        look.tick().await;
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
    }
    Ok(None)
}

/// Runs a command to its end, or kills it after [`PATIENCE`].
pub async fn run(mut command: Command) -> Result<Output> {
    let (mut out, mut err) = (
        tempfile::NamedTempFile::new()?,
        tempfile::NamedTempFile::new()?,
    );
    let mut child = command
        .stdin(Stdio::null())
        .stdout(out.as_file_mut().try_clone()?)
        .stderr(err.as_file_mut().try_clone()?)
        .spawn()?;
    let status = ends_within(&mut child, PATIENCE).await?;
    let (stdout, stderr) = (std::fs::read(out.path())?, std::fs::read(err.path())?);
    let Some(status) = status else {
        child.kill()?;
        child.wait()?;
        let said = String::from_utf8_lossy(&stderr);
        bail!("it does not end within {PATIENCE:?}: {command:?} said {said}");
    };
    Ok(Output {
        status,
        stdout,
        stderr,
    })
}

/// Waits until `look` answers something, at most [`PATIENCE`].
///
/// # Errors
/// As [`until_within`].
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    until_within(PATIENCE, what, look).await
}

/// Waits until `look` answers something.
///
/// # Errors
/// After `most`, with `what` was waited for; or at once, if looking fails.
pub async fn until_within<T>(
    most: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let mut ticks = tokio::time::interval(LOOK);
    let wait = async {
        loop {
            ticks.tick().await;
            if let Some(seen) = look().await? {
                return Ok(seen);
            }
        }
    };
    let seen = tokio::time::timeout(most, wait).await;
    seen.with_context(|| format!("waited in vain for {what}"))?
}
