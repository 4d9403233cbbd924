//! Programs of other people that are run to their end.

use std::process::{Command, Output, Stdio};

use anyhow::Result;

/// What a command says, and whether it is content.
pub(crate) fn ran(mut command: Command) -> Result<(bool, String)> {
    let Output {
        status,
        stdout,
        stderr,
    } = command.stdin(Stdio::null()).output()?;
    let said = [stdout, stderr].concat();
    Ok((
        status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}
