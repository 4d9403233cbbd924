//! `mirage graph export`: a scan's graph as a file for other programs.

use std::fs::File;
use std::io::{Write, stdout};
use std::path::Path;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use mirage_api::error::{Exit, Problem};
use mirage_projections::graph::Format;

use crate::cli::export::{self, Asked, Told};
use crate::cli::global::AtArgument;
use crate::cli::ids::LAST;
use crate::cli::{Answer, Context, known};
use crate::output::Failure;
use crate::wire;

/// Write a scan's graph for another program
///
/// GEXF says when each node and edge was first seen, so that Gephi's timeline replays the scan. JSON is the node-link form of NetworkX.
///
/// Exit codes: 0 ok, 1 the file cannot be written, 2 usage, 3 no such scan, 6 the log is damaged
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The scan: its id, the beginning of it, or @last (the default)
    #[arg(add = known::scans(), value_name = "SCAN")]
    scan: Option<String>,
    /// What to write
    #[arg(long, value_name = "FORMAT", default_value = "graphml", value_parser = formats())]
    format: Format,
    /// Where to write it; - is stdout
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: String,
    #[command(flatten)]
    at: AtArgument,
}

fn formats() -> impl clap::builder::TypedValueParser<Value = Format> {
    let names = Format::ALL.iter().map(|format| format.as_str());
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Format>())
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    let asked = Asked {
        scan: arguments.scan.as_deref().unwrap_or(LAST),
        format: mirage_api::export::Format::Graph(arguments.format),
        at: &arguments.at,
    };
    let remote = context.remote()?;
    let out = open(context, &arguments.out)?;
    let Told { at, written } = export::write(context, remote.as_ref(), &asked, out).await?;
    context.output.say(match written {
        Some(written) => format!(
            "{} nodes and {} edges as of position {at}",
            written.nodes, written.edges
        ),
        None => format!("as of position {at}"),
    });
    Ok(Exit::Done)
}

fn open(context: &Context, out: &str) -> Result<Box<dyn Write>, Failure> {
    if out != "-" {
        wire::must_be_outside(&context.data.dir, Path::new(out))?;
    }
    Ok(match out {
        "-" => Box::new(stdout()),
        path => Box::new(
            File::create(path)
                .map_err(|error| Problem::new("output_failed", format!("{path}: {error}")))?,
        ),
    })
}
