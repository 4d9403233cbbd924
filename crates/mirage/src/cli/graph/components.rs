//! `mirage graph components`: which entities of a scan hang together.

use mirage_api::error::Exit;
use mirage_projections::Projection as _;
use mirage_projections::graph::{COMPONENTS_MAX, Component, Components, Graph, NODES_MAX};
use serde_json::Value;

use super::written;
use crate::cli::global::AtArgument;
use crate::cli::ids::{self, LAST};
use crate::cli::{Answer, Context, known};
use crate::output::{Field, Listing, Shape};

/// Which entities of a scan hang together, the largest component first
///
/// Exit codes: 0 ok, 2 usage, 3 no such scan, 6 the log is damaged
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The scan: its id, the beginning of it, or @last (the default)
    #[arg(add = known::scans(), value_name = "SCAN")]
    scan: Option<String>,
    #[command(flatten)]
    at: AtArgument,
}

static LISTING: Listing = Listing {
    key: "first",
    fields: &[
        Field::new("size", Shape::Number),
        Field::more("first", Shape::Text),
        Field::new("members", Shape::Text),
    ],
};

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    let views = context.views().await?;
    let catalog = views.reader(arguments.at.text())?;
    let scan = ids::scan(&catalog, arguments.scan.as_deref().unwrap_or(LAST))?;
    let db = views.db(Graph::NAME).await?;
    let graph = super::as_of(&db, &catalog, &arguments.at)?;
    let components = graph.components(&scan)?;
    let mut rows = context.output.rows(&LISTING)?;
    for component in &components.components {
        rows.push(row(component))?;
    }
    rows.end(Some(components.at.0))?;
    tell(context, &components);
    context.output.say_as_of(components.at);
    Ok(Exit::Done)
}

fn row(component: &Component) -> Vec<Value> {
    let members: Vec<Value> = component
        .members
        .iter()
        .map(written)
        .map(Value::from)
        .collect();
    let first = members.first().cloned().unwrap_or_default();
    vec![component.size.into(), first, members.into()]
}

fn tell(context: &Context, components: &Components) {
    if components.count > COMPONENTS_MAX as u64 {
        context.output.say(format_args!(
            "the largest {COMPONENTS_MAX} of {} components",
            components.count
        ));
    }
    if !components.is_whole {
        context.output.say(format_args!(
            "the scan has more than {NODES_MAX} entities; these are the components of so many of them"
        ));
    }
}
