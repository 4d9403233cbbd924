//! `mirage graph export`: a scan's graph as a file for other programs.

use std::fs::File;
use std::io::{BufWriter, Write, stdout};

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use mirage_api::error::{Exit, Problem};
use mirage_domain::id::{Position, ScanId};
use mirage_projections::graph::{self, Format, Graph, Head, Written};
use mirage_projections::{Error, Projection as _, catalog};

use crate::cli::global::AtArgument;
use crate::cli::ids::{self, LAST};
use crate::cli::{Answer, Context, known};
use crate::output::Failure;
use crate::wire::Views;

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
    let views = context.views().await?;
    let catalog = views.reader(arguments.at.text())?;
    let scan = ids::scan(&catalog, arguments.scan.as_deref().unwrap_or(LAST))?;
    let mut out = open(&arguments.out)?;
    let source = Source {
        views: &views,
        catalog: &catalog,
        at: &arguments.at,
    };
    let (written, at) = write(source, scan, arguments.format, &mut out).await?;
    context.output.say(format_args!(
        "{} nodes and {} edges as of position {at}",
        written.nodes, written.edges
    ));
    Ok(Exit::Done)
}

/// What a graph is read from, and as of when.
pub(in crate::cli) struct Source<'a> {
    pub(in crate::cli) views: &'a Views,
    pub(in crate::cli) catalog: &'a catalog::Reader<'a>,
    pub(in crate::cli) at: &'a AtArgument,
}

/// Writes a scan's graph, and answers what it wrote and as of which position.
pub(in crate::cli) async fn write(
    source: Source<'_>,
    scan: ScanId,
    format: Format,
    out: &mut dyn Write,
) -> Result<(Written, Position), Failure> {
    let Source { views, catalog, at } = source;
    let db = views.db(Graph::NAME).await?;
    let graph = super::as_of(&db, catalog, at)?;
    let at = graph.position();
    let time = time(views, at).await?;
    let written = graph::write(&graph, &Head { scan, at, time }, format, out);
    match written {
        Ok(written) => Ok((written, at)),
        Err(Error::Dump { source, .. }) => Err(source.into()),
        Err(error) => Err(error.into()),
    }
}

/// When the log stood there.
async fn time(views: &Views, at: Position) -> Result<Option<jiff::Timestamp>, Failure> {
    match at {
        Position(0) => Ok(None),
        at => Ok(Some(views.log.commit(at).await?.commit.recorded_at)),
    }
}

fn open(out: &str) -> Result<BufWriter<Box<dyn Write>>, Failure> {
    let out: Box<dyn Write> = match out {
        "-" => Box::new(stdout().lock()),
        path => Box::new(
            File::create(path)
                .map_err(|error| Problem::new("output_failed", format!("{path}: {error}")))?,
        ),
    };
    Ok(BufWriter::new(out))
}
