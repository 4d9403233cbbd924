//! What people do to a scan: pause, resume, stop, archive, unarchive.

use std::sync::Arc;

use mirage_api::error::Exit;
use mirage_domain::id::{Position, ScanId};
use mirage_domain::scan::{ArchiveScan, Command, PauseScan, ResumeScan, StopScan};
use mirage_workers::node::{Caller, Node};
use reqwest::Method;
use serde_json::{Value, json};

use super::super::global::KeyArgument;
use super::super::{Answer, Context, ids, known, scan};
use super::One;
use crate::output::{Failure, Field, Listing, Shape};
use crate::wire;
use crate::wire::remote::Remote;

/// Go on with a paused or interrupted scan, and follow it
///
/// Exit codes: 0 ok, 3 no such scan, 5 the scan is over, 7 finished with failed modules, 8 still running at --timeout,
/// 130 interrupted
#[derive(Debug, clap::Args)]
pub(super) struct Resume {
    /// The scan: its id, the beginning of it, or @last
    #[arg(add = known::scans(), value_name = "SCAN")]
    scan: String,
    /// Try the inputs again that failed before
    #[arg(long)]
    failed: bool,
    /// Resume it and leave; another process runs it
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    key: KeyArgument,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Pause,
    Stop,
    Archive,
    Unarchive,
}

impl Change {
    fn command(self) -> Command {
        match self {
            Self::Pause => Command::Pause(PauseScan),
            Self::Stop => Command::Stop(StopScan),
            Self::Archive => Command::Archive(ArchiveScan { archived: true }),
            Self::Unarchive => Command::Archive(ArchiveScan { archived: false }),
        }
    }

    /// The same as a server reads it.
    fn body(self) -> Value {
        match self {
            Self::Pause => json!({"state": "paused"}),
            Self::Stop => json!({"state": "stopped"}),
            Self::Archive => json!({"is_archived": true}),
            Self::Unarchive => json!({"is_archived": false}),
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Pause => "paused",
            Self::Stop => "stopping",
            Self::Archive => "archived",
            Self::Unarchive => "shown again",
        }
    }
}

static LISTING: Listing = Listing {
    key: "scan_id",
    fields: &[
        Field::new("scan_id", Shape::Text),
        Field::new("change", Shape::Text),
        Field::new("position", Shape::Number),
    ],
};

pub(super) async fn run(context: &Context, one: &One, change: Change) -> Answer {
    if let Some(remote) = context.remote()? {
        return ask(
            context,
            &remote,
            &one.scan,
            change.body(),
            (change.done(), &one.key),
        )
        .await;
    }
    let id = find(context, &one.scan).await?;
    let node = Arc::new(context.node().await?);
    let caller = one.key.caller(&[change.done(), id.as_str()]);
    let position = give(&node, &id, change.command(), &caller).await?;
    tell(context, &id, change.done(), position)?;
    // A scan that nobody runs would stop only when somebody does.
    let is_left = change == Change::Stop && context.held().await.by(&id).await.is_none();
    match is_left || one.wait {
        true => scan::end(context, node, &id, false).await,
        false => Ok(Exit::Done),
    }
}

pub(super) async fn resume(context: &Context, arguments: &Resume) -> Answer {
    if let Some(remote) = context.remote()? {
        let body = json!({"state": "running", "retry_failed": arguments.failed});
        let told = ("resumed", &arguments.key);
        return ask(context, &remote, &arguments.scan, body, told).await;
    }
    let id = find(context, &arguments.scan).await?;
    let node = Arc::new(context.node().await?);
    let command = Command::Resume(ResumeScan {
        failed: arguments.failed,
    });
    let caller = arguments.key.caller(&["resume", id.as_str()]);
    let position = give(&node, &id, command, &caller).await?;
    if arguments.no_wait {
        tell(context, &id, "resumed", position)?;
        return Ok(Exit::Done);
    }
    scan::end(context, node, &id, false).await
}

/// The same over a server, whose nodes run the scan.
async fn ask(
    context: &Context,
    remote: &Remote,
    scan: &str,
    body: Value,
    (done, key): (&str, &KeyArgument),
) -> Answer {
    // A person at a terminal means the scan as it is, whatever happened since they looked.
    let path = ["scans", scan];
    let changed = remote
        .change(Method::PATCH, &path, Some(body), key.text(), Some("*"))
        .await?;
    let id = changed["scan_id"].clone();
    let values = vec![id, done.into(), changed["position"].clone()];
    context.output.thing(&LISTING, values)?;
    Ok(Exit::Done)
}

async fn find(context: &Context, text: &str) -> Result<ScanId, Failure> {
    let views = context.views().await?;
    ids::scan(&views.reader(None)?, text)
}

async fn give(
    node: &Node,
    id: &ScanId,
    command: Command,
    caller: &Caller,
) -> Result<Position, Failure> {
    Ok(node
        .commands
        .command(id, command, caller)
        .await
        .map_err(wire::of_command)?)
}

fn tell(context: &Context, id: &ScanId, done: &str, position: Position) -> Result<(), Failure> {
    let values = vec![id.to_string().into(), done.into(), position.0.into()];
    context.output.thing(&LISTING, values)
}
