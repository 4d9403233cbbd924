//! The orchestrator: takes a scan's plan over and schedules what is due until the scan is over.
//!
//! It folds the scan's commits into a frontier and writes each decision into the plan before anything else follows.
//! [`run`] runs one scan in one process, its tasks included; [`serve`] is the role of a process whose tasks others collect.
//! **Invariant:** every plan commit is expected at the plan's tip: a stale orchestrator conflicts and stops.
//! **Never:** a call into a worker: tasks are published after their plan commit, and their outcomes are read from the log.

mod embedded;
mod plan;
mod post;
mod role;

use std::sync::Arc;

use futures::StreamExt;
use mirage_domain::frontier::{ATTEMPTS_MAX, Decision, Frontier, OpenTask};
use mirage_domain::id::{Position, ScanId, StreamId, TaskId};
use mirage_domain::scan::{self, FinishScan, Outcome, State};
use mirage_domain::{event::Event, task};
use mirage_log::commit::{Actor, ActorKind, CommandKey, Entry};
use mirage_log::queue::TaskQueue;
use mirage_log::trace::{TARGET, Trace};
use mirage_log::{AppendError, Filter, Read, ReadError, Recorded, execute};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::collect::{self, LoadError, context};
use crate::leases::{self, RENEW};
use crate::node::Node;
use crate::node::tenants::TenantError;
pub use embedded::run;
use plan::{Plan, Planned};
use post::Post;
pub use role::{SCANS_MAX, serve};

/// Attempts of a batch beyond this that were claimed while the plan was in one hand: then it is split.
const BATCH_ATTEMPTS_MAX: u32 = 2;

