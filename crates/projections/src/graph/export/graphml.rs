//! GraphML 1.0: typed keys, then nodes and edges with their data.

use std::io::{self, Write};

use serde_json::Value;

use super::attributes::{Attribute, EDGE, NODE, Shape, label, of_edge, of_node, present};
use super::escape::Xml;
use super::{Edge, Head, Node, Writer};

pub(super) struct GraphMl;

impl Writer for GraphMl {
    fn begin(&self, head: &Head, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
        writeln!(
            out,
            "<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
             xsi:schemaLocation=\"http://graphml.graphdrawing.org/xmlns \
             http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd\">"
        )?;
        for (name, shape) in [("scan", Shape::Text), ("position", Shape::Count)] {
            key(out, "graph", &Attribute { name, shape })?;
        }
        let label = Attribute {
            name: "label",
            shape: Shape::Text,
        };
        key(out, "node", &label)?;
        NODE.iter()
            .try_for_each(|attribute| key(out, "node", attribute))?;
        EDGE.iter()
            .try_for_each(|attribute| key(out, "edge", attribute))?;
        writeln!(
            out,
            "  <graph id=\"{}\" edgedefault=\"directed\">",
            head.scan
        )?;
        data(out, "graph", "scan", &head.scan.as_str().into())?;
        data(out, "graph", "position", &head.at.0.into())?;
        writeln!(out)
    }

    fn node(&self, _: &Head, _: u64, node: &Node, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "    <node id=\"{}\">", node.name.entity_id)?;
        data(out, "node", "label", &label(node).into())?;
        for (attribute, value) in present(NODE, &of_node(node)) {
            data(out, "node", attribute.name, value)?;
        }
        writeln!(out, "</node>")
    }

    fn turn(&self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn edge(&self, _: &Head, number: u64, edge: &Edge, out: &mut dyn Write) -> io::Result<()> {
        let (subject, object) = (edge.subject, edge.object);
        write!(
            out,
            "    <edge id=\"e{number}\" source=\"{subject}\" target=\"{object}\">"
        )?;
        for (attribute, value) in present(EDGE, &of_edge(edge)) {
            data(out, "edge", attribute.name, value)?;
        }
        writeln!(out, "</edge>")
    }

    fn end(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "  </graph>\n</graphml>")
    }
}

/// Ids of keys are unique in a document, their names are not.
fn key(out: &mut dyn Write, of: &str, attribute: &Attribute) -> io::Result<()> {
    let (name, shape) = (attribute.name, attribute.shape.as_str());
    writeln!(
        out,
        "  <key id=\"{of}-{name}\" for=\"{of}\" attr.name=\"{name}\" attr.type=\"{shape}\"/>"
    )
}

fn data(out: &mut dyn Write, of: &str, name: &str, value: &Value) -> io::Result<()> {
    write!(out, "<data key=\"{of}-{name}\">")?;
    match value {
        Value::String(text) => write!(out, "{}", Xml(text))?,
        value => write!(out, "{value}")?,
    }
    write!(out, "</data>")
}
