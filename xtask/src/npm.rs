//! Packages of npm, by which tests look at Mirage as other programs do.
//!
//! **Never:** a package outside of the cache's folder, or one whose hash the kept list does not name.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::Context;
use mirage_servers::{NPM_LISTS, npm};

/// Makes sure that tests find the packages; the reason why they do not is an answer, and no failure.
pub(crate) fn prepare() -> anyhow::Result<Result<(), String>> {
    let folder = npm();
    if folder.exists() {
        return Ok(Ok(()));
    }
    let cache = folder.parent().context("a cache has a folder")?;
    fs::create_dir_all(cache).with_context(|| format!("making {}", cache.display()))?;
    // Whole or not at all: a folder takes its name when it is full.
    let part = tempfile::Builder::new().prefix("part-").tempdir_in(cache)?;
    for (name, list) in NPM_LISTS {
        fs::write(part.path().join(name), list).with_context(|| format!("writing {name}"))?;
    }
    let mut install = Command::new("npm");
    install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    install.current_dir(part.path()).stdout(Stdio::null());
    let is_installed = install.status().is_ok_and(|status| status.success());
    if !is_installed {
        return Ok(Err(
            "the npm packages of the ecosystem tests cannot be installed".to_owned(),
        ));
    }
    let full = part.keep();
    if fs::rename(&full, &folder).is_err() {
        // Somebody else was first.
        fs::remove_dir_all(&full).with_context(|| format!("removing {}", full.display()))?;
    }
    Ok(Ok(()))
}
