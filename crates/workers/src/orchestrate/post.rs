//! Publishing open tasks, and the sweep that finds those that nobody works on.
//!
//! Whatever happens to the queue, a task that stays silent is published again; one that is still in the queue is not
//! doubled by that.

use std::collections::HashMap;
use std::sync::Arc;

use mirage_domain::id::{Position, ScanId, TaskId};
use mirage_log::queue::{TaskQueue, Ticket};
use tokio::time::Instant;

use crate::node::Node;

/// A task of which nothing was heard for this many leases is published again.
const SILENT_LEASES: u32 = 3;

pub(super) struct Post {
    node: Arc<Node>,
    scan: ScanId,
    queue: Arc<dyn TaskQueue>,
    open: HashMap<TaskId, Sent>,
}

struct Sent {
    position: Position,
    /// Somebody may have run it before.
    is_again: bool,
    /// Whether the queue has taken it.
    is_published: bool,
    /// When it was published, or something was heard of it.
    heard: Instant,
}

impl Post {
    pub(super) fn new(node: Arc<Node>, scan: ScanId, queue: Arc<dyn TaskQueue>) -> Self {
        Self {
            node,
            scan,
            queue,
            open: HashMap::new(),
        }
    }

    /// Publishes tasks that were scheduled at these positions of the plan.
    pub(super) async fn publish(
        &mut self,
        tasks: Vec<(TaskId, Position)>,
        is_again: bool,
        requests_spent: u64,
    ) {
        let sent = |position| Sent {
            position,
            is_again,
            is_published: false,
            heard: Instant::now(),
        };
        let fresh = tasks.into_iter();
        self.open
            .extend(fresh.map(|(task, position)| (task, sent(position))));
        self.send(requests_spent).await;
    }

    /// Something was heard of a task.
    pub(super) fn heard(&mut self, task: &TaskId) {
        if let Some(sent) = self.open.get_mut(task) {
            sent.heard = Instant::now();
        }
    }

    /// The task is over.
    pub(super) fn forget(&mut self, task: &TaskId) {
        self.open.remove(task);
    }

    /// Publishes again what the queue refused and what has been silent for long.
    pub(super) async fn sweep(&mut self, requests_spent: u64) {
        let patience = self.queue.lease() * SILENT_LEASES;
        for (task, sent) in &mut self.open {
            if sent.is_published && sent.heard.elapsed() > patience {
                tracing::debug!(task.id = %task, "nothing is heard of a task; published again");
                (sent.is_published, sent.is_again) = (false, true);
                sent.heard = Instant::now();
            }
        }
        self.send(requests_spent).await;
    }

    async fn send(&mut self, requests_spent: u64) {
        let unsent = self.open.iter_mut().filter(|(_, sent)| !sent.is_published);
        let publish = unsent.map(|(task, sent)| {
            let ticket = Ticket {
                workspace: self.node.workspace.clone(),
                scan: self.scan.clone(),
                task: task.clone(),
                position: sent.position,
                is_again: sent.is_again,
                requests_spent,
            };
            let queue = self.queue.clone();
            async move {
                let published = queue.publish(&ticket).await;
                sent.is_published = published.is_ok();
                published
            }
        });
        let published = futures::future::join_all(publish).await;
        // One of them is enough to be told: they are tried again with the next sweep.
        if let Some(Err(error)) = published.into_iter().find(Result::is_err) {
            tracing::warn!(scan.id = %self.scan, %error, "tasks wait for the queue");
        }
    }
}
