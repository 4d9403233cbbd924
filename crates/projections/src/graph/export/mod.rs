//! A scan's graph as a file: GraphML, GEXF, DOT and JSON, all of the same attributes.
//!
//! One format a file. To add one: its file with a `Writer`, its variant in [`Format`] and its arm in `writer`.
//!
//! **Invariant:** memory is constant, and equal graphs give equal bytes.
//! **Never:** a character that a reader of the format, or a terminal, would take for anything but text.

mod attributes;
mod dot;
mod escape;
mod gexf;
mod graphml;
mod node_link;

use std::io::{self, Write};
use std::str::FromStr;

use jiff::Timestamp;
use mirage_domain::id::{Position, ScanId};

use super::nodes::Node;
use super::reader::Reader;
use super::subgraph::Edge;
use crate::Error;

/// What a graph can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// With typed keys. Source: graphml.graphdrawing.org, version 1.0.
    GraphMl,
    /// With the time from which on each node and edge was known. Source: gexf.net, version 1.3.
    Gexf,
    /// For Graphviz.
    Dot,
    /// Node-link form, as `node_link_graph` of NetworkX 3.4 and later reads it.
    Json,
}

impl Format {
    pub const ALL: &'static [Self] = &[Self::GraphMl, Self::Gexf, Self::Dot, Self::Json];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::GraphMl => "graphml",
            Self::Gexf => "gexf",
            Self::Dot => "dot",
            Self::Json => "json",
        }
    }

    fn writer(self) -> &'static dyn Writer {
        match self {
            Self::GraphMl => &graphml::GraphMl,
            Self::Gexf => &gexf::Gexf,
            Self::Dot => &dot::Dot,
            Self::Json => &node_link::NodeLink,
        }
    }
}

impl FromStr for Format {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|format| format.as_str() == text);
        found
            .copied()
            .ok_or_else(|| format!("no format is named `{text}`"))
    }
}

/// What a file says of itself.
#[derive(Debug, Clone)]
pub struct Head {
    pub scan: ScanId,
    pub at: Position,
    /// When the graph was as it is written; the lives of nodes and edges end here, and stay open without it.
    pub time: Option<Timestamp>,
}

/// How much was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    pub nodes: u64,
    pub edges: u64,
}

/// One format: all nodes come before all edges, each with its number from 0.
trait Writer {
    fn begin(&self, head: &Head, out: &mut dyn Write) -> io::Result<()>;
    fn node(&self, head: &Head, number: u64, node: &Node, out: &mut dyn Write) -> io::Result<()>;
    /// Between the last node and the first edge.
    fn turn(&self, out: &mut dyn Write) -> io::Result<()>;
    fn edge(&self, head: &Head, number: u64, edge: &Edge, out: &mut dyn Write) -> io::Result<()>;
    fn end(&self, out: &mut dyn Write) -> io::Result<()>;
}

/// Writes the graph of a scan as of the reader's position.
///
/// # Errors
/// `Error::Dump` if the output takes no more.
pub fn write(
    reader: &Reader<'_>,
    head: &Head,
    format: Format,
    out: &mut dyn Write,
) -> Result<Written, Error> {
    let writer = format.writer();
    let refused = |source| Error::Dump {
        view: reader.db.view().name,
        source,
    };
    let mut written = Written::default();
    writer.begin(head, out).map_err(refused)?;
    reader.each_node(&head.scan, |node| {
        writer
            .node(head, written.nodes, &node, out)
            .map_err(refused)?;
        written.nodes += 1;
        Ok(())
    })?;
    writer.turn(out).map_err(refused)?;
    reader.each_edge(&head.scan, |edge| {
        writer
            .edge(head, written.edges, &edge, out)
            .map_err(refused)?;
        written.edges += 1;
        Ok(())
    })?;
    writer.end(out).map_err(refused)?;
    out.flush().map_err(refused)?;
    Ok(written)
}
