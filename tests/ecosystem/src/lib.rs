//! Programs of other people, by which tests look at Mirage from the outside.
//!
//! Those of npm are installed by `xtask test`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use mirage_faults::{program, skip};

/// The folder of the repository.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.parent().and_then(Path::parent);
    root.expect("this package lies two folders below the root")
}

/// A program of an npm package; where there is none, `what` is skipped visibly.
///
/// # Errors
/// Where nobody can say in which folder binaries lie.
pub fn npm(what: &str, name: &str) -> Result<Option<Command>> {
    let path = installed(name)?;
    if !path.exists() {
        skip(
            what,
            "its npm package is not installed; `cargo xtask test` does it where there is npm",
        );
        return Ok(None);
    }
    Ok(Some(Command::new(path)))
}

/// Beside the folder of the binaries, where `xtask` puts it.
fn installed(name: &str) -> Result<PathBuf> {
    let binary = program("mirage")?;
    let target = binary.parent().and_then(Path::parent);
    let target = target.context("a binary lies in the target folder")?;
    Ok(target.join("npm/node_modules/.bin").join(name))
}
