//! GEXF 1.3: nodes and edges with the time in which they were known.
//!
//! So Gephi's timeline replays the scan.

use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::Value;

use super::attributes::{Attribute, EDGE, NODE, label, of_edge, of_node, present};
use super::escape::Xml;
use super::{Edge, Head, Node, Writer};

pub(super) struct Gexf;

impl Writer for Gexf {
    fn begin(&self, head: &Head, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
        writeln!(out, "<gexf xmlns=\"http://gexf.net/1.3\" version=\"1.3\">")?;
        let (scan, at) = (&head.scan, head.at);
        writeln!(
            out,
            "  <meta><creator>Mirage</creator><description>scan {scan} as of position {at}</description></meta>"
        )?;
        // `dateTime` would be the exact word. Gephi reads the same times under both, NetworkX under this one only.
        writeln!(
            out,
            "  <graph defaultedgetype=\"directed\" mode=\"dynamic\" timeformat=\"date\" timerepresentation=\"interval\">"
        )?;
        attributes(out, "node", NODE)?;
        attributes(out, "edge", EDGE)?;
        writeln!(out, "    <nodes>")
    }

    fn node(&self, head: &Head, _: u64, node: &Node, out: &mut dyn Write) -> io::Result<()> {
        let (id, label) = (node.name.entity_id, Xml(label(node)));
        write!(out, "      <node id=\"{id}\" label=\"{label}\"")?;
        life(out, node.first_seen, head.time)?;
        values(out, NODE, &of_node(node))?;
        writeln!(out, "</node>")
    }

    fn turn(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "    </nodes>\n    <edges>")
    }

    fn edge(&self, head: &Head, number: u64, edge: &Edge, out: &mut dyn Write) -> io::Result<()> {
        let (subject, object, relation) = (edge.subject, edge.object, edge.relation);
        write!(
            out,
            "      <edge id=\"{number}\" source=\"{subject}\" target=\"{object}\" kind=\"{relation}\" label=\"{relation}\""
        )?;
        life(out, edge.first_seen, head.time)?;
        values(out, EDGE, &of_edge(edge))?;
        writeln!(out, "</edge>")
    }

    fn end(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "    </edges>\n  </graph>\n</gexf>")
    }
}

fn attributes(out: &mut dyn Write, class: &str, table: &[Attribute]) -> io::Result<()> {
    writeln!(out, "    <attributes class=\"{class}\" mode=\"static\">")?;
    for attribute in table {
        let (name, shape) = (attribute.name, attribute.shape.as_str());
        writeln!(
            out,
            "      <attribute id=\"{name}\" title=\"{name}\" type=\"{shape}\"/>"
        )?;
    }
    writeln!(out, "    </attributes>")
}

/// From when to when it was known. Clocks may differ, and nothing ends before it began.
fn life(out: &mut dyn Write, start: Timestamp, end: Option<Timestamp>) -> io::Result<()> {
    write!(out, " start=\"{start}\"")?;
    if let Some(end) = end {
        write!(out, " end=\"{}\"", end.max(start))?;
    }
    write!(out, ">")
}

fn values(out: &mut dyn Write, table: &'static [Attribute], values: &[Value]) -> io::Result<()> {
    write!(out, "<attvalues>")?;
    for (attribute, value) in present(table, values) {
        let name = attribute.name;
        match value {
            Value::String(text) => {
                write!(out, "<attvalue for=\"{name}\" value=\"{}\"/>", Xml(text))?;
            }
            value => write!(out, "<attvalue for=\"{name}\" value=\"{value}\"/>")?,
        }
    }
    write!(out, "</attvalues>")
}
