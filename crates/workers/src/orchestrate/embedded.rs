//! One scan in one process: an orchestrator and a collector over a queue of their own.

use std::sync::Arc;

use mirage_domain::id::ScanId;
use mirage_log::queue::in_process::InProcess;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Ended, Error, Orchestrator, give_back, hold};
use crate::collect::{self, Service, context};
use crate::node::Node;

/// Runs a scan until it is over, another process takes it, or `leave` is cancelled.
pub async fn run(node: Arc<Node>, scan: ScanId, leave: CancellationToken) -> Result<Ended, Error> {
    let context = context::load(node.clone(), &scan).await?;
    if !hold(&node, &scan).await? {
        return Ok(Ended::Held);
    }
    let queue = Arc::new(InProcess::default());
    let (service, mut failures) = Service::embedded(context, queue.clone());
    let stop = CancellationToken::new();
    let mut collecting = JoinSet::new();
    collecting.spawn(Arc::new(service).run(stop.clone()));
    let ended = orchestrate(&node, &scan, queue, leave, &mut failures).await;
    stop.cancel();
    while collecting.join_next().await.is_some() {}
    give_back(&node, &scan).await;
    ended
}

/// Orchestrates until the end, or until a task cannot be run: nobody else would fare better with it.
async fn orchestrate(
    node: &Arc<Node>,
    scan: &ScanId,
    queue: Arc<InProcess>,
    leave: CancellationToken,
    failures: &mut tokio::sync::mpsc::Receiver<collect::Error>,
) -> Result<Ended, Error> {
    let leave = leave.child_token();
    let mut orchestrator = Orchestrator::open(node.clone(), scan.clone(), queue).await?;
    let run = orchestrator.follow(leave.clone());
    tokio::pin!(run);
    let mut failure = None;
    let ended = loop {
        tokio::select! {
            ended = &mut run => break ended,
            failed = failures.recv(), if failure.is_none() => {
                failure = failed;
                leave.cancel();
            }
        }
    };
    match (ended, failure) {
        (Ok(Ended::Left), Some(failure)) => Err(failure.into()),
        (ended, _) => ended,
    }
}
