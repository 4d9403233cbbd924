//! Follows a scan to its end: runs it, folds what the log says, listens to Ctrl-C.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use mirage_api::error::{Exit, Problem};
use mirage_domain::id::{Position, ScanId};
use mirage_log::{Filter, Read};
use mirage_workers::leases::RENEW;
use mirage_workers::node::Node;
use mirage_workers::orchestrate::{self, Ended};
use tokio_util::sync::CancellationToken;

use super::super::Context;
use super::super::tally::Tally;
use super::progress::Progress;
use crate::output::Failure;
use crate::wire;

/// How the following ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// The scan is over.
    Over,
    /// Somebody pressed Ctrl-C; the scan can be resumed.
    Interrupted,
    /// `--timeout` passed; the scan can be resumed.
    TimedOut,
}

impl How {
    /// What to say and how to end when the scan is not over.
    pub(crate) fn unfinished(self, scan: &ScanId) -> Option<Problem> {
        let code = match self {
            Self::Over => return None,
            Self::Interrupted => "interrupted",
            Self::TimedOut => "still_running",
        };
        let problem = Problem::new(
            code,
            format!("scan {scan} has stopped in order; its state is kept"),
        );
        Some(problem.try_this(format!("mirage scans resume {scan}")))
    }
}

/// Runs and follows a scan.
pub(crate) async fn follow(
    context: &Context,
    node: Arc<Node>,
    scan: &ScanId,
) -> Result<(Tally, How), Failure> {
    let leave = CancellationToken::new();
    let run = run(context, node.clone(), scan.clone(), leave.clone());
    let mut run = std::pin::pin!(run);
    let mut log = node.log.read(Position(0), Filter::Scan(scan.clone()));
    let mut progress = Progress::new(context);
    let mut tally = Tally::default();
    let mut stop = std::pin::pin!(asked_to_stop(context.timeout));
    // In a cluster the nodes run it.
    let (mut how, mut is_running) = (How::Over, !context.is_cluster());
    while is_running || (how == How::Over && !tally.is_over()) {
        tokio::select! {
            ended = &mut run, if is_running => {
                is_running = false;
                ended.map_err(wire::of_run)?;
            }
            asked = &mut stop, if how == How::Over => {
                how = asked;
                leave.cancel();
                context.output.say("stopping in order; once more to leave at once");
                tokio::spawn(leave_at_once());
            }
            read = log.next() => match read.transpose()? {
                Some(Read::Commit(recorded)) => {
                    tally.apply(&recorded);
                    progress.found(&recorded);
                }
                Some(Read::CaughtUp(_)) => progress.caught_up(),
                None => return Err(Problem::new("log_unreadable", "the log's reader ended").into()),
            },
            () = progress.due() => progress.draw(&tally),
        }
    }
    progress.end();
    Ok((tally, how))
}

/// Runs the scan to its end. While another process runs it, asks now and then whether that one has fallen silent.
async fn run(
    context: &Context,
    node: Arc<Node>,
    scan: ScanId,
    leave: CancellationToken,
) -> Result<(), orchestrate::Error> {
    let mut is_told = false;
    loop {
        match orchestrate::run(node.clone(), scan.clone(), leave.clone()).await? {
            Ended::Finished(_) | Ended::Left => return Ok(()),
            Ended::Held | Ended::Fenced => {}
        }
        if !is_told {
            let talk = "another process runs this scan; following it";
            context.output.say(talk);
            is_told = true;
        }
        tokio::select! {
            () = leave.cancelled() => return Ok(()),
            () = tokio::time::sleep(RENEW) => {}
        }
    }
}

pub(crate) async fn asked_to_stop(timeout: Option<Duration>) -> How {
    let timed_out = async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => How::Interrupted,
        () = terminated() => How::Interrupted,
        () = timed_out => How::TimedOut,
    }
}

/// A polite request to end, as service managers send it.
#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

/// The second Ctrl-C: what is acknowledged is on disk, so nothing is lost by leaving.
pub(crate) async fn leave_at_once() {
    if tokio::signal::ctrl_c().await.is_ok() {
        std::process::exit(Exit::Interrupted.code().into());
    }
}
