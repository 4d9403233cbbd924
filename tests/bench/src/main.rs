//! Speed as a ratio: each figure beside the bare client's, taken in turns in one run.
//!
//! `cargo xtask bench` runs all; `--only NAME` one. One file a measurement; it answers rows, this file prints them.
//! **Never:** an absolute time as a verdict: machines differ, ratios travel.

mod append;
mod command;
mod dns;
mod machine;
mod read;
mod row;

use std::path::PathBuf;

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
    /// Write the rows to this file as Markdown.
    #[arg(long)]
    record: Option<PathBuf>,
}

/// Every measurement, sorted.
const ALL: &[(&str, fn(&std::path::Path) -> Result<Vec<Row>>)] = &[
    ("append", append::run),
    ("command", command::run),
    ("dns", dns::run),
    ("read", read::run),
];

#[expect(
    clippy::print_stdout,
    reason = "a measurement is what this program prints"
)]
fn main() -> Result<()> {
    let arguments = Arguments::parse();
    std::fs::create_dir_all(&arguments.dir)?;
    let chosen: Vec<_> = ALL
        .iter()
        .filter(|(name, _)| arguments.only.as_deref().is_none_or(|only| only == *name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
        bail!("no such measurement; there are: {}", names.join(", "));
    }
    let machine = machine::describe(&arguments.dir)?;
    println!("{machine}\n\n{}", row::HEAD);
    let mut rows = Vec::new();
    for (_, measure) in chosen {
        for row in measure(&arguments.dir)? {
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
