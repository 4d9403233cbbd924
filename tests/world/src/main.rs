//! `mirage-world`: holds a world open for other processes until standard input closes or Ctrl-C.
//!
//! Prints one line of JSON: what a scanner must be told, then where the canary sits.

use std::io::Write as _;

use clap::Parser;
use mirage_world::{Config, World};
use serde_json::json;
use tokio::sync::oneshot;

/// Serves a seeded company on loopback, to be scanned.
#[derive(Parser)]
struct Arguments {
    /// Numbered hosts besides the named ones.
    #[arg(long, default_value_t = Config::default().hosts)]
    hosts: usize,
    /// Draws names, keys and serial numbers.
    #[arg(long, default_value_t = Config::default().seed)]
    seed: u64,
    /// Sets the traps.
    #[arg(long)]
    hostile: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments {
        hosts,
        seed,
        hostile,
    } = Arguments::parse();
    let world = World::start(Config {
        hosts,
        seed,
        hostile,
    })
    .await?;
    let line = json!({
        "domain": world.domain(),
        "resolver": world.resolver(),
        "ports": world.ports(),
        "ca_file": world.ca_file(),
        "routes_file": world.routes_file(),
        "places_file": world.places_file(),
        "crtsh_url": world.crtsh_url(),
        "rdap_url": world.rdap_url(),
        "whois_server": world.whois_server(),
        "canary": world.canary_address(),
    });
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}")?;
    stdout.flush()?;
    tokio::select! {
        _ = closed_input() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}

/// Resolves at the end of standard input, or at an error, which ends it as well.
fn closed_input() -> oneshot::Receiver<()> {
    let (closed, wait) = oneshot::channel();
    // A thread of its own, which nobody joins: a read of a terminal cannot be called off.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        // The receiver may have gone by Ctrl-C.
        let _ = closed.send(());
    });
    wait
}
