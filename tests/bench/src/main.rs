//! Speed as a ratio: each figure beside the bare client's, taken in turns in one run.
//!
//! `cargo xtask bench` runs all; `--only NAME` one. One file a measurement; it answers rows, this file prints them.
//! **Never:** an absolute time as a verdict: machines differ, ratios travel.

mod append;
mod cluster;
mod command;
mod company;
mod dns;
mod evidence;
mod gateway;
mod import;
mod jetstream;
mod machine;
mod million;
mod read;
mod row;
mod scan;
mod subscribers;
mod views;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Parser;

use row::Row;

/// Measures Mirage against bare clients.
#[derive(Parser)]
struct Arguments {
    /// Run one measurement only.
    #[arg(long)]
    only: Option<String>,
    /// Where the measured files lie: a real disk, or durable writes cost nothing.
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
    /// Findings of the measurements of views.
    #[arg(long, default_value_t = 1_000_000)]
    findings: usize,
    /// Write the rows to this file as Markdown.
    #[arg(long)]
    record: Option<PathBuf>,
}

type Measure = fn(&Path, usize) -> Result<Vec<Row>>;

/// Every measurement, sorted.
const ALL: &[(&str, Measure)] = &[
    ("append", |dir, _| append::run(dir)),
    ("cluster", cluster::run),
    ("command", |dir, _| command::run(dir)),
    ("dns", |dir, _| dns::run(dir)),
    ("evidence", |_, _| evidence::run()),
    ("gateway", gateway::run),
    ("import", |dir, _| import::run(dir)),
    ("jetstream", |_, _| jetstream::run()),
    ("million", |dir, _| million::run(dir)),
    ("neo4j", views::into_neo4j),
    ("postgres", views::into_postgres),
    ("read", |dir, _| read::run(dir)),
    ("recovery", |_, _| jetstream::recovery()),
    ("scan", |dir, _| scan::run(dir)),
    ("subscribers", |dir, _| subscribers::run(dir)),
    ("views", views::run),
];

/// Measurements that run in a process of their own, started by one of the others.
const INNER: &[(&str, Measure)] = &[
    ("million-inner", |dir, _| million::inner(dir)),
    ("rebuild-catalog", |dir, _| views::inner(dir, "catalog")),
    ("rebuild-graph", |dir, _| views::inner(dir, "graph")),
    ("rebuild-search", |dir, _| views::inner(dir, "search")),
];

#[expect(
    clippy::print_stdout,
    reason = "a measurement is what this program prints"
)]
fn main() -> Result<()> {
    let arguments = Arguments::parse();
    std::fs::create_dir_all(&arguments.dir)?;
    let only = arguments.only.as_deref();
    let outer = ALL
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only == *name));
    let inner = INNER.iter().filter(|(name, _)| only == Some(*name));
    let chosen: Vec<_> = outer.chain(inner).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
        bail!("no such measurement; there are: {}", names.join(", "));
    }
    let machine = machine::describe(&arguments.dir)?;
    println!("{machine}\n\n{}", row::HEAD);
    let mut rows = Vec::new();
    for (_, measure) in chosen {
        for row in measure(&arguments.dir, arguments.findings)? {
            println!("{row}");
            rows.push(row);
        }
    }
    if let Some(path) = arguments.record {
        let lines: Vec<String> = rows.iter().map(Row::to_string).collect();
        let text = format!(
            "# Benchmarks\n\n{machine}\n\n{}\n{}\n",
            row::HEAD,
            lines.join("\n")
        );
        std::fs::write(path, text)?;
    }
    Ok(())
}
