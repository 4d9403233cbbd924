//! The orchestrating role: runs the scans that are to run and that nobody holds, some at a time.
//!
//! It learns from the log what is to run, and from the leases what is in good hands. Two that run one scan all the same
//! do no harm: the plan's stream lets one of them go on.
//!
//! **Invariant:** of the workspaces that wait for a place, the one that has the fewest comes next.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use mirage_domain::event::Event;
use mirage_domain::id::{Position, ScanId, WorkspaceId};
use mirage_domain::scan;
use mirage_log::{EventLog, Filter, Read, Recorded};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Ended, Error, Orchestrator, give_back, hold};
use crate::leases::{LEASE, RENEW};
use crate::node::tenants::{Tenant, Tenants};

/// Scans that one process runs at a time, unless its configuration says otherwise; each keeps its frontier in memory.
pub const SCANS_MAX: usize = 16;
/// A scan that could not be run, and a log that could not be read, is tried again after this.
const RETRY: Duration = Duration::from_secs(15);

/// Runs scans of these workspaces until `stop` is cancelled; then hands over what it runs. Up to `scans_max` at a time,
/// a workspace's oldest first.
///
/// Ends with an error only if the log is damaged or newer than this program. It reads the whole log once at its start.
pub async fn serve(
    log: Arc<dyn EventLog>,
    tenants: Arc<Tenants>,
    stop: CancellationToken,
    scans_max: usize,
) -> Result<(), Error> {
    let mut service = Service {
        log,
        tenants,
        scans_max: scans_max.max(1),
        position: Position(0),
        wanted: Vec::new(),
        running: JoinSet::new(),
        places: HashMap::new(),
    };
    let watched = loop {
        match service.watch(&stop).await {
            Err(Error::Read(error)) if error.may_retry() => {
                tracing::warn!(%error, "the log could not be read; tried again");
            }
            watched => break watched,
        }
        if stop
            .run_until_cancelled(tokio::time::sleep(RETRY))
            .await
            .is_none()
        {
            break Ok(());
        }
    };
    service.hand_over().await;
    watched
}

struct Service {
    log: Arc<dyn EventLog>,
    tenants: Arc<Tenants>,
    scans_max: usize,
    /// Read up to here.
    position: Position,
    /// Scans that are not over, oldest first.
    wanted: Vec<Wanted>,
    running: JoinSet<(ScanId, Result<Ended, Error>)>,
    /// The workspace of each running scan, and how to make it leave.
    places: HashMap<ScanId, (WorkspaceId, CancellationToken)>,
}

struct Wanted {
    workspace: WorkspaceId,
    scan: ScanId,
    /// Nothing is to be scheduled: it needs nobody.
    is_paused: bool,
    not_before: Instant,
}

