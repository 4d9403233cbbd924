//! A live node, and programs that are run to their end.

use std::process::{Command, Output, Stdio};

use anyhow::{Result, ensure};
use mirage_scenarios::{Place, Running, until};

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

/// A node on an empty data directory, and where it listens.
pub(crate) async fn serve(place: &Place) -> Result<(Running, String)> {
    let mut node = place.begin(&["serve", "--listen", "127.0.0.1:0"])?;
    let url = until("the node says where it listens", async || {
        ensure!(!node.is_over()?, "the node ended: {}", node.said()?);
        let said = node.said()?;
        let at = said.find("http://").map(|at| &said[at..]);
        let url = at.and_then(|at| at.split_once("/readyz"));
        Ok(url.map(|(url, _)| url.to_owned()))
    });
    let url = url.await?;
    Ok((node, url))
}
