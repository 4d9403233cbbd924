//! Opens the data directory and wires what a command needs of it.
//!
//! **Never:** a directory or file made by a command that only reads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mirage_api::error::Problem;
use mirage_log::sqlite::{self, Anchor, Sqlite};

use crate::output::Failure;

/// A data directory, not yet opened.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    pub(crate) dir: PathBuf,
}

impl Data {
    /// Opens the log of a directory that has one.
    pub(crate) fn log(&self) -> Result<Arc<Sqlite>, Failure> {
        self.must_hold_a_log()?;
        Ok(Arc::new(Sqlite::open(&self.dir)?))
    }

    /// A missing log beside an anchor is a lost log, and for the log itself to say.
    fn must_hold_a_log(&self) -> Result<(), Failure> {
        let unopenable = |path: &Path, error: std::io::Error| {
            Problem::new("log_unopenable", format!("{}: {error}", path.display()))
        };
        let path = sqlite::path(&self.dir);
        if path
            .try_exists()
            .map_err(|error| unopenable(&path, error))?
        {
            // Opening for reading tells of missing permission before anything is tried.
            std::fs::File::open(&path).map_err(|error| unopenable(&path, error))?;
            return Ok(());
        }
        match Anchor::read(&self.dir) {
            Ok(None) => {
                Err(Problem::new("no_log", format!("{} does not exist", path.display())).into())
            }
            Ok(Some(_)) | Err(_) => Ok(()),
        }
    }
}

/// The platform's folder for the data of `mirage`.
pub(crate) fn default_dir() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let data = match std::env::consts::OS {
        "windows" => absolute("LOCALAPPDATA"),
        "macos" => absolute("HOME").map(|home| home.join("Library/Application Support")),
        // XDG Base Directory Specification 0.8: a relative path is ignored.
        _ => absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share"))),
    };
    data.map(|data| data.join("mirage"))
}
