//! The end of a scan: counts, what is new, failures, and the commands that look further.

use std::collections::BTreeMap;

use mirage_api::error::Exit;
use mirage_domain::id::{FindingId, ScanId};
use mirage_projections::catalog::MarkRow;
use serde_json::{Map, Value};

use super::super::tally::Tally;
use super::super::{Answer, Context, time};
use super::Counted;
use super::progress::bytes;
use crate::output::{Field, Form, Listing, SafeText, Shape};

static LISTING: Listing = Listing {
    key: "scan_id",
    fields: &[
        Field::new("scan_id", Shape::Text),
        Field::new("name", Shape::Text),
        Field::new("state", Shape::Text),
        Field::new("findings", Shape::Number),
        Field::new("entities", Shape::Number),
        Field::new("kinds", Shape::Text),
        Field::new("new", Shape::Number),
        Field::new("failures", Shape::Text),
        Field::new("failed_modules", Shape::Text),
        Field::new("limits", Shape::Text),
        Field::more("tasks", Shape::Number),
        Field::more("requests", Shape::Number),
        Field::more("bytes_received", Shape::Number),
        Field::more("seconds", Shape::Number),
        Field::more("position", Shape::Number),
    ],
};

/// Writes the summary and decides how the program ends.
pub(crate) fn show(context: &Context, scan: &ScanId, tally: &Tally, counted: &Counted) -> Answer {
    let span = tally.started_at.zip(tally.finished_at);
    let span = span.and_then(|(from, to)| to.duration_since(from).try_into().ok());
    let span: std::time::Duration = span.unwrap_or_default();
    let failed: Vec<&str> = tally.failed_modules().collect();
    let outcome = tally.outcome.map_or("running", |outcome| outcome.as_str());
    let limits: Vec<Value> = tally.limits.iter().map(limit).collect();
    let values = vec![
        scan.to_string().into(),
        tally.name.clone().into(),
        outcome.into(),
        counted.findings.into(),
        tally.entities().into(),
        counts(
            tally
                .kinds
                .iter()
                .map(|(kind, count)| (kind.as_str(), *count)),
        ),
        counted.new.into(),
        counts(of_reasons(&tally.failures)),
        failed.clone().into(),
        limits.into(),
        tally.tasks_done().into(),
        tally.cost.requests.into(),
        tally.cost.bytes_received.into(),
        span.as_secs_f64().into(),
        tally.position.0.into(),
    ];
    context.output.thing(&LISTING, values)?;
    if context.output.form == Form::Table {
        marked_before(context, &counted.marked_before);
        further(context, scan, tally, span);
    }
    Ok(if failed.is_empty() {
        Exit::Done
    } else {
        Exit::FailedModules
    })
}

fn limit(limited: &mirage_domain::plan::Limited) -> Value {
    let name = serde_json::to_value(limited.limit).unwrap_or_default();
    format!("{} {}", name.as_str().unwrap_or_default(), limited.value).into()
}

fn of_reasons(reasons: &BTreeMap<String, u64>) -> impl Iterator<Item = (&str, u64)> {
    reasons
        .iter()
        .map(|(reason, count)| (reason.as_str(), *count))
}

fn counts<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> Value {
    let counts: Map<String, Value> = counts
        .map(|(name, count)| (name.to_owned(), count.into()))
        .collect();
    counts.into()
}

/// What was said of these findings in an earlier scan; it does not hold here until somebody says so again.
pub(in super::super) fn marked_before(context: &Context, marks: &[(FindingId, MarkRow)]) {
    for (finding, mark) in marks {
        let verdict = mark.verdict.as_deref().unwrap_or_default();
        let reason = mark.reason.as_deref().unwrap_or_default();
        context.output.say(format_args!(
            "finding {finding} was marked {verdict} by {} in scan {}: {}",
            SafeText(&mark.actor),
            mark.scan_id,
            SafeText(reason)
        ));
    }
}

fn further(context: &Context, scan: &ScanId, tally: &Tally, span: std::time::Duration) {
    let output = &context.output;
    output.say(format_args!(
        "{} tasks, {} requests, {} received in {}",
        tally.tasks_done(),
        tally.cost.requests,
        bytes(tally.cost.bytes_received),
        time::shown(span)
    ));
    output.say("look further:");
    output.say(format_args!("  mirage findings {scan}"));
    output.say(format_args!("  mirage entities --scan {scan}"));
    if !tally.failures.is_empty() {
        output.say(format_args!("  mirage scans get {scan}"));
        output.say(format_args!("  mirage scans rerun {scan}"));
    }
}
