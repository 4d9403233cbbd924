//! `mirage scans rerun`: a fresh scan of the same seeds with the same settings.

use std::sync::Arc;

use mirage_api::error::Problem;
use mirage_domain::event::Event;
use mirage_domain::id::{Digest, Position, ScanId, StreamId};
use mirage_domain::scan::{self, Origin, Requested};
use mirage_workers::node::{Node, ScanRequest};
use mirage_workers::seed;
use mirage_workers::settings::ScanSettings;

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
    let mut request = request(&node, &id).await?;
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
    let (mut first, mut origin) = (id.clone(), requested(node, id).await?.origin);
    while let Origin::Rederivation { of } = origin {
        origin = requested(node, &of).await?.origin;
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

/// The request of a scan, put together again.
pub(crate) async fn request(node: &Node, id: &ScanId) -> Result<ScanRequest, Failure> {
    let requested = requested(node, id).await?;
    let damaged = |what: &str| Problem::new("evidence_damaged", format!("{what} of scan {id}"));
    let list = evidence(node, requested.seeds.list).await?;
    let seeds = list.and_then(|list| seed::decode(&list).ok());
    let settings = evidence(node, requested.settings).await?;
    let settings = settings.and_then(|bytes| ScanSettings::decode(&bytes).ok());
    Ok(ScanRequest {
        name: requested.name.open().cloned().unwrap_or_default(),
        seeds: seeds.ok_or_else(|| damaged("the seed list"))?,
        profile: requested.profile,
        modules: requested.modules,
        scope: requested
            .scope
            .open()
            .cloned()
            .ok_or_else(|| damaged("the scope"))?,
        limits: requested.limits,
        consent: None,
        allow_private: requested.allow_private,
        settings: settings.ok_or_else(|| damaged("the settings"))?,
        origin: Origin::Scan {
            rerun_of: Some(id.clone()),
        },
    })
}

async fn requested(node: &Node, id: &ScanId) -> Result<Requested, Failure> {
    let stream = StreamId::scan(&node.workspace, id);
    let commits = node.log.read_stream(&stream, Position(0)).await?;
    let mut events = commits.iter().flat_map(|recorded| &recorded.commit.events);
    let requested = events.find_map(|entry| match &entry.event {
        Event::Scan(scan::Event::Requested(requested)) => Some(requested.clone()),
        _ => None,
    });
    Ok(requested.ok_or_else(|| Problem::new("no_such_scan", id))?)
}

async fn evidence(node: &Node, digest: Digest) -> Result<Option<Vec<u8>>, Failure> {
    Ok(node.evidence.get(&node.workspace, digest).await?)
}
