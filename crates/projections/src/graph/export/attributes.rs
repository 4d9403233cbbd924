//! What each format says of a node and of an edge: one table each, in one order.

use serde_json::Value;

use super::super::nodes::Node;
use super::super::subgraph::Edge;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Count,
    Truth,
}

impl Shape {
    /// As GraphML and GEXF call it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Count => "long",
            Self::Truth => "boolean",
        }
    }
}

pub(super) struct Attribute {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
}

const fn attribute(name: &'static str, shape: Shape) -> Attribute {
    Attribute { name, shape }
}

pub(super) const NODE: &[Attribute] = &[
    attribute("kind", Shape::Text),
    attribute("key", Shape::Text),
    attribute("is_seed", Shape::Truth),
    attribute("in_scope", Shape::Truth),
    attribute("findings", Shape::Count),
    attribute("confidence", Shape::Count),
    attribute("first_seen", Shape::Text),
    attribute("last_seen", Shape::Text),
];

pub(super) const EDGE: &[Attribute] = &[
    attribute("relation", Shape::Text),
    attribute("findings", Shape::Count),
    attribute("confidence", Shape::Count),
    attribute("modules", Shape::Text),
    attribute("first_seen", Shape::Text),
    attribute("last_seen", Shape::Text),
];

/// Null for a key that was erased.
pub(super) fn of_node(node: &Node) -> [Value; NODE.len()] {
    [
        node.name.kind.as_str().into(),
        node.name.key.clone().into(),
        node.is_seed.into(),
        node.in_scope.into(),
        node.findings.into(),
        node.confidence.into(),
        node.first_seen.to_string().into(),
        node.last_seen.to_string().into(),
    ]
}

pub(super) fn of_edge(edge: &Edge) -> [Value; EDGE.len()] {
    [
        edge.relation.as_str().into(),
        edge.findings.into(),
        edge.confidence.into(),
        edge.modules.join(",").into(),
        edge.first_seen.to_string().into(),
        edge.last_seen.to_string().into(),
    ]
}

/// The attributes that have a value, with it.
pub(super) fn present<'a>(
    table: &'static [Attribute],
    values: &'a [Value],
) -> impl Iterator<Item = (&'static Attribute, &'a Value)> {
    let pairs = table.iter().zip(values);
    pairs.filter(|(_, value)| !value.is_null())
}

/// What a drawing shows: the key, or the kind of a thing whose key was erased.
pub(super) fn label(node: &Node) -> &str {
    let key = node.name.key.as_deref();
    key.unwrap_or(node.name.kind.as_str())
}
