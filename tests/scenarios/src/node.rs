//! A node on a place, and where it listens.

use anyhow::{Result, ensure};

use crate::{Place, Running, until};

/// A node with every role on a data directory, at any free port.
pub async fn serve(place: &Place) -> Result<(Running, String)> {
    serve_at(place, "127.0.0.1:0").await
}

/// The same at an address.
pub async fn serve_at(place: &Place, listen: &str) -> Result<(Running, String)> {
    let mut node = place.begin(&["serve", "--listen", listen])?;
    let url = listening(&mut node).await?;
    Ok((node, url))
}

/// Waits until a node says where it listens.
pub async fn listening(node: &mut Running) -> Result<String> {
    until("the node says where it listens", async || {
        ensure!(!node.is_over()?, "the node ended: {}", node.said()?);
        let said = node.said()?;
        let at = said.find("http://").map(|at| &said[at..]);
        let url = at.and_then(|at| at.split_once("/readyz"));
        Ok(url.map(|(url, _)| url.to_owned()))
    })
    .await
}
