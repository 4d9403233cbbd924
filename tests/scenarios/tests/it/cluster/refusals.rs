//! What a node refuses to be, and a server that it refuses to trust, each with the fix.

use anyhow::{Result, ensure};
use mirage_faults::cluster::Cluster;
use mirage_scenarios::{Place, Running};
use mirage_servers::NatsOptions;

use super::ran;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_queue_and_unknown_roles_are_refused() -> Result<()> {
    let place = Place::new()?;
    for (roles, fix) in [
        ("collect", "log.servers"),
        ("orchestrate,project", "log.servers"),
        ("colect", "orchestrate, collect, notify, project"),
    ] {
        let words = ["serve", "--role", roles, "--listen", "127.0.0.1:0"];
        let refused = place.mirage(&words).await?.expect(&[2])?;
        ensure!(refused.err.contains(fix), "{roles}: {}", refused.err);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_would_be_routing_is_refused_before_anything_is_sent() -> Result<()> {
    let place = Place::new()?;
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let server = format!("nats://{}", listener.local_addr()?);
    for name in ["a.b", "*", ">", "a b", "a\r\nPUB x 0\r\n", "a\tb"] {
        for (variable, said) in [
            ("MIRAGE_WORKSPACE", "workspace"),
            ("MIRAGE_LOG_NAME", "log.name"),
        ] {
            let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"])?;
            command
                .env("MIRAGE_LOG_SERVERS", &server)
                .env(variable, name);
            let refused = Running::start(command)?.end().await?.expect(&[2])?;
            ensure!(
                refused.err.contains(said),
                "{variable} {name:?}: {}",
                refused.err
            );
        }
    }
    ensure!(listener.accept().is_err(), "somebody came");
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
