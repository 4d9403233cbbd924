//! `mirage export`: a scan for other programs, as a stream of any length.
//!
//! To add a format: its name in [`Format`], its arm in [`write()`].
//! **Invariant:** a file that is named appears whole or not at all.

mod cloud_events;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use mirage_api::error::{Exit, Problem};
use mirage_domain::id::{Position, ScanId};
use mirage_log::archive::{self, Header};
use mirage_projections::catalog::FindingFilter;
use mirage_projections::graph;
use mirage_workers::node::Place;

use super::global::AtArgument;
use super::graph::export::{self, Source};
use super::ids::{self, LAST};
use super::{Answer, Context, findings, known};
use crate::output::Failure;

/// Bytes of commits that are collected before they go out.
const BUFFER_BYTES: usize = 256 * 1024;

/// Export a scan for other programs
///
/// jsonl has every event of the scan as a CloudEvent 1.0, one a line, in the order of the log; csv has its findings,
/// safe in a spreadsheet. commits is lossless, but for evidence: where the workspace has the same id key it is read back
/// as it is, elsewhere its findings are. graphml and gexf are its graph, as `mirage graph export` writes it.
///
/// Exit codes: 0 ok, 1 the output cannot be written, 2 usage, 3 no such scan, 6 the log is damaged
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The scan: its id, the beginning of it, or @last
    #[arg(add = known::scans(), value_name = "SCAN", default_value = LAST)]
    scan: String,
    /// In which form
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Format,
    /// Where to; - is stdout
    #[arg(long, value_name = "FILE|-", default_value = "-")]
    out: PathBuf,
    #[command(flatten)]
    at: AtArgument,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// Events, as CloudEvents 1.0
    Jsonl,
    /// Findings
    Csv,
    /// The scan's commits byte for byte, for `mirage import --format commits`
    Commits,
    /// The graph, for yEd, NetworkX and others
    Graphml,
    /// The graph with its times, for Gephi
    Gexf,
}

impl Format {
    /// What is counted.
    fn unit(self) -> &'static str {
        match self {
            Self::Jsonl | Self::Csv | Self::Commits => "lines",
            Self::Graphml | Self::Gexf => "nodes and edges",
        }
    }
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    let views = context.views().await?;
    let reader = views.reader(arguments.at.text())?;
    let scan = ids::scan(&reader, &arguments.scan)?;
    let (format, source) = (
        arguments.format,
        Source {
            views: &views,
            catalog: &reader,
            at: &arguments.at,
        },
    );
    if arguments.out.as_os_str() == "-" {
        write(context, format, source, scan, Box::new(io::stdout())).await?;
        return Ok(Exit::Done);
    }
    let path = &arguments.out;
    let failed =
        |error: io::Error| Problem::new("output_failed", format!("{}: {error}", path.display()));
    let fresh = beside(path);
    let file = File::create(&fresh).map_err(failed)?;
    let kept = file.try_clone().map_err(failed)?;
    let written = write(context, format, source, scan, Box::new(file)).await;
    let placed = written.and_then(|count| {
        kept.sync_all().map_err(failed)?;
        std::fs::rename(&fresh, path).map_err(failed)?;
        Ok(count)
    });
    match placed {
        Ok(count) => {
            let shown = path.display();
            context
                .output
                .say(format_args!("{count} {} written to {shown}", format.unit()));
            Ok(Exit::Done)
        }
        Err(failure) => {
            // Half of it is of no use; that it cannot be removed changes nothing.
            let _ = std::fs::remove_file(&fresh);
            Err(failure)
        }
    }
}

/// Where a file is written before it has its name.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    name.into()
}

/// Writes a scan as of the reader's position; answers how many things it wrote.
async fn write(
    context: &Context,
    format: Format,
    source: Source<'_>,
    scan: ScanId,
    out: Box<dyn Write>,
) -> Result<u64, Failure> {
    let (log, reader) = (&*source.views.log, source.catalog);
    let graph = match format {
        Format::Jsonl => return cloud_events::write(log, &scan, reader.position(), out).await,
        Format::Csv => {
            let filter = FindingFilter {
                scan: Some(scan),
                ..FindingFilter::default()
            };
            let rows = context.output.csv_into(&findings::LISTING, out)?;
            return findings::into(rows, reader, &filter);
        }
        Format::Commits => return commits(context, source, scan, out).await,
        Format::Graphml => graph::Format::GraphMl,
        Format::Gexf => graph::Format::Gexf,
    };
    let mut out = BufWriter::new(out);
    let (written, _) = export::write(source, scan, graph, &mut out).await?;
    Ok(written.nodes + written.edges)
}

async fn commits(
    context: &Context,
    source: Source<'_>,
    scan: ScanId,
    out: Box<dyn Write>,
) -> Result<u64, Failure> {
    let (log, upto) = (&*source.views.log, source.catalog.position());
    let folder = Place(context.data.dir.clone()).keys();
    let header = Header::of(log, &folder, Position(0)).await?;
    let out = BufWriter::with_capacity(BUFFER_BYTES, out);
    match archive::export_scan(log, out, header.keys, &scan, upto).await {
        Ok((_, count)) => Ok(count),
        // A reader that has seen enough is no failure.
        Err(archive::Error::Write(error)) => Err(error.into()),
        Err(error) => Err(error.into()),
    }
}
