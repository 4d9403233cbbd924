//! `mirage entities`: what was found, once each, or one thing with all that is said about it.

use mirage_api::error::Exit;
use mirage_projections::PAGE_ROWS_MAX;
use mirage_projections::catalog::{EntityFilter, Page, Reader};
use serde_json::Value;

use super::findings::listed;
use super::global::AtArgument;
use super::ids::{self, LAST};
use super::{Answer, Context, known};
use crate::output::{Failure, Field, Form, Listing, Shape, values};
use crate::wire::remote::{Remote, as_of};

/// List entities, or show one with its claims and relations
///
/// Exit codes: 0 ok, 2 usage, 3 no such entity or scan, 6 the log is damaged
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// One entity: KIND:KEY, or the beginning of its id
    #[arg(value_name = "ENTITY")]
    entity: Option<String>,
    /// Those of this scan [default: the latest]
    #[arg(long, add = known::scans(), value_name = "SCAN", conflicts_with = "all")]
    scan: Option<String>,
    /// Those of every scan
    #[arg(long)]
    all: bool,
    /// Only these kinds
    #[arg(long, add = known::kinds(), value_name = "KIND", value_delimiter = ',')]
    kind: Vec<String>,
    /// Only what is in scope
    #[arg(long)]
    in_scope: bool,
    /// Only what that scan had not met
    #[arg(long, add = known::scans(), value_name = "SCAN")]
    new_since: Option<String>,
    #[command(flatten)]
    at: AtArgument,
}

static LISTING: Listing = Listing {
    key: "key",
    fields: &[
        Field::new("entity_id", Shape::Text),
        Field::new("kind", Shape::Text),
        Field::new("key", Shape::Text),
        Field::new("in_scope", Shape::Text),
        Field::new("findings", Shape::Number),
        Field::new("first_seen", Shape::Time),
        Field::new("last_seen", Shape::Time),
        Field::more("position", Shape::Number),
    ],
};

static DETAIL: Listing = Listing {
    key: "key",
    fields: &[
        Field::new("entity_id", Shape::Text),
        Field::new("kind", Shape::Text),
        Field::new("key", Shape::Text),
        Field::new("in_scope", Shape::Text),
        Field::new("findings", Shape::Number),
        Field::new("first_seen", Shape::Time),
        Field::new("last_seen", Shape::Time),
        Field::new("scans", Shape::Text),
        Field::more("position", Shape::Number),
        Field::more("relations", Shape::Text),
        Field::more("claims", Shape::Text),
    ],
};

static RELATIONS: Listing = Listing {
    key: "key",
    fields: &[
        Field::new("direction", Shape::Text),
        Field::new("relation", Shape::Text),
        Field::new("kind", Shape::Text),
        Field::new("key", Shape::Text),
        Field::new("findings", Shape::Number),
    ],
};

static CLAIMS: Listing = Listing {
    key: "finding_id",
    fields: &[
        Field::new("finding_id", Shape::Text),
        Field::new("module", Shape::Text),
        Field::new("confidence", Shape::Number),
        Field::new("observed_at", Shape::Time),
        Field::new("attributes", Shape::Text),
    ],
};

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    let kinds: Result<Vec<_>, _> = arguments.kind.iter().map(|kind| ids::kind(kind)).collect();
    let kinds = kinds?;
    if let Some(remote) = context.remote()? {
        return ask(context, &remote, arguments).await;
    }
    let views = context.views().await?;
    let reader = views.reader(arguments.at.text())?;
    if let Some(text) = &arguments.entity {
        let found = ids::entity(context, &views, &reader, text).await?;
        show(context, &serde_json::to_value(&found).unwrap_or_default())?;
        context.output.say_as_of(reader.position());
        return Ok(Exit::Done);
    }
    let scan = match arguments.all {
        true => None,
        false => Some(ids::scan(
            &reader,
            arguments.scan.as_deref().unwrap_or(LAST),
        )?),
    };
    let new_since = arguments
        .new_since
        .as_deref()
        .map(|scan| ids::scan(&reader, scan));
    let filter = EntityFilter {
        scan,
        kinds,
        in_scope: arguments.in_scope.then_some(true),
        new_since: new_since.transpose()?,
    };
    list(context, &reader, &filter)?;
    Ok(Exit::Done)
}

/// The same over a server.
async fn ask(context: &Context, remote: &Remote, arguments: &Arguments) -> Answer {
    let at = ("at", arguments.at.sent()?);
    if let Some(entity) = &arguments.entity {
        let found = remote.get(&["entities", entity], &vec![at]).await?;
        show(context, &found)?;
        context.output.say_as_of(as_of(&found));
        return Ok(Exit::Done);
    }
    let scan = arguments.scan.as_deref().unwrap_or(LAST).to_owned();
    let query = vec![
        ("scan", (!arguments.all).then_some(scan)),
        ("kind", listed(&arguments.kind)),
        ("in_scope", arguments.in_scope.then(|| "true".to_owned())),
        ("new_since", arguments.new_since.clone()),
        at,
    ];
    let (_, at) = remote
        .list(context, &LISTING, &["entities"], &query)
        .await?;
    context.output.say_as_of(at);
    Ok(Exit::Done)
}

fn list(context: &Context, reader: &Reader<'_>, filter: &EntityFilter) -> Result<(), Failure> {
    let mut rows = context.output.rows(&LISTING)?;
    let mut page = Page::first(PAGE_ROWS_MAX);
    loop {
        let listed = reader.entities(filter, &page)?;
        for entity in &listed.rows {
            rows.push(values(&LISTING, entity))?;
        }
        match listed.next {
            Some(next) => page = page.after(next),
            None => break,
        }
    }
    rows.end(Some(reader.position().0))?;
    context.output.say_as_of(reader.position());
    Ok(())
}

/// One entity; a table shows its relations and claims below.
fn show(context: &Context, found: &Value) -> Result<(), Failure> {
    context.output.thing(&DETAIL, values(&DETAIL, found))?;
    if context.output.form != Form::Table || !context.output.fields.is_empty() {
        return Ok(());
    }
    let mut rows = context.output.rows(&RELATIONS)?;
    for edge in found["relations"].as_array().into_iter().flatten() {
        rows.push(values(&RELATIONS, edge))?;
    }
    rows.end(None)?;
    let mut rows = context.output.rows(&CLAIMS)?;
    for claim in found["claims"].as_array().into_iter().flatten() {
        rows.push(values(&CLAIMS, claim))?;
    }
    rows.end(None)?;
    Ok(())
}
