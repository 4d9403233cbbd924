//! `mirage scans rerun`: a fresh scan of the same seeds with the same settings.

use std::sync::Arc;

use mirage_api::error::Problem;
use mirage_domain::id::ScanId;
use mirage_domain::scan::Origin;
use mirage_workers::node::Node;

use super::super::global::KeyArgument;
use super::super::scan::{consent, end, started};
use super::super::{Answer, Context, ids, known};
use crate::output::Failure;
use crate::wire;

/// Start a scan anew: same seeds, same settings
///
/// Exit codes: 0 ok, 2 no consent, or a rederivation, 3 no such scan, 6 its seeds or settings are damaged, 7 finished with failed modules,
/// 8 still running at --timeout, 130 interrupted
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The scan: its id, the beginning of it, or @last
    #[arg(add = known::scans(), value_name = "SCAN")]
    scan: String,
    /// Start it and leave; another process runs it
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    key: KeyArgument,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    let views = context.views().await?;
    let id = ids::scan(&views.reader(None)?, &arguments.scan)?;
    let node = Arc::new(context.node_with_room().await?);
    must_ask_the_world(&node, &id).await?;
    let request = node.commands.request_of(&id).await;
    let mut request = request.map_err(wire::of_command)?;
    request.consent = consent::obtain(context, request.profile)?;
    let caller = arguments.key.caller(&["rerun", id.as_str()]);
    let (fresh, position) = node
        .commands
        .start(request, &caller)
        .await
        .map_err(wire::of_command)?;
    context
        .output
        .say(format_args!("scan {fresh} started at position {position}"));
    match arguments.no_wait {
        true => started(context, &fresh, position.0),
        false => end(context, node, &fresh, false).await,
    }
}

/// Only a scan of the world may find something else when it is run again, and only it has the limits for that.
async fn must_ask_the_world(node: &Node, id: &ScanId) -> Result<(), Failure> {
    let (mut first, mut origin) = (id.clone(), origin(node, id).await?);
    while let Origin::Rederivation { of } = origin {
        origin = self::origin(node, &of).await?;
        first = of;
    }
    let (why, hint) = match origin {
        Origin::Scan { .. } if first == *id => return Ok(()),
        Origin::Scan { .. } => (
            format!("{id} derived {first} anew and sent nothing"),
            format!("mirage rederive {first}, or mirage scans rerun {first}"),
        ),
        Origin::Import { .. } | Origin::Rederivation { .. } => (
            format!("{first} read a file that does not change"),
            format!("mirage rederive {first} reads it by today's importer"),
        ),
    };
    Err(Problem::new("usage", why).try_this(hint).into())
}

async fn origin(node: &Node, id: &ScanId) -> Result<Origin, Failure> {
    let requested = node.commands.requested(id).await;
    Ok(requested.map_err(wire::of_command)?.origin)
}
