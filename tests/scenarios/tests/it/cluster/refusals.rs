//! What a node refuses to be, and a server that it refuses to trust, each with the fix.

use anyhow::{Result, ensure};
use mirage_faults::cluster::Cluster;
use mirage_scenarios::Place;
use mirage_servers::NatsOptions;

use super::ran;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_queue_and_unknown_roles_are_refused() -> Result<()> {
    let place = Place::new()?;
    for (roles, fix) in [
        ("collect", "log.servers"),
        ("orchestrate,project", "log.servers"),
        ("colect", "orchestrate, collect, project"),
    ] {
        let words = ["serve", "--role", roles, "--listen", "127.0.0.1:0"];
        let refused = place.mirage(&words).await?.expect(&[2])?;
        ensure!(refused.err.contains(fix), "{roles}: {}", refused.err);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_sync_is_refused_with_the_fix() -> Result<()> {
    let weak = NatsOptions {
        sync_always: false,
        ..NatsOptions::default()
    };
    let Some(cluster) = Cluster::with(1, &weak)? else {
        return Ok(());
    };
    let words = ["serve", "--role", "all", "--listen", "127.0.0.1:0"];
    let refused = ran(&cluster, "node", &words).await?.expect(&[9])?;
    ensure!(
        refused.err.contains("sync_interval: always"),
        "{}",
        refused.err
    );
    Ok(())
}
