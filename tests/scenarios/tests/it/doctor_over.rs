//! `mirage doctor --server`: a node as whoever asks it over the network sees it.

use anyhow::{Context, Result, ensure};
use mirage_world::{Config, World};
use serde_json::Value;

use crate::gateway::Served;

/// The verdict and the detail of a check.
fn told(lines: &[Value], check: &str) -> Result<(String, String)> {
    let line = lines.iter().find(|line| line["check"] == check);
    let line = line.with_context(|| format!("no check {check}: {lines:?}"))?;
    let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
    Ok((text("verdict"), text("detail")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_looked_at_over_the_network() -> Result<()> {
    let world = World::start(Config::default()).await?;
    let mut served = Served::start(&world).await?;
    let doctor = ["doctor", "-o", "jsonl"];
    let well = served.over(&doctor).await?.expect(&[0])?.objects()?;
    ensure!(well.iter().all(|line| line["verdict"] == "ok"), "{well:?}");
    for (check, word) in [
        ("server", "version"),
        ("readiness", "log"),
        ("credential", "analyst in default"),
        ("clock", "as here"),
        ("views", "behind"),
    ] {
        let (_, detail) = told(&well, check)?;
        ensure!(detail.contains(word), "{check}: {detail}");
    }

    served.over(&["doctor", "--fix"]).await?.expect(&[2])?;
    let key = std::mem::replace(&mut served.key, "mirage.default.wrong".to_owned());
    let locked = served.over(&doctor).await?.expect(&[1])?.objects()?;
    ensure!(told(&locked, "credential")?.0 == "fail", "{locked:?}");
    ensure!(told(&locked, "server")?.0 == "ok", "{locked:?}");

    served.key = key;
    served.node.signal("KILL")?;
    let gone = served.over(&doctor).await?.expect(&[1])?.objects()?;
    ensure!(told(&gone, "server")?.0 == "fail", "{gone:?}");
    Ok(())
}