/// How a run of the orchestrator ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The scan is over.
    Finished(Outcome),
    /// Another orchestrator has taken the plan over.
    Fenced,
    /// Another process holds the scan's lease, or alone has the key of its workspace; nothing was done.
    Held,
    /// This process was asked to leave; the scan can be resumed.
    Left,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Append(AppendError),
    #[error(transparent)]
    Encode(#[from] mirage_log::commit::EncodeError),
    #[error(transparent)]
    Collect(#[from] collect::Error),
    #[error(transparent)]
    Finish(#[from] execute::Error<scan::Error>),
    #[error(transparent)]
    Lease(#[from] leases::Error),
    #[error(transparent)]
    Tenant(#[from] TenantError),
    #[error("the log's reader ended")]
    Ended,
    #[error("an orchestrator panicked; its scan can be taken over")]
    Panicked,
}

/// Takes the scan's lease; false if another process holds it.
async fn hold(node: &Node, scan: &ScanId) -> Result<bool, Error> {
    let taken = node
        .leases
        .take(scan.as_str(), &node.holder, (node.now)())
        .await?;
    Ok(taken.is_ok())
}

async fn give_back(node: &Node, scan: &ScanId) {
    if let Err(error) = node.leases.release(scan.as_str(), &node.holder).await {
        tracing::warn!(%error, "the lease could not be given back");
    }
}

struct Orchestrator {
    node: Arc<Node>,
    scan: ScanId,
    frontier: Frontier,
    plan: Plan,
    trace: Trace,
    post: Post,
    is_claimed: bool,
    /// Somebody else wrote into the plan after this orchestrator had claimed it.
    is_fenced: bool,
}

impl Orchestrator {
    async fn open(node: Arc<Node>, scan: ScanId, queue: Arc<dyn TaskQueue>) -> Result<Self, Error> {
        let (request, trace) = context::traced_request(&node, &scan).await?;
        let modules = context::modules(&request);
        let manifests = modules.map(|collector| collector.manifest());
        Ok(Self {
            frontier: Frontier::new(scan.clone(), manifests),
            plan: Plan::new(node.clone(), &scan, trace),
            trace,
            post: Post::new(node.clone(), scan.clone(), queue),
            node,
            scan,
            is_claimed: false,
            is_fenced: false,
        })
    }

    async fn follow(&mut self, leave: CancellationToken) -> Result<Ended, Error> {
        let span = self.span();
        let ended = self.follow_in_span(leave).instrument(span.clone()).await;
        match &ended {
            Ok(ended) => span.record("scan.ended", tracing::field::debug(ended)),
            Err(_) => span.record("otel.status", "error"),
        };
        ended
    }

    /// What a scan in one hand is within its trace.
    fn span(&self) -> Span {
        let trace = &self.trace;
        tracing::error_span!(
            target: TARGET,
            "scan",
            trace_id = trace.id(),
            span_id = trace.span(),
            parent_id = trace.parent(),
            is_sampled = trace.is_sampled(),
            otel.kind = "consumer",
            otel.status = Empty,
            scan.id = %self.scan,
            scan.ended = Empty,
        )
    }

    async fn follow_in_span(&mut self, leave: CancellationToken) -> Result<Ended, Error> {
        let node = self.node.clone();
        let scan = Filter::Scan(self.scan.clone());
        let mut log = node.log.read(Position(0), scan);
        let mut renew = tokio::time::interval(RENEW);
        loop {
            tokio::select! {
                biased;
                () = leave.cancelled() => return Ok(Ended::Left),
                _ = renew.tick(), if self.is_claimed => {
                    if !self.keep().await? {
                        return Ok(Ended::Fenced);
                    }
                }
                read = log.next() => match read.ok_or(Error::Ended)?? {
                    Read::Commit(commit) => self.apply(&commit),
                    Read::CaughtUp(_) => {
                        if let Some(ended) = self.take_over().await? {
                            return Ok(ended);
                        }
                    }
                },
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
            let Event::Task(event) = event else {
                continue;
            };
            if let task::Event::Found(finding) = event {
                self.plan.remember(cursor, finding);
            }
            if let Ok(task) = TaskId::new(stream.id.as_str()) {
                self.note(&task, event.is_terminal());
            }
        }
    }

    fn note(&mut self, task: &TaskId, is_over: bool) {
        match is_over {
            true => {
                self.post.forget(task);
                self.plan.forget(task);
            }
            false => self.post.heard(task),
        }
    }

    /// What is due once in a while: the lease, tasks that nobody works on, tasks that nobody survives; false if fenced.
    async fn keep(&mut self) -> Result<bool, Error> {
        // A lease that somebody else took is no reason to stop: only the plan's stream is.
        // Nor is a lease that cannot be written: it is a hint.
        if let Err(error) = hold(&self.node, &self.scan).await {
            tracing::warn!(%error, "the lease could not be renewed");
        }
        self.post.sweep(self.frontier.totals().requests).await;
        let is_deadly = |open: &OpenTask| match open.scheduled.inputs.len() {
            0 | 1 => open.attempt > ATTEMPTS_MAX,
            _ => open.attempt > BATCH_ATTEMPTS_MAX,
        };
        if !self.frontier.open().any(is_deadly) {
            return Ok(true);
        }
        let decided = self.frontier.recover();
        self.carry_out(decided).await
    }

    /// Claims the plan and delivers what an earlier orchestrator left open.
    async fn take_over(&mut self) -> Result<Option<Ended>, Error> {
        if self.frontier.is_plan_finished() {
            return self.finish().await.map(Some);
        }
        let claimed = mirage_domain::plan::Claimed {
            holder: self.node.holder.clone(),
        };
        if !self.append(vec![claimed.into()]).await? {
            return Ok(Some(Ended::Fenced));
        }
        self.is_claimed = true;
        // What was open before is published again; what takes its place is published as new.
        let left: Vec<TaskId> = self
            .frontier
            .open()
            .map(|open| open.scheduled.task.clone())
            .collect();
        let decided = self.frontier.recover();
        if !self.carry_out(decided).await? {
            return Ok(Some(Ended::Fenced));
        }
        self.publish(left, true).await;
        Ok(None)
    }

    /// Publishes those tasks that are open.
    async fn publish(&mut self, tasks: Vec<TaskId>, is_again: bool) {
        let place = |task: TaskId| {
            let position = self.plan.position(&task)?;
            Some((task, position))
        };
        let open = tasks.into_iter().filter_map(place).collect();
        let spent = self.frontier.totals().requests;
        self.post.publish(open, is_again, spent).await;
    }

    async fn decide(&mut self) -> Result<Option<Ended>, Error> {
        loop {
            let decided = self.frontier.decide((self.node.now)());
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
        self.follow_up(after).await?;
        Ok(true)
    }

    async fn append(&mut self, events: Vec<mirage_domain::plan::Event>) -> Result<bool, Error> {
        for commit in self.plan.pack(events) {
            let Some(recorded) = self.plan.append(commit).await? else {
                return Ok(false);
            };
            let stream = StreamId::plan(&self.node.workspace, &self.scan);
            for (cursor, event) in recorded {
                self.frontier
                    .apply(&stream, &event.into(), cursor, (self.node.now)());
            }
        }
        Ok(true)
    }

    async fn follow_up(&mut self, effects: Vec<plan::Effect>) -> Result<(), Error> {
        let mut fresh = Vec::new();
        for effect in effects {
            match effect {
                plan::Effect::Deliver(task) => fresh.push(task),
                plan::Effect::End(tasks, event) => {
                    for task in &tasks {
                        self.post.forget(task);
                        self.plan.end(task, event.clone()).await?;
                    }
                }
            }
        }
        self.publish(fresh, false).await;
        Ok(())
    }

    /// `scan.finished` follows from `plan.finished`, keyed by that commit.
    async fn finish(&mut self) -> Result<Ended, Error> {
        let outcome = self.frontier.outcome();
        let Self { node, scan, .. } = &*self;
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
            traceparent: Some(self.trace.to_string()),
            ..execute::Envelope::new(actor(), node.now)
        };
        node.commands
            .scans
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
