//! `mirage why`: how a finding or an entity came to be known, step by step back to the seed.

use std::fmt::Write as _;
use std::io::{Write as _, stdout};

use mirage_api::error::{Exit, Problem};
use mirage_projections::catalog::{Step, Why};
use serde_json::Value;

use super::global::AtArgument;
use super::{Answer, Context, ids, known};
use crate::output::{Failure, Form, SafeText, json};

/// Explain a finding or an entity: the chain back to the seed
///
/// Exit codes: 0 ok, 2 usage or ambiguous, 3 no such finding or entity, 6 the chain does not reach a seed
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The beginning of a finding's id, KIND:KEY, or the beginning of an entity's id
    #[arg(value_name = "FINDING|ENTITY")]
    what: String,
    /// For an entity: in this scan [default: the newest that met it]
    #[arg(long, add = known::scans(), value_name = "SCAN")]
    scan: Option<String>,
    /// As a tree (the default)
    #[arg(long, group = "shape")]
    tree: bool,
    /// As JSON
    #[arg(long, group = "shape")]
    json: bool,
    /// As a graph in DOT
    #[arg(long, group = "shape")]
    dot: bool,
    #[command(flatten)]
    at: AtArgument,
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    let why = find(context, arguments).await?;
    let is_json = arguments.json || matches!(context.output.form, Form::Json | Form::Jsonl);
    let text = match () {
        () if arguments.dot => dot(&why),
        () if is_json && !arguments.tree => {
            let value = serde_json::to_value(&why).unwrap_or_default();
            match context.output.form {
                Form::Jsonl => json::line(&value),
                _ => json::pretty(&value),
            }
        }
        () => tree(&why),
    };
    let mut out = stdout().lock();
    writeln!(out, "{}", text.trim_end())?;
    out.flush()?;
    match why.reaches_seed {
        true => Ok(Exit::Done),
        false => {
            context
                .output
                .say("the chain does not reach a seed: a parent is not to be found");
            Ok(Exit::Verification)
        }
    }
}

async fn find(context: &Context, arguments: &Arguments) -> Result<Why, Failure> {
    let views = context.views().await?;
    let reader = views.reader(arguments.at.text())?;
    let scan = arguments
        .scan
        .as_deref()
        .map(|scan| ids::scan(&reader, scan))
        .transpose()?;
    let text = &arguments.what;
    let is_finding = !text.contains(':')
        && !matches!(
            reader.finding_by_id(text)?,
            mirage_projections::catalog::Resolved::None
        );
    let why = match is_finding {
        true => {
            let found = ids::finding(&reader, text)?;
            reader.why(&found.scan_id, found.finding_id)?
        }
        false => {
            let found = ids::entity(context, &views, &reader, text)
                .await
                .map_err(neither)?;
            reader.why_entity(found.entity.entity_id, scan.as_ref())?
        }
    };
    Ok(why.ok_or_else(|| Problem::new("no_such_finding", format!("`{text}`")))?)
}

/// What is no finding and no entity is most likely meant as a finding.
fn neither(failure: Failure) -> Failure {
    match failure {
        Failure::Problem(problem)
            if problem.row.code == "no_such_entity" && !problem.detail.contains(':') =>
        {
            Problem::new(
                "no_such_finding",
                format!("{} is neither a finding nor an entity", problem.detail),
            )
            .into()
        }
        failure => failure,
    }
}

fn name(step: &Step) -> String {
    let key = step.finding.key.as_deref().unwrap_or("(erased)");
    format!("{} {key}", step.finding.kind)
}

/// From the seed down to what was asked about.
fn tree(why: &Why) -> String {
    let mut text = String::new();
    for (depth, step) in why.steps.iter().rev().enumerate() {
        let indent = "   ".repeat(depth.saturating_sub(1));
        let branch = if depth == 0 { "" } else { "└─ " };
        let below = "   ".repeat(depth);
        let name = name(step);
        let _ = writeln!(
            text,
            "{indent}{branch}{}{}",
            relation(step),
            SafeText(&name)
        );
        for line in facts(step) {
            let _ = writeln!(text, "{below}  {}", SafeText(&line));
        }
    }
    text
}

/// How the step hangs on the one before.
fn relation(step: &Step) -> String {
    match (step.finding.relation, step.finding.direction) {
        (Some(relation), Some(direction)) => {
            format!("{} ({}) ", relation.as_str(), direction.as_str())
        }
        _ => String::new(),
    }
}

/// What stands behind a step, a line each.
fn facts(step: &Step) -> Vec<String> {
    let finding = &step.finding;
    let scope = if finding.in_scope {
        "in scope"
    } else {
        "out of scope"
    };
    let version = step
        .task
        .as_ref()
        .map(|task| format!(" v{}", task.module_version));
    let mut lines = vec![
        format!(
            "finding {}, confidence {} %, {scope} by {}",
            finding.finding_id, finding.confidence, step.rule
        ),
        format!(
            "by {}{} in task {} at {}, position {}",
            finding.module,
            version.unwrap_or_default(),
            finding.task_id,
            finding.observed_at,
            finding.position
        ),
    ];
    let settings = step.task.as_ref().and_then(|task| task.settings);
    lines.extend(settings.map(|settings| format!("settings {settings}")));
    lines.extend(
        finding
            .evidence
            .iter()
            .map(|evidence| format!("evidence {evidence}")),
    );
    lines
}

/// A graph that `dot` draws; JSON quotes as DOT does.
fn dot(why: &Why) -> String {
    let quoted = |text: &str| json::line(&Value::from(SafeText(text).to_string()));
    let mut text = String::from("digraph why {\n  rankdir=LR;\n  node [shape=box];\n");
    for step in &why.steps {
        let id = quoted(&step.finding.finding_id.to_string());
        let _ = writeln!(text, "  {id} [label={}];", quoted(&name(step)));
    }
    for pair in why.steps.windows(2) {
        let (child, parent) = (&pair[0].finding, &pair[1].finding);
        let relation = child.relation.map_or("", |relation| relation.as_str());
        let label = quoted(&format!("{relation} by {}", child.module));
        let (parent, child) = (parent.finding_id.to_string(), child.finding_id.to_string());
        let _ = writeln!(
            text,
            "  {} -> {} [label={label}];",
            quoted(&parent),
            quoted(&child)
        );
    }
    text.push('}');
    text
}
