//! `mirage scans get`: one scan, and why it is still running.

use jiff::Timestamp;
use mirage_api::error::{Exit, Problem};
use mirage_projections::catalog::{Count, ScanDetail, State};
use serde_json::{Map, Value};

use super::super::global::AtArgument;
use super::super::{Answer, Context, ids, known, time};
use crate::output::{Failure, Field, Form, Listing, Shape, values};
use crate::wire::remote::as_of;

/// Show one scan: counts, modules, failures, and why it is still running
///
/// Exit codes: 0 ok, 2 usage, 3 no such scan, 6 the log is damaged
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The scan: its id, the beginning of it, or @last
    #[arg(add = known::scans(), value_name = "SCAN", default_value = ids::LAST)]
    scan: String,
    #[command(flatten)]
    at: AtArgument,
}

static DETAIL: Listing = Listing {
    key: "scan_id",
    fields: &[
        Field::new("scan_id", Shape::Text),
        Field::new("name", Shape::Text),
        Field::new("seeds", Shape::Text),
        Field::new("profile", Shape::Text),
        Field::new("state", Shape::Text),
        Field::new("outcome", Shape::Text),
        Field::new("held_by", Shape::Text),
        Field::new("started_at", Shape::Time),
        Field::new("finished_at", Shape::Time),
        Field::new("tasks", Shape::Number),
        Field::new("findings", Shape::Number),
        Field::new("entities", Shape::Number),
        Field::new("kinds", Shape::Text),
        Field::new("failures", Shape::Number),
        Field::new("reasons", Shape::Text),
        Field::new("requests", Shape::Number),
        Field::more("actor", Shape::Text),
        Field::more("origin", Shape::Text),
        Field::more("of_scan", Shape::Text),
        Field::more("settings", Shape::Text),
        Field::more("position", Shape::Number),
        Field::more("modules", Shape::Text),
        Field::more("remarks", Shape::Text),
        Field::more("limits", Shape::Text),
        Field::more("open", Shape::Text),
    ],
};

static MODULES: Listing = Listing {
    key: "module",
    fields: &[
        Field::new("module", Shape::Text),
        Field::new("scheduled", Shape::Number),
        Field::new("open", Shape::Number),
        Field::new("done", Shape::Number),
        Field::new("failed", Shape::Number),
        Field::new("withdrawn", Shape::Number),
        Field::new("findings", Shape::Number),
    ],
};

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    if let Some(remote) = context.remote()? {
        let at = vec![("at", arguments.at.sent()?)];
        let scan = remote.get(&["scans", &arguments.scan], &at).await?;
        context.output.thing(&DETAIL, values(&DETAIL, &scan))?;
        context.output.say_as_of(as_of(&scan));
        return Ok(Exit::Done);
    }
    let views = context.views().await?;
    let reader = views.reader(arguments.at.text())?;
    let scan = ids::scan(&reader, &arguments.scan)?;
    let absent = || Problem::new("no_such_scan", &scan);
    let mut detail = reader.scan(&scan)?.ok_or_else(absent)?;
    let holder = match arguments.at.text() {
        // The past knows nothing of who held what.
        Some(_) => None,
        None => context.held().await.by(&scan).await,
    };
    if arguments.at.text().is_none() {
        detail.scan = detail.scan.held(holder.is_some());
    }
    show(context, &detail, holder)?;
    context.output.say_as_of(reader.position());
    Ok(Exit::Done)
}

fn show(context: &Context, detail: &ScanDetail, holder: Option<String>) -> Result<(), Failure> {
    let mut object = serde_json::to_value(detail).unwrap_or_default();
    let scan = &detail.scan;
    let more = [
        ("outcome", scan.outcome.clone().into()),
        ("held_by", holder.into()),
        ("kinds", counts(&detail.entities_by_kind)),
        ("reasons", counts(&detail.failures_by_reason)),
        ("requests", scan.requests.into()),
        ("actor", scan.actor.clone().into()),
        ("origin", scan.origin.clone().into()),
        (
            "of_scan",
            scan.of_scan.as_ref().map(ToString::to_string).into(),
        ),
        ("settings", scan.settings.to_string().into()),
    ];
    if let Some(members) = object.as_object_mut() {
        members.extend(more.map(|(name, value): (_, Value)| (name.to_owned(), value)));
    }
    context.output.thing(&DETAIL, values(&DETAIL, &object))?;
    if context.output.form != Form::Table || !context.output.fields.is_empty() {
        return Ok(());
    }
    let mut rows = context.output.rows(&MODULES)?;
    for module in &detail.modules {
        rows.push(values(&MODULES, module))?;
    }
    rows.end(None)?;
    context.output.say(why(detail));
    Ok(())
}

fn counts(counts: &[Count]) -> Value {
    let members: Map<String, Value> = counts
        .iter()
        .map(|count| (count.name.clone(), count.count.into()))
        .collect();
    members.into()
}

/// Why the scan is not over.
fn why(detail: &ScanDetail) -> String {
    let id = &detail.scan.scan_id;
    match detail.scan.state {
        State::Finished => "it is over".to_owned(),
        State::Paused => format!("paused; `mirage scans resume {id}` goes on"),
        State::Interrupted => format!("nobody runs it; `mirage scans resume {id}` goes on"),
        State::Running | State::Stopping => match detail.open.first() {
            None => "no task is open; the orchestrator is about to decide".to_owned(),
            Some(oldest) => {
                let age = Timestamp::now().duration_since(oldest.scheduled_at);
                let age = std::time::Duration::try_from(age).unwrap_or_default();
                format!(
                    "{} tasks are open, the oldest is {} of {} ({}), scheduled {} ago",
                    detail.open.len(),
                    oldest.task_id,
                    oldest.module,
                    oldest.state.as_str(),
                    time::shown(age)
                )
            }
        },
    }
}
