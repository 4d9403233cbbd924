//! `servers start`: one server for a person, until the input ends.

use std::io::Read;

use anyhow::{anyhow, bail, ensure};
use mirage_servers::Kind;

pub(super) fn run(kind: &Kind, nodes: usize) -> anyhow::Result<()> {
    (kind.find)().map_err(|reason| anyhow!(reason))?;
    ensure!(
        nodes == 1 || kind.name == "nats",
        "only NATS is started as a cluster"
    );
    match kind.name {
        "nats" => {
            let nats = mirage_servers::nats(nodes).expect("it was found above");
            for node in (0..nodes).map(|index| nats.node(index)) {
                println!("pid {} keeps {}", node.pid(), node.folder().display());
            }
            println!("monitor {}", nats.monitor(0));
            until_the_end_of_input(&nats.url());
        }
        other => bail!("{other} cannot be started from here"),
    }
    Ok(())
}

/// Ctrl-C ends us without a word; the server's guard then stops the server and removes its folder.
fn until_the_end_of_input(url: &str) {
    println!("{url}");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
