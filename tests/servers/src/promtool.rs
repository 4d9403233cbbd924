//! Prometheus's own checker of metrics and rules; no server, and fetched as they are.

use std::process::Command;

use crate::{Program, ledger, program};

/// As Debian 12 has it.
pub const VERSION: &str = "2.42";

const NAME: &str = "promtool";

/// The checker, or the reason is recorded and there is none.
pub fn promtool() -> Option<Command> {
    let program = ledger::demand(NAME, find())?;
    Some(Command::new(program.path))
}

pub(crate) fn find() -> Result<Program, String> {
    let found = program::candidates(NAME, VERSION).into_iter().next();
    let path = found.ok_or("promtool is missing: `cargo xtask servers fetch promtool`")?;
    let version = program::version(&path, "--version");
    Ok(Program {
        version: version.unwrap_or_else(|| "unknown".to_owned()),
        path,
    })
}
