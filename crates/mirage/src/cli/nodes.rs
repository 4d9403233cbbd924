//! `mirage nodes`: which nodes of the cluster live, what each does, and how busy it is.

use std::time::Duration;

use mirage_api::error::{Exit, Problem};
use mirage_log::jetstream::NodeInfo;
use serde_json::Value;

use super::{Answer, Context};
use crate::output::{Field, Listing, Shape};

/// Answers are waited for this long; a second of silence ends it earlier.
const WAIT: Duration = Duration::from_secs(5);

/// Ask which nodes of a cluster live, and what they do
///
/// Every `mirage serve` over the same log on servers answers for itself: its roles, the tasks and scans that it runs, and how
/// far its views are behind. A node that does not answer is not listed.
///
/// Exit codes: 0 ok, also if none lives, 2 usage or a log without servers, 9 a server cannot be reached
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

static LISTING: Listing = Listing {
    key: "node",
    fields: &[
        Field::new("node", Shape::Text),
        Field::new("roles", Shape::Text),
        Field::new("version", Shape::Text),
        Field::new("tasks", Shape::Number),
        Field::new("tasks_max", Shape::Number),
        Field::new("scans", Shape::Number),
        Field::new("lag", Shape::Number),
        Field::new("listen", Shape::Text),
        Field::new("started_at", Shape::Time),
        Field::more("scans_max", Shape::Number),
        Field::more("workspace", Shape::Text),
        Field::more("holder", Shape::Text),
    ],
};

pub(crate) async fn run(context: &Context, _: &Arguments) -> Answer {
    let Some(log) = context.jetstream().await else {
        let detail = "the log lies in the data directory, where every process is a node of its own";
        let problem = Problem::new("usage", detail);
        return Err(problem
            .try_this("name the servers of a cluster: log.servers")
            .into());
    };
    let nodes = log?.nodes(WAIT).await?;
    let mut rows = context.output.rows(&LISTING)?;
    for node in nodes {
        rows.push(row(node))?;
    }
    rows.end(None)?;
    Ok(Exit::Done)
}

/// A node that could not say how busy it is has no numbers.
fn row(node: NodeInfo) -> Vec<Value> {
    let NodeInfo { id, said, load } = node;
    vec![
        id.into(),
        said.roles.into(),
        said.version.into(),
        load.map(|load| load.tasks).into(),
        load.map(|load| load.tasks_max).into(),
        load.map(|load| load.scans).into(),
        load.and_then(|load| load.lag).into(),
        said.listen.into(),
        said.started_at.to_string().into(),
        load.map(|load| load.scans_max).into(),
        said.workspace.into(),
        said.holder.into(),
    ]
}
