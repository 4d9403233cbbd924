//! `servers`: fetches the real servers of tests into a cache outside the tree, lists, starts them.

mod fetch;
mod shared;
mod start;

use anyhow::{Context, bail};
use clap::Subcommand;
use mirage_servers::{ALL, Kind};

pub(crate) use shared::Shared;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Get what is missing, into the folder `MIRAGE_SERVERS` or the user's cache
    Fetch {
        /// Only these, and fail if one cannot be had [default: all]
        names: Vec<String>,
    },
    /// What is there, in which version, and how to get the rest
    Ls,
    /// Start one, say where it is, and stop it at the end of input or at Ctrl-C
    Start {
        name: String,
        /// Servers of a NATS cluster: 1 or 3
        #[arg(long, default_value_t = 1)]
        nodes: usize,
    },
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.action {
        Action::Fetch { names } => fetch_named(names),
        Action::Ls => {
            ls();
            Ok(())
        }
        Action::Start { name, nodes } => start::run(kind(name)?, *nodes),
    }
}

fn fetch_named(names: &[String]) -> anyhow::Result<()> {
    let named: Vec<&Kind> = names
        .iter()
        .map(|name| kind(name))
        .collect::<Result<_, _>>()?;
    let wanted = if named.is_empty() {
        ALL.iter().collect()
    } else {
        named
    };
    let had = fetch::all(&wanted);
    if !names.is_empty() && had.len() < wanted.len() {
        bail!("not every server that was named can be had");
    }
    Ok(())
}

fn ls() {
    for kind in ALL {
        match (kind.find)() {
            Ok(program) => println!(
                "{:<12} {:<12} {}",
                kind.name,
                program.version,
                program.path.display()
            ),
            Err(reason) => println!("{:<12} {:<12} {reason}", kind.name, "-"),
        }
    }
}

fn kind(name: &str) -> anyhow::Result<&'static Kind> {
    let names: Vec<&str> = ALL.iter().map(|kind| kind.name).collect();
    let kind = ALL.iter().find(|kind| kind.name == name);
    kind.with_context(|| format!("`{name}` is none of {}", names.join(", ")))
}
