//! `mirage export`: a scan for other programs, as a stream of any length.
//!
//! What it writes is written by `mirage_api::export`, here or at a server.
//! **Invariant:** a file that is named appears whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use mirage_api::error::{Exit, Problem};
use mirage_api::export::{self, FIELDS, Source, Wanted, Written};
use mirage_domain::id::Position;
use mirage_projections::graph;

use super::global::AtArgument;
use super::ids::{self, LAST};
use super::{Answer, Context, findings, known};
use crate::output::Failure;
use crate::wire;
use crate::wire::remote::Remote;

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
    #[value(alias = "cloudevents")]
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
    fn wanted(self) -> export::Format {
        match self {
            Self::Jsonl => export::Format::CloudEvents,
            Self::Csv => export::Format::Csv,
            Self::Commits => export::Format::Commits,
            Self::Graphml => export::Format::Graph(graph::Format::GraphMl),
            Self::Gexf => export::Format::Graph(graph::Format::Gexf),
        }
    }
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    let asked = Asked {
        scan: &arguments.scan,
        format: arguments.format.wanted(),
        at: &arguments.at,
    };
    let remote = context.remote()?;
    let remote = remote.as_ref();
    if arguments.out.as_os_str() == "-" {
        write(context, remote, &asked, Box::new(io::stdout())).await?;
        return Ok(Exit::Done);
    }
    let path = &arguments.out;
    wire::must_be_outside(&context.data.dir, path)?;
    let failed =
        |error: io::Error| Problem::new("output_failed", format!("{}: {error}", path.display()));
    let fresh = beside(path);
    let file = File::create(&fresh).map_err(failed)?;
    let kept = file.try_clone().map_err(failed)?;
    let written = write(context, remote, &asked, Box::new(file)).await;
    let placed = written.and_then(|told| {
        kept.sync_all().map_err(failed)?;
        std::fs::rename(&fresh, path).map_err(failed)?;
        Ok(told)
    });
    match placed {
        Ok(told) => {
            let shown = path.display();
            context
                .output
                .say(format_args!("{}written to {shown}", told.counted()));
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

/// What is to be exported.
pub(super) struct Asked<'a> {
    pub(super) scan: &'a str,
    pub(super) format: export::Format,
    pub(super) at: &'a AtArgument,
}

/// What came of it: the position, and how much it is where that was counted here.
pub(super) struct Told {
    pub(super) at: Position,
    pub(super) written: Option<Written>,
}

impl Told {
    fn counted(&self) -> String {
        match self.written {
            None => String::new(),
            Some(Written {
                lines: 0,
                nodes,
                edges,
            }) if nodes + edges > 0 => format!("{} nodes and edges ", nodes + edges),
            Some(written) => format!("{} lines ", written.lines),
        }
    }
}

/// Writes a scan, from here or from a server.
pub(super) async fn write(
    context: &Context,
    remote: Option<&Remote>,
    asked: &Asked<'_>,
    out: Box<dyn Write>,
) -> Result<Told, Failure> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, out);
    let fields = &context.output.fields;
    if asked.format == export::Format::Csv {
        context.output.must_fit(&findings::LISTING)?;
    }
    if let Some(remote) = remote {
        let is_csv = asked.format == export::Format::Csv;
        let query = vec![
            ("format", Some(asked.format.to_string())),
            ("fields", findings::listed(fields).filter(|_| is_csv)),
            ("at", asked.at.sent()?),
        ];
        let path = ["scans", asked.scan, "export"];
        let at = remote.bytes(&path, &query, &mut out).await?;
        return Ok(Told { at, written: None });
    }
    let views = context.views().await?;
    let catalog = views.reader(asked.at.text())?;
    let wanted = Wanted {
        scan: ids::scan(&catalog, asked.scan)?,
        format: asked.format,
        columns: places(fields),
    };
    let view = views.db(asked.format.view()).await?;
    let source = Source {
        log: &*views.log,
        catalog: &catalog,
        view: &view,
    };
    Ok(Told {
        at: catalog.position(),
        written: Some(export::write(&source, &wanted, &mut out).await?),
    })
}

/// Those that there are: who names others was refused before.
fn places(fields: &[String]) -> Vec<usize> {
    let place = |field: &String| FIELDS.iter().position(|there| there == field);
    fields.iter().filter_map(place).collect()
}