impl Service {
    async fn watch(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        let log = self.log.clone();
        let mut log = log.read(self.position, Filter::All);
        let mut tick = tokio::time::interval(RENEW);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut is_live = false;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(ended) = self.running.join_next() => {
                    let (scan, ended) = ended.expect("a panic is caught, and nobody aborts it");
                    self.ended(scan, ended);
                }
                _ = tick.tick() => {}
                read = log.next() => match read.ok_or(Error::Ended)?? {
                    // What changes nothing here starts nothing.
                    Read::Commit(recorded) => if !self.apply(&recorded) {
                        continue;
                    },
                    Read::CaughtUp(_) => is_live = true,
                },
            }
            if is_live {
                self.start();
            }
        }
    }

    /// Takes note of a commit; false if it says nothing about which scans are to run.
    fn apply(&mut self, recorded: &Recorded) -> bool {
        self.position = recorded.position;
        let stream = &recorded.commit.stream;
        let Some(scan) = stream.scan.as_ref() else {
            return false;
        };
        if stream.category.as_str() != "scan" {
            return false;
        }
        for entry in &recorded.commit.events {
            if let Event::Scan(event) = &entry.event {
                self.apply_event(&stream.workspace, scan, event);
            }
        }
        true
    }

    fn apply_event(&mut self, workspace: &WorkspaceId, scan: &ScanId, event: &scan::Event) {
        let is_paused = match event {
            scan::Event::Started(_) => {
                self.wanted.push(Wanted {
                    workspace: workspace.clone(),
                    scan: scan.clone(),
                    is_paused: false,
                    not_before: Instant::now(),
                });
                return;
            }
            scan::Event::Finished(_) => {
                self.wanted.retain(|wanted| wanted.scan != *scan);
                return;
            }
            scan::Event::Paused(_) => true,
            scan::Event::Resumed(_) | scan::Event::StopRequested(_) => false,
            scan::Event::Requested(_) | scan::Event::Archived(_) | scan::Event::Unarchived(_) => {
                return;
            }
        };
        // A paused scan would keep a place that another one could use.
        if is_paused && let Some((_, leave)) = self.places.get(scan) {
            leave.cancel();
        }
        let known = self.wanted.iter_mut().find(|wanted| wanted.scan == *scan);
        if let Some(wanted) = known {
            wanted.is_paused = is_paused;
        }
    }

    /// Starts what is to run, as far as there is room.
    fn start(&mut self) {
        while self.places.len() < self.scans_max {
            let Some((workspace, scan)) = self.next() else {
                return;
            };
            let leave = CancellationToken::new();
            let place = (workspace.clone(), leave.clone());
            self.places.insert(scan.clone(), place);
            let tenants = self.tenants.clone();
            self.running.spawn(async move {
                let run = run(&tenants, &workspace, scan.clone(), leave);
                let run = AssertUnwindSafe(run).catch_unwind().await;
                (scan, run.unwrap_or(Err(Error::Panicked)))
            });
        }
    }

    /// The oldest scan that is due of the workspace that has the fewest places.
    fn next(&self) -> Option<(WorkspaceId, ScanId)> {
        let now = Instant::now();
        let is_due = |wanted: &&Wanted| {
            !wanted.is_paused && wanted.not_before <= now && !self.places.contains_key(&wanted.scan)
        };
        let due = self.wanted.iter().filter(is_due);
        let next = due.min_by_key(|wanted| {
            let places = self.places.values();
            places.filter(|place| place.0 == wanted.workspace).count()
        })?;
        Some((next.workspace.clone(), next.scan.clone()))
    }

    fn ended(&mut self, scan: ScanId, ended: Result<Ended, Error>) {
        self.places.remove(&scan);
        let wait = match ended {
            Ok(Ended::Finished(_)) => {
                self.wanted.retain(|wanted| wanted.scan != scan);
                return;
            }
            Ok(Ended::Left) => Duration::ZERO,
            Ok(Ended::Held) => RENEW,
            Ok(Ended::Fenced) => LEASE,
            Err(error) => {
                tracing::error!(scan.id = %scan, %error, "a scan could not be run; tried again");
                RETRY
            }
        };
        let known = self.wanted.iter_mut().find(|wanted| wanted.scan == scan);
        if let Some(wanted) = known {
            wanted.not_before = Instant::now() + wait;
        }
    }

    async fn hand_over(&mut self) {
        self.places.values().for_each(|(_, leave)| leave.cancel());
        while self.running.join_next().await.is_some() {}
    }
}

/// Runs one scan whose tasks others collect.
async fn run(
    tenants: &Tenants,
    workspace: &WorkspaceId,
    scan: ScanId,
    leave: CancellationToken,
) -> Result<Ended, Error> {
    let Some(Tenant { node, queue }) = tenants.get(workspace).await? else {
        return Ok(Ended::Held);
    };
    if !hold(&node, &scan).await? {
        return Ok(Ended::Held);
    }
    let _one = node.running.scans.one();
    let ended = match Orchestrator::open(node.clone(), scan.clone(), queue).await {
        Ok(mut orchestrator) => orchestrator.follow(leave).await,
        Err(error) => Err(error),
    };
    give_back(&node, &scan).await;
    ended
}
