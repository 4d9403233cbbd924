//! The scans whose tasks a collector runs: each loaded once, its plan looked at now and then.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mirage_domain::event::Event;
use mirage_domain::id::{Position, ScanId, StreamId, TaskId};
use mirage_domain::plan::{self, Scheduled};
use mirage_log::Recorded;
use mirage_log::commit::Causation;
use mirage_log::queue::Ticket;
use mirage_log::trace::Trace;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::{Error, LoadError, ScanContext, context};
use crate::node::Node;

/// Scans that are kept loaded although none of their tasks runs.
const IDLE_MAX: usize = 16;
/// Commits of a plan that are kept: tasks of one commit come together.
const COMMITS_MAX: usize = 8;
/// How often the plan of a scan is looked at for tasks that it ended.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// A task as the plan has it.
pub(super) struct Placed {
    pub(super) scheduled: Scheduled,
    /// The event that says it.
    pub(super) cause: Causation,
    pub(super) trace: Trace,
}

/// See the module's doc.
pub(super) struct Scans {
    node: Arc<Node>,
    known: Mutex<HashMap<ScanId, Arc<Scan>>>,
}

impl Scans {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self {
            node,
            known: Mutex::default(),
        }
    }

    /// Takes a scan that is loaded already.
    pub(super) fn add(&self, context: ScanContext) {
        let id = context.scan.clone();
        let scan = Scan::new(self.node.clone(), id.clone(), OnceCell::from(context));
        self.known().insert(id, Arc::new(scan));
    }

    pub(super) fn get(&self, id: &ScanId) -> Arc<Scan> {
        let mut known = self.known();
        if let Some(scan) = known.get(id) {
            return scan.clone();
        }
        known.retain(|_, scan| Arc::strong_count(scan) > 1 || !scan.is_finished());
        if known.len() >= IDLE_MAX {
            known.retain(|_, scan| Arc::strong_count(scan) > 1);
        }
        let scan = Arc::new(Scan::new(self.node.clone(), id.clone(), OnceCell::new()));
        known.insert(id.clone(), scan.clone());
        scan
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ScanId, Arc<Scan>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A scan as a collector sees it.
pub(super) struct Scan {
    node: Arc<Node>,
    id: ScanId,
    plan: StreamId,
    context: OnceCell<ScanContext>,
    /// Locked while one is read: the tasks of one commit start together, and one reading does for all.
    commits: tokio::sync::Mutex<VecDeque<Arc<Recorded>>>,
    news: tokio::sync::Mutex<News>,
    ended: Mutex<EndedTasks>,
}

/// How far the plan was looked at.
#[derive(Default)]
struct News {
    after: Option<Position>,
    looked: Option<Instant>,
}

#[derive(Default)]
struct EndedTasks {
    tasks: HashSet<TaskId>,
    is_finished: bool,
}

impl Scan {
    fn new(node: Arc<Node>, id: ScanId, context: OnceCell<ScanContext>) -> Self {
        Self {
            plan: StreamId::plan(&node.workspace, &id),
            node,
            id,
            context,
            commits: tokio::sync::Mutex::default(),
            news: tokio::sync::Mutex::default(),
            ended: Mutex::default(),
        }
    }

    /// What the scan's tasks share, loaded at the first of them.
    pub(super) async fn context(&self) -> Result<&ScanContext, LoadError> {
        let load = || context::load(self.node.clone(), &self.id);
        self.context.get_or_try_init(load).await
    }

    /// What the plan says about a ticket's task; `None` if it says nothing.
    pub(super) async fn scheduled(&self, ticket: &Ticket) -> Result<Option<Placed>, Error> {
        let recorded = self.commit(ticket.position).await?;
        if recorded.commit.stream != self.plan {
            return Ok(None);
        }
        let mut events = recorded.commit.events.iter().zip(1..);
        Ok(events.find_map(|(entry, index)| match &entry.event {
            Event::Plan(plan::Event::Scheduled(scheduled)) if scheduled.task == ticket.task => {
                let commit = recorded.commit.id;
                let sent = recorded.commit.traceparent.as_deref();
                let sent: Option<Trace> = sent.and_then(|sent| sent.parse().ok());
                Some(Placed {
                    scheduled: scheduled.clone(),
                    cause: Causation { commit, index },
                    trace: sent.map_or_else(Trace::begin, |sent| sent.child()),
                })
            }
            _ => None,
        }))
    }

    async fn commit(&self, at: Position) -> Result<Arc<Recorded>, Error> {
        let mut commits = self.commits.lock().await;
        if let Some(kept) = commits.iter().find(|kept| kept.position == at) {
            return Ok(kept.clone());
        }
        let recorded = self.node.log.commit(at).await?;
        if commits.len() >= COMMITS_MAX {
            commits.pop_front();
        }
        commits.push_back(recorded.clone());
        Ok(recorded)
    }

    /// Whether the plan has ended the task, as far as is known.
    pub(super) fn has_ended(&self, task: &TaskId) -> bool {
        let ended = self.ended();
        ended.is_finished || ended.tasks.contains(task)
    }

    fn is_finished(&self) -> bool {
        self.ended().is_finished
    }

    fn ended(&self) -> MutexGuard<'_, EndedTasks> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is new in the plan, once in a while; `since` is where the first look begins.
    pub(super) async fn look(&self, since: Position) -> Result<(), Error> {
        // Somebody else is looking.
        let Ok(mut news) = self.news.try_lock() else {
            return Ok(());
        };
        if news.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return Ok(());
        }
        news.looked = Some(Instant::now());
        let after = news.after.unwrap_or(since);
        let commits = self.node.log.read_stream(&self.plan, after).await?;
        news.after = Some(commits.last().map_or(after, |last| last.position));
        let mut ended = self.ended();
        for entry in commits.iter().flat_map(|recorded| &recorded.commit.events) {
            match &entry.event {
                Event::Plan(plan::Event::Revoked(revoked)) => {
                    ended.tasks.extend(revoked.tasks.iter().cloned());
                }
                Event::Plan(plan::Event::Split(split)) => {
                    ended.tasks.insert(split.task.clone());
                }
                Event::Plan(plan::Event::GaveUp(gave_up)) => {
                    ended.tasks.insert(gave_up.task.clone());
                }
                Event::Plan(plan::Event::Finished(_)) => ended.is_finished = true,
                _ => {}
            }
        }
        Ok(())
    }
}
