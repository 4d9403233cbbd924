//! `servers start`: one server for a person, until the input ends.

use std::io::Read;

use anyhow::{anyhow, ensure};
use mirage_servers::{Kind, Process};

pub(super) fn run(kind: &Kind, nodes: usize) -> anyhow::Result<()> {
    (kind.find)().map_err(|reason| anyhow!(reason))?;
    ensure!(
        nodes == 1 || kind.name == "nats",
        "only NATS is started as a cluster"
    );
    ensure!(nodes == 1 || nodes == 3, "a cluster has three nodes");
    match kind.name {
        "meilisearch" => mirage_servers::meilisearch().map(|server| {
            let url = format!("{} with the key {}", server.url(), server.master_key());
            hold(&url, &[&server]);
        }),
        "nats" => mirage_servers::nats(nodes).map(|server| {
            let url = format!("{} with its monitor at {}", server.url(), server.monitor(0));
            let nodes: Vec<&Process> = (0..nodes).map(|index| &**server.node(index)).collect();
            hold(&url, &nodes);
        }),
        "neo4j" => {
            mirage_servers::neo4j_alone().map(|server| hold(server.bolt(), &[server.process()]))
        }
        "postgres" => {
            mirage_servers::postgres_alone().map(|server| hold(&server.url(), &[server.process()]))
        }
        _ => mirage_servers::s3().map(|server| {
            let (endpoint, bucket) = (server.endpoint(), server.bucket());
            let (access, secret) = (server.access_key(), server.secret_key());
            let url = format!("{endpoint}/{bucket} with the keys {access} and {secret}");
            hold(&url, &[&server]);
        }),
    };
    Ok(())
}

/// Ctrl-C ends us without a word; the server's guard then stops the server and removes its folder.
fn hold(url: &str, processes: &[&Process]) {
    println!("{url}");
    for process in processes {
        println!("pid {} keeps {}", process.pid(), process.folder().display());
    }
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
