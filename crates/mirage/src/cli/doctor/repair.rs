//! What `doctor --fix` does: only what loses nothing.
//!
//! **Never:** a change of the log, of evidence, or of a key's bytes.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use mirage_api::error::Problem;
use mirage_workers::leases::LeaseFile;

use super::super::Context;
use crate::output::Failure;

/// A repair that is safe to make without asking.
#[derive(Debug)]
pub(super) enum Repair {
    /// Makes a view anew from the log.
    Rebuild(&'static str),
    /// Takes a file away from everybody but its owner.
    Mode(PathBuf),
    /// Gives stale leases back.
    Leases(PathBuf),
    /// Deletes a database of hints.
    Delete(PathBuf),
}

impl Repair {
    /// Makes it, and says what was done.
    pub(super) async fn make(&self, context: &Context) -> Result<String, Failure> {
        match self {
            Self::Rebuild(view) => {
                let position = context.runner().await?.rebuild(view).await?;
                Ok(format!("{view} was made anew, up to position {position}"))
            }
            Self::Mode(path) => {
                close(path).map_err(|error| failed(path, &error))?;
                Ok(format!("{} is for its owner alone now", path.display()))
            }
            Self::Leases(path) => {
                let given = give_back(path).map_err(|error| failed(path, &error))?;
                Ok(format!("{given} stale leases were given back"))
            }
            Self::Delete(path) => {
                for end in ["", "-wal", "-shm"] {
                    let mut file = path.as_os_str().to_owned();
                    file.push(end);
                    match fs::remove_file(&file) {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                            return Err(failed(path, &error).into());
                        }
                        _ => {}
                    }
                }
                Ok(format!("{} was deleted", path.display()))
            }
        }
    }
}

fn failed(path: &Path, error: &impl std::fmt::Display) -> Problem {
    Problem::new("output_failed", format!("{}: {error}", path.display()))
}

#[cfg(unix)]
fn close(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn close(_: &Path) -> std::io::Result<()> {
    Ok(())
}

fn give_back(path: &Path) -> Result<usize, Box<dyn std::error::Error>> {
    let leases = LeaseFile::open(path)?;
    let stale = leases.stale(Timestamp::now())?;
    for (scan, holder) in &stale {
        leases.release(scan.as_str(), holder)?;
    }
    Ok(stale.len())
}
