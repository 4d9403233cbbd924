//! Scripts that read Mirage's files as other programs do, by the Python of `xtask test`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use mirage_faults::{program, skip};

/// How a script says that a library is missing.
const NO_LIBRARY: i32 = 77;

/// Runs a script of `tests/it` on a file or folder; what is missing here is a visible skip of `what`.
pub fn run(what: &str, script: &str, on: &Path) -> Result<()> {
    let binary = program("mirage")?;
    let target = binary.parent().and_then(Path::parent);
    let own = target
        .context("a target folder")?
        .join("python/bin/python3");
    let is_own = own.exists();
    let python = if is_own { &own } else { Path::new("python3") };
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it")
        .join(script);
    let Ok(ran) = Command::new(python).arg(script).arg(on).output() else {
        skip(what, "there is no python3");
        return Ok(());
    };
    if ran.status.code() == Some(NO_LIBRARY) {
        skip(what, "python3 lacks a library");
        return Ok(());
    }
    let (out, err) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    ensure!(ran.status.success(), "{out}{err}");
    for line in out
        .lines()
        .filter_map(|line| line.strip_prefix("skipped: "))
    {
        skip(what, line);
    }
    Ok(())
}
