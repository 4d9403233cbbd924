//! A scan for other programs, of any length: the one writer of command line and gateway.
//!
//! To add a format: its name in [`Format`], its arm in [`write()`].
//! **Invariant:** memory is constant, and what is written is a function of the log up to the reader's position.

mod findings;

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use futures::StreamExt;
use mirage_domain::id::{Position, ScanId};
use mirage_log::archive::{self, export_scan};
use mirage_log::cloud_event::CloudEvent;
use mirage_log::{EventLog, Filter, Read, ReadError, keys};
use mirage_projections::catalog::{self, Catalog};
use mirage_projections::graph::{self, Graph, Head};
use mirage_projections::{Db, Projection};

use crate::error::Problem;
pub use findings::FIELDS;

/// What a scan can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Its commits byte for byte, as an archive.
    Commits,
    /// Its events, one CloudEvent 1.0 a line.
    CloudEvents,
    /// Its findings, safe in a spreadsheet.
    Csv,
    Graph(graph::Format),
}

impl Format {
    pub const ALL: &'static [Self] = &[
        Self::Commits,
        Self::CloudEvents,
        Self::Csv,
        Self::Graph(graph::Format::GraphMl),
        Self::Graph(graph::Format::Gexf),
        Self::Graph(graph::Format::Dot),
        Self::Graph(graph::Format::Json),
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Commits => "commits",
            Self::CloudEvents => "cloudevents",
            Self::Csv => "csv",
            Self::Graph(format) => format.as_str(),
        }
    }

    pub fn media(self) -> &'static str {
        match self {
            Self::Commits | Self::CloudEvents => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Graph(graph::Format::GraphMl | graph::Format::Gexf) => "application/xml",
            Self::Graph(graph::Format::Dot) => "text/vnd.graphviz",
            Self::Graph(graph::Format::Json) => "application/json",
        }
    }

    /// How the name of such a file ends.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Commits | Self::CloudEvents => "jsonl",
            format => format.as_str(),
        }
    }

    /// The view whose database it is read from, beside the catalog's.
    pub fn view(self) -> &'static str {
        match self {
            Self::Graph(_) => Graph::NAME,
            Self::Commits | Self::CloudEvents | Self::Csv => Catalog::NAME,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;
    /// `jsonl` is what the command line calls the events.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Self::ALL.iter().copied();
        match text {
            "jsonl" => Ok(Self::CloudEvents),
            text => all
                .find(|format| format.as_str() == text)
                .ok_or_else(|| format!("`{text}` is no format of an export")),
        }
    }
}

/// What a scan is read from; it is written as of the catalog's position.
pub struct Source<'a> {
    pub log: &'a dyn EventLog,
    pub catalog: &'a catalog::Reader<'a>,
    /// A database of [`Format::view`], folded as far.
    pub view: &'a Db,
}

/// What is to be written.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub scan: ScanId,
    pub format: Format,
    /// Columns of CSV, as places in [`FIELDS`]; none for all of them.
    pub columns: Vec<usize>,
}

/// How much was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Of the formats that are lines; of CSV without its header.
    pub lines: u64,
    pub nodes: u64,
    pub edges: u64,
}

/// Why a scan was not written to its end.
#[derive(Debug)]
pub enum Error {
    /// The output took no more.
    Output(io::Error),
    Problem(Box<Problem>),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        Problem::from(error).into()
    }
}

impl From<mirage_projections::Error> for Error {
    fn from(error: mirage_projections::Error) -> Self {
        match error {
            mirage_projections::Error::Dump { source, .. } => Self::Output(source),
            error => Problem::from(error).into(),
        }
    }
}

impl From<archive::Error> for Error {
    fn from(error: archive::Error) -> Self {
        match error {
            archive::Error::Write(error) => Self::Output(error),
            error => Problem::from(error).into(),
        }
    }
}

/// Writes a scan; the output is many small writes.
pub async fn write(
    source: &Source<'_>,
    wanted: &Wanted,
    out: &mut dyn Write,
) -> Result<Written, Error> {
    let lines = match wanted.format {
        Format::Graph(format) => return graph(source, &wanted.scan, format, out).await,
        Format::Commits => commits(source, &wanted.scan, out).await?,
        Format::CloudEvents => events(source, &wanted.scan, out).await?,
        Format::Csv => findings::write(source.catalog, wanted, out)?,
    };
    out.flush()?;
    Ok(Written {
        lines,
        ..Written::default()
    })
}

async fn graph(
    source: &Source<'_>,
    scan: &ScanId,
    format: graph::Format,
    out: &mut dyn Write,
) -> Result<Written, Error> {
    let graph = graph::Reader::beside(source.view, source.catalog)?;
    let at = graph.position();
    let time = match at {
        Position(0) => None,
        at => Some(source.log.commit(at).await?.commit.recorded_at),
    };
    let scan = scan.clone();
    let graph::Written { nodes, edges } =
        graph::write(&graph, &Head { scan, at, time }, format, out)?;
    Ok(Written {
        nodes,
        edges,
        ..Written::default()
    })
}

/// The archive names the id key of the scan's own workspace alone.
async fn commits(source: &Source<'_>, scan: &ScanId, out: &mut dyn Write) -> Result<u64, Error> {
    let workspace = source.catalog.workspace_id();
    let fingerprint = keys::fingerprint(source.log, workspace)
        .await
        .map_err(Problem::from)?;
    let keys = fingerprint.map(|fingerprint| (workspace.to_string(), fingerprint));
    let keys = keys.into_iter().collect();
    let upto = source.catalog.position();
    Ok(export_scan(source.log, out, keys, scan, upto).await?.1)
}

async fn events(source: &Source<'_>, scan: &ScanId, out: &mut dyn Write) -> Result<u64, Error> {
    let mut read = source.log.read(Position(0), Filter::Scan(scan.clone()));
    let mut count = 0;
    while let Some(Read::Commit(recorded)) = read.next().await.transpose()? {
        if recorded.position > source.catalog.position() {
            break;
        }
        for (cursor, entry) in recorded.entries() {
            let event = CloudEvent::of(&recorded.commit, cursor, entry);
            let event = event.map_err(io::Error::from)?;
            serde_json::to_writer(&mut *out, &event).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
            count += 1;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_read_from_its_name() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(*format));
        }
        assert_eq!("jsonl".parse(), Ok(Format::CloudEvents));
        assert!("xlsx".parse::<Format>().is_err());
    }
}
