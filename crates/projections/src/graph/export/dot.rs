//! DOT, the language of Graphviz. Attributes that it does not know are for other readers.

use std::io::{self, Write};

use serde_json::Value;

use super::attributes::{Attribute, EDGE, NODE, label, of_edge, of_node, present};
use super::escape;
use super::{Edge, Head, Node, Writer};

pub(super) struct Dot;

impl Writer for Dot {
    fn begin(&self, head: &Head, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "digraph {} {{", escape::Dot(head.scan.as_str()))?;
        writeln!(out, "  graph [rankdir=\"LR\", position=\"{}\"];", head.at)?;
        writeln!(out, "  node [shape=\"box\"];")
    }

    fn node(&self, _: &Head, _: u64, node: &Node, out: &mut dyn Write) -> io::Result<()> {
        let label = match &node.name.key {
            Some(key) => format!("{} {key}", node.name.kind),
            None => label(node).to_owned(),
        };
        let (id, label) = (node.name.entity_id, escape::Dot(&label));
        write!(out, "  \"{id}\" [label={label}")?;
        attributes(out, NODE, &of_node(node))
    }

    fn turn(&self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn edge(&self, _: &Head, _: u64, edge: &Edge, out: &mut dyn Write) -> io::Result<()> {
        let (subject, object, relation) = (edge.subject, edge.object, edge.relation);
        write!(out, "  \"{subject}\" -> \"{object}\" [label=\"{relation}\"")?;
        attributes(out, EDGE, &of_edge(edge))
    }

    fn end(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "}}")
    }
}

fn attributes(
    out: &mut dyn Write,
    table: &'static [Attribute],
    values: &[Value],
) -> io::Result<()> {
    for (attribute, value) in present(table, values) {
        let name = attribute.name;
        match value {
            Value::String(text) => write!(out, ", {name}={}", escape::Dot(text))?,
            value => write!(out, ", {name}=\"{value}\"")?,
        }
    }
    writeln!(out, "];")
}
