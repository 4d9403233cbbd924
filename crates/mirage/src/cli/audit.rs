//! `mirage audit`: who changed what, was refused what, and read what few may read.

use mirage_api::error::{Exit, Problem};
use mirage_projections::PAGE_ROWS_MAX;
use mirage_projections::catalog::{AuditFilter, AuditRow, Page, Reader};

use super::global::AtArgument;
use super::time::At;
use super::{Answer, Context};
use crate::output::{Failure, Field, Listing, Shape, values};

/// List who did what, in the order of the log
///
/// Changes are the log's own commits. Refusals and reads of what few may read are written by the gateway, before it
/// answers. `-o jsonl` and `-o csv` export the records.
///
/// Exit codes: 0 ok, 2 usage, 4 sign-in needed, 6 the log is damaged
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only of this actor, as records name it
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// Only this kind of event, or this family of kinds: scan, workspace.key_issued
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only what was changed, read, or refused
    #[arg(long, value_name = "OUTCOME", value_parser = OUTCOMES)]
    outcome: Option<String>,
    /// Only since this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    #[command(flatten)]
    at: AtArgument,
}

const OUTCOMES: [&str; 3] = ["changed", "read", "refused"];

static LISTING: Listing = Listing {
    key: "position",
    fields: &[
        Field::new("at", Shape::Time),
        Field::more("actor_kind", Shape::Text),
        Field::new("actor", Shape::Text),
        Field::new("outcome", Shape::Text),
        Field::new("kind", Shape::Text),
        Field::new("stream", Shape::Text),
        Field::new("operation", Shape::Text),
        Field::new("code", Shape::Text),
        Field::more("origin", Shape::Text),
        Field::more("subject", Shape::Text),
        Field::new("count", Shape::Number),
        Field::more("trace_id", Shape::Text),
        Field::more("position", Shape::Number),
    ],
};

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    let time = |text: &Option<String>| text.as_deref().map(time).transpose();
    let (since, until) = (time(&arguments.since)?, time(&arguments.until)?);
    if let Some(remote) = context.remote()? {
        let query = vec![
            ("actor", arguments.actor.clone()),
            ("kind", arguments.kind.clone()),
            ("outcome", arguments.outcome.clone()),
            ("since", since.map(|since| since.to_string())),
            ("until", until.map(|until| until.to_string())),
            ("at", arguments.at.sent()?),
        ];
        let (_, at) = remote.list(context, &LISTING, &["audit"], &query).await?;
        context.output.say_as_of(at);
        return Ok(Exit::Done);
    }
    let views = context.views().await?;
    let reader = views.reader(arguments.at.text())?;
    let outcome = arguments.outcome.as_deref();
    let filter = AuditFilter {
        actor: arguments.actor.clone(),
        kind: arguments.kind.clone(),
        outcome: OUTCOMES.into_iter().find(|known| outcome == Some(known)),
        since,
        until,
    };
    let mut rows = context.output.rows(&LISTING)?;
    each(&reader, &filter, |row| {
        let row = serde_json::to_value(row).unwrap_or_default();
        rows.push(values(&LISTING, &row))
    })?;
    rows.end(Some(reader.position().0))?;
    context.output.say_as_of(reader.position());
    Ok(Exit::Done)
}

fn each(
    reader: &Reader<'_>,
    filter: &AuditFilter,
    mut take: impl FnMut(&AuditRow) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut page = Page::first(PAGE_ROWS_MAX);
    loop {
        let listed = reader.audit(filter, &page)?;
        listed.rows.iter().try_for_each(&mut take)?;
        match listed.next {
            Some(next) => page = page.after(next),
            None => return Ok(()),
        }
    }
}

fn time(text: &str) -> Result<jiff::Timestamp, Problem> {
    match At::read(text)? {
        At::Time(time) => Ok(time),
        At::Position(_) => Err(Problem::new("bad_time", format!("`{text}`"))),
    }
}
