//! The orchestrator: takes a scan's plan over and schedules what is due until the scan is over.
//!
//! It folds the scan's commits into a frontier and writes each decision into the plan before anything else follows.
//! **Invariant:** every plan commit is expected at the plan's tip: a stale orchestrator conflicts and stops.
//! **Never:** a call into a worker: tasks are delivered after their plan commit, and their outcomes are read from the log.

mod context;
mod plan;
mod pool;

use std::sync::Arc;

use futures::StreamExt;
use mirage_domain::frontier::{Decision, Frontier};
use mirage_domain::id::{Position, ScanId, StreamId};
use mirage_domain::scan::{self, FinishScan, Outcome, State};
use mirage_domain::{event::Event, task};
use mirage_log::commit::{Actor, ActorKind, CommandKey, Entry};
use mirage_log::{AppendError, Filter, Read, ReadError, Recorded, execute};
use tokio_util::sync::CancellationToken;

use crate::collect::{self, ScanContext};
use crate::leases::RENEW;
use crate::node::Node;
use plan::{Plan, Planned};
use pool::Pool;

/// How a run of the orchestrator ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The scan is over.
    Finished(Outcome),
    /// Another orchestrator has taken the plan over.
    Fenced,
    /// Another process holds the scan's lease; nothing was done.
    Held,
    /// This process was asked to leave; the scan can be resumed.
    Left,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no scan {0}")]
    Absent(ScanId),
    #[error("{what} of the scan is missing or damaged")]
    Evidence { what: &'static str },
    #[error("the scan's scope is erased or not readable")]
    Scope,
    #[error("the scan's proxy cannot be used")]
    Proxy(#[source] crate::probe::proxy::UnfitProxy),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Append(AppendError),
    #[error(transparent)]
    Encode(#[from] mirage_log::commit::EncodeError),
    #[error(transparent)]
    Collect(#[from] collect::Error),
    #[error(transparent)]
    Store(#[from] mirage_log::evidence::Error),
    #[error(transparent)]
    Finish(#[from] execute::Error<scan::Error>),
    #[error("reading the lease")]
    Lease(#[from] rusqlite::Error),
    #[error("the log's reader ended")]
    Ended,
}

/// Runs a scan until it is over, another process takes it, or `leave` is cancelled.
pub async fn run(node: Arc<Node>, scan: ScanId, leave: CancellationToken) -> Result<Ended, Error> {
    let context = Arc::new(context::load(node.clone(), &scan).await?);
    if node
        .leases
        .take(&scan, &node.holder, (node.now)())?
        .is_err()
    {
        return Ok(Ended::Held);
    }
    let mut orchestrator = Orchestrator::new(context);
    let ended = orchestrator.follow(leave).await;
    orchestrator.pool.stop().await;
    if let Err(error) = node.leases.release(&scan, &node.holder) {
        tracing::warn!(%error, "the lease could not be given back");
    }
    ended
}

struct Orchestrator {
    context: Arc<ScanContext>,
    frontier: Frontier,
    plan: Plan,
    pool: Pool,
    is_claimed: bool,
    /// Somebody else wrote into the plan after this orchestrator had claimed it.
    is_fenced: bool,
}

impl Orchestrator {
    fn new(context: Arc<ScanContext>) -> Self {
        let manifests = context
            .modules
            .iter()
            .map(|(collector, _)| collector.manifest());
        let frontier = Frontier::new(context.scan.clone(), manifests);
        let plan = Plan::new(context.clone());
        let pool = Pool::new(context.clone());
        Self {
            context,
            frontier,
            plan,
            pool,
            is_claimed: false,
            is_fenced: false,
        }
    }

    async fn follow(&mut self, leave: CancellationToken) -> Result<Ended, Error> {
        let context = self.context.clone();
        let node = &context.node;
        let mut log = node
            .log
            .read(Position(0), Filter::Scan(context.scan.clone()));
        let mut renew = tokio::time::interval(RENEW);
        loop {
            tokio::select! {
                biased;
                () = leave.cancelled() => return Ok(Ended::Left),
                read = log.next() => match read.ok_or(Error::Ended)?? {
                    Read::Commit(commit) => self.apply(&commit),
                    Read::CaughtUp(_) => {
                        if let Some(ended) = self.take_over().await? {
                            return Ok(ended);
                        }
                    }
                },
                failed = self.pool.failure() => return Err(failed.into()),
                _ = renew.tick(), if self.is_claimed => {
                    // A lease that somebody else took is no reason to stop: only the plan's stream is.
                    // Nor is a lease that cannot be written: it is a hint.
                    if let Err(error) = node.leases.take(&context.scan, &node.holder, (node.now)()) {
                        tracing::warn!(%error, "the lease could not be renewed");
                    }
                }
            }
            if !self.is_claimed {
                continue;
            }
            // What else stands ready is applied before anything is decided.
            while let Some(Some(read)) = futures::FutureExt::now_or_never(log.next()) {
                if let Read::Commit(commit) = read? {
                    self.apply(&commit);
                }
            }
            if self.is_fenced {
                return Ok(Ended::Fenced);
            }
            if let Some(ended) = self.decide().await? {
                return Ok(ended);
            }
        }
    }

    fn apply(&mut self, recorded: &Arc<Recorded>) {
        let stream = &recorded.commit.stream;
        if stream.category.as_str() == "plan" {
            if !self.plan.is_news(recorded) {
                return;
            }
            self.is_fenced |= self.is_claimed;
        }
        for (cursor, Entry { event, at }) in recorded.entries() {
            self.frontier.apply(stream, event, cursor, *at);
            match event {
                Event::Task(task::Event::Found(finding)) => self.plan.remember(cursor, finding),
                Event::Task(event) if event.is_terminal() => {
                    self.pool.forget(stream.id.as_str());
                    self.plan.forget(stream.id.as_str());
                }
                _ => {}
            }
        }
    }

    /// Claims the plan and delivers what an earlier orchestrator left open.
    async fn take_over(&mut self) -> Result<Option<Ended>, Error> {
        if self.frontier.is_plan_finished() {
            return self.finish().await.map(Some);
        }
        let claimed = mirage_domain::plan::Claimed {
            holder: self.context.node.holder.clone(),
        };
        if !self.append(vec![claimed.into()]).await? {
            return Ok(Some(Ended::Fenced));
        }
        self.is_claimed = true;
        self.context
            .network
            .spent_before(self.frontier.totals().requests);
        // What was open before is delivered again; what takes its place is delivered as new.
        let left: Vec<_> = self
            .frontier
            .open()
            .map(|open| open.scheduled.clone())
            .collect();
        let decided = self.frontier.recover();
        if !self.carry_out(decided).await? {
            return Ok(Some(Ended::Fenced));
        }
        for scheduled in left {
            let is_open = self
                .frontier
                .open()
                .any(|open| open.scheduled.task == scheduled.task);
            if let Some(cause) = self.plan.cause(&scheduled.task).filter(|_| is_open) {
                self.pool.deliver(scheduled, cause, true);
            }
        }
        Ok(None)
    }

    async fn decide(&mut self) -> Result<Option<Ended>, Error> {
        loop {
            let decided = self.frontier.decide((self.context.node.now)());
            if decided.is_empty() {
                return Ok(None);
            }
            if !self.carry_out(decided).await? {
                return Ok(Some(Ended::Fenced));
            }
            if self.frontier.is_plan_finished() {
                return self.finish().await.map(Some);
            }
        }
    }

    /// Writes decisions into the plan, then lets follow what follows from them; false if fenced.
    async fn carry_out(&mut self, decided: Vec<Decision>) -> Result<bool, Error> {
        let mut events = Vec::new();
        let mut after = Vec::new();
        for decision in decided {
            let Planned {
                events: planned,
                effect,
                is_cut,
            } = self.plan.resolve(decision).await?;
            events.extend(planned);
            after.extend(effect);
            // A batch that was cut moves what follows: the rest is decided anew.
            if is_cut {
                break;
            }
        }
        if !self.append(events).await? {
            return Ok(false);
        }
        for effect in after {
            self.effect(effect).await?;
        }
        Ok(true)
    }

    async fn append(&mut self, events: Vec<mirage_domain::plan::Event>) -> Result<bool, Error> {
        for commit in self.plan.pack(events) {
            let Some(recorded) = self.plan.append(commit).await? else {
                return Ok(false);
            };
            let stream = StreamId::plan(&self.context.node.workspace, &self.context.scan);
            for (cursor, event) in recorded {
                self.frontier
                    .apply(&stream, &event.into(), cursor, (self.context.node.now)());
            }
        }
        Ok(true)
    }

    async fn effect(&mut self, effect: plan::Effect) -> Result<(), Error> {
        match effect {
            plan::Effect::Deliver(scheduled) => {
                if let Some(cause) = self.plan.cause(&scheduled.task) {
                    self.pool.deliver(scheduled, cause, false);
                }
            }
            plan::Effect::End(tasks, event) => {
                for task in &tasks {
                    self.pool.cancel(task);
                }
                for task in &tasks {
                    self.plan.end(task, event.clone()).await?;
                }
            }
        }
        Ok(())
    }

    /// `scan.finished` follows from `plan.finished`, keyed by that commit.
    async fn finish(&mut self) -> Result<Ended, Error> {
        let outcome = self.frontier.outcome();
        let ScanContext { node, scan, .. } = &*self.context;
        if self.frontier.state() == State::Finished {
            return Ok(Ended::Finished(outcome));
        }
        let command = scan::Command::Finish(FinishScan {
            outcome,
            totals: self.frontier.totals(),
        });
        let key = self.plan.last_commit().to_string();
        let digest = node.key.mac(key.as_bytes());
        let envelope = execute::Envelope {
            command: Some(CommandKey { key, digest }),
            correlation: Some(scan.to_string()),
            ..execute::Envelope::new(actor(), node.now)
        };
        node.scans
            .execute(&StreamId::scan(&node.workspace, scan), command, envelope)
            .await?;
        Ok(Ended::Finished(outcome))
    }
}

/// How the orchestrator signs its commits.
fn actor() -> Actor {
    let version = Some(env!("CARGO_PKG_VERSION").to_owned());
    Actor {
        kind: ActorKind::Service,
        id: "orchestrate".into(),
        version,
    }
}
