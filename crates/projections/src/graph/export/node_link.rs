//! JSON in node-link form: a directed multigraph, a node or an edge a line.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::attributes::{Attribute, EDGE, NODE, of_edge, of_node, present};
use super::escape::Json;
use super::{Edge, Head, Node, Writer};

pub(super) struct NodeLink;

impl Writer for NodeLink {
    fn begin(&self, head: &Head, out: &mut dyn Write) -> io::Result<()> {
        let time = head.time.map(|time| time.to_string());
        let graph = json!({ "scan": head.scan, "position": head.at, "time": time });
        let graph = Json(&graph);
        write!(
            out,
            "{{\"directed\":true,\"multigraph\":true,\"graph\":{graph},\n\"nodes\":["
        )
    }

    fn node(&self, _: &Head, number: u64, node: &Node, out: &mut dyn Write) -> io::Result<()> {
        let mut object = members(NODE, &of_node(node));
        object.insert("id".into(), node.name.entity_id.to_string().into());
        item(out, number, object)
    }

    fn turn(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "\n],\n\"edges\":[")
    }

    fn edge(&self, _: &Head, number: u64, edge: &Edge, out: &mut dyn Write) -> io::Result<()> {
        let mut object = members(EDGE, &of_edge(edge));
        object.insert("modules".into(), edge.modules.clone().into());
        object.insert("source".into(), edge.subject.to_string().into());
        object.insert("target".into(), edge.object.to_string().into());
        // Two entities have one edge of each relation.
        object.insert("key".into(), edge.relation.as_str().into());
        item(out, number, object)
    }

    fn end(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\n]}}")
    }
}

fn members(table: &'static [Attribute], values: &[Value]) -> Map<String, Value> {
    let present = present(table, values);
    present
        .map(|(attribute, value)| (attribute.name.to_owned(), value.clone()))
        .collect()
}

fn item(out: &mut dyn Write, number: u64, object: Map<String, Value>) -> io::Result<()> {
    let lead = if number == 0 { "" } else { "," };
    write!(out, "{lead}\n{}", Json(&object.into()))
}
