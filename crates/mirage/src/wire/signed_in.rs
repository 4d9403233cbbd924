//! The session that `mirage login` opened at a server, kept in the user's configuration folder.
//!
//! One file a server, mode 0600. A refresh token is good once, and a second use ends the session: so whoever refreshes
//! holds the file's lock, and reads it again first.
//! **Never:** a token sent to another server than the one it is from: the file is found by the server's address.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use mirage_api::error::Problem;
use mirage_domain::id::Digest;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::remote::Remote;
use crate::config::layers::user_folder;
use crate::output::Failure;

/// An access token is not used this long before its end: a request takes its time, and clocks differ.
const SPARE: Duration = Duration::from_secs(60);

/// What is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// For whoever looks into the folder.
    server: String,
    refresh_token: String,
    access_token: String,
    access_until: Timestamp,
}

/// See the module's doc.
pub(crate) struct SignedIn {
    path: PathBuf,
    server: Url,
}

impl SignedIn {
    /// The place of a server's session, whether or not there is one.
    pub(crate) fn at(server: &Url) -> Result<Self, Problem> {
        let absent = || {
            let problem = Problem::new("bad_config", "this user has no configuration folder");
            problem.try_this("set HOME or XDG_CONFIG_HOME")
        };
        let folder = user_folder().ok_or_else(absent)?.join("sessions");
        let name = Digest::of(server.as_str().as_bytes()).to_string();
        Ok(Self {
            path: folder.join(format!("{name}.json")),
            server: server.clone(),
        })
    }

    /// The session that is kept for a server.
    pub(crate) fn find(server: &Url) -> Result<Self, Problem> {
        let place = Self::at(server)?;
        match place.path.exists() {
            true => Ok(place),
            false => Err(needed(server)),
        }
    }

    /// A token that is good for a while, after a refresh where it is time.
    pub(crate) async fn access(&self, remote: &Remote) -> Result<String, Failure> {
        let kept = self.read()?;
        if kept.is_fresh() {
            return Ok(kept.access_token);
        }
        let _lock = self.lock()?;
        // Another process may have been first.
        let kept = self.read()?;
        if kept.is_fresh() {
            return Ok(kept.access_token);
        }
        let body = json!({"refresh_token": kept.refresh_token});
        let granted = remote.open_post(&["refresh"], &body).await;
        let granted = granted.map_err(|failure| self.told(failure))?;
        Ok(self.write(&granted)?.access_token)
    }

    /// Keeps what a server granted.
    pub(crate) fn keep(&self, granted: &Value) -> Result<(), Problem> {
        let _lock = self.lock()?;
        self.write(granted).map(|_| ())
    }

    /// Keeps nothing any more.
    pub(crate) fn forget(&self) -> Result<(), Problem> {
        let _lock = self.lock()?;
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&self.path, &error)),
            _ => Ok(()),
        }
    }

    /// The advice of somebody who is at a command line.
    fn told(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Problem(problem) if problem.row.code == "session_over" => {
                problem.try_this(advice(&self.server)).into()
            }
            failure => failure,
        }
    }

    fn read(&self) -> Result<Kept, Problem> {
        let bytes = match fs::read(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(needed(&self.server)),
            read => read.map_err(|error| failed(&self.path, &error))?,
        };
        is_private(&self.path)?;
        serde_json::from_slice(&bytes).map_err(|_| {
            let detail = format!("{} is not what was written", self.path.display());
            Problem::new("sign_in_needed", detail).try_this(advice(&self.server))
        })
    }

    fn write(&self, granted: &Value) -> Result<Kept, Problem> {
        let foreign = || Problem::new("server_unreachable", "an answer that grants no tokens");
        let text = |name: &str| {
            granted[name]
                .as_str()
                .map(str::to_owned)
                .ok_or_else(foreign)
        };
        let lasts = granted["expires_in"].as_u64().ok_or_else(foreign)?;
        let kept = Kept {
            server: self.server.to_string(),
            refresh_token: text("refresh_token")?,
            access_token: text("access_token")?,
            // A day at most, whatever a server says: a time that cannot be told is no reason to stop.
            access_until: Timestamp::now() + Duration::from_secs(lasts.min(24 * 3600)),
        };
        let failed = |error: std::io::Error| failed(&self.path, &error);
        let folder = self.path.parent().unwrap_or(Path::new("."));
        // A temporary file has mode 0600 from its first moment, and keeps it under its name.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        let bytes = serde_json::to_vec(&kept).expect("texts and a time are JSON");
        file.write_all(&bytes).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&self.path)
            .map_err(|error| failed(error.error))?;
        Ok(kept)
    }

    fn lock(&self) -> Result<File, Problem> {
        let path = self.path.with_extension("lock");
        let opened = folder(self.path.parent().unwrap_or(Path::new("."))).and_then(|()| {
            let mut options = File::options();
            options.create(true).truncate(false).write(true).open(&path)
        });
        let file = opened.map_err(|error| failed(&path, &error))?;
        file.lock().map_err(|error| failed(&path, &error))?;
        Ok(file)
    }
}

impl Kept {
    fn is_fresh(&self) -> bool {
        Timestamp::now() + SPARE < self.access_until
    }
}

fn folder(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Refuses a file that others may read: somebody else could be in by it.
fn is_private(path: &Path) -> Result<(), Problem> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = fs::metadata(path).map_err(|error| failed(path, &error))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            let detail = format!("{} may be read by others", path.display());
            let hint = "chmod 600 it, or `mirage logout` if others could have read it";
            return Err(Problem::new("bad_config", detail).try_this(hint));
        }
    }
    Ok(())
}

fn needed(server: &Url) -> Problem {
    let problem = Problem::new("sign_in_needed", "no API key is set, and nobody signed in");
    problem.try_this(advice(server))
}

fn advice(server: &Url) -> String {
    format!("`mirage login --server {server}`, or set MIRAGE_SERVER_API_KEY")
}

fn failed(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new("output_failed", format!("{}: {error}", path.display()))
}
