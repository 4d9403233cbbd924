//! Why as a graph in DOT: all chains, fallen findings dashed, failed checks red.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::tree::name;
use super::{Proven, Verdict};

/// A graph that `dot` draws. `safe` makes text from outside fit to be shown.
pub fn dot(proven: &Proven, safe: impl Fn(&str) -> String) -> String {
    // JSON quotes as DOT does.
    let quoted = |text: &str| Value::from(safe(text)).to_string();
    let mut text = String::from("digraph why {\n  rankdir=LR;\n  node [shape=box];\n");
    for (step, proof) in proven.steps() {
        let style = if step.stands { "" } else { ", style=dashed" };
        let has_failed = proven
            .verdicts()
            .any(|(of, _, verdict)| of == proof && matches!(verdict, Verdict::Failed(_)));
        let color = if has_failed { ", color=red" } else { "" };
        let id = quoted(&step.finding.finding_id.to_string());
        let _ = writeln!(
            text,
            "  {id} [label={}{style}{color}];",
            quoted(&name(step))
        );
    }
    let mut edges = BTreeSet::new();
    for chain in &proven.why.chains {
        edges.extend(chain.windows(2).map(|pair| (pair[1], pair[0])));
    }
    for (parent, child) in edges {
        let Some(step) = proven.why.step(child) else {
            continue;
        };
        let relation = step
            .finding
            .relation
            .map_or("", |relation| relation.as_str());
        let label = quoted(&format!("{relation} by {}", step.finding.module));
        let _ = writeln!(
            text,
            "  {} -> {} [label={label}];",
            quoted(&parent.to_string()),
            quoted(&child.to_string())
        );
    }
    text.push('}');
    text
}
