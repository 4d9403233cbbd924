//! Publishing open tasks, and the sweep that finds those that nobody works on.
//!
//! Whatever happens to the queue, a task that stays silent is published again; one that is still in the queue is not
//! doubled by that. Where the queue itself was lost, what nobody has begun is published at once; one that has stopped
//! delivering is made anew, which is the same.

use std::collections::HashMap;
use std::sync::Arc;

use mirage_domain::id::{Position, ScanId, TaskId};
use mirage_log::queue::{Incarnation, TaskQueue, Ticket};
use tokio::time::Instant;

use crate::node::Node;

/// A task of which nothing was heard for this many leases is published again.
const SILENT_LEASES: u32 = 3;

pub(super) struct Post {
    node: Arc<Node>,
    scan: ScanId,
    queue: Arc<dyn TaskQueue>,
    open: HashMap<TaskId, Sent>,
    /// The queue that tasks were published to.
    incarnation: Option<Incarnation>,
}

struct Sent {
    position: Position,
    /// Somebody may have run it before.
    is_again: bool,
    /// Whether the queue has taken it.
    is_published: bool,
    /// Somebody has begun it.
    is_begun: bool,
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
            incarnation: None,
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
            is_begun: false,
            heard: Instant::now(),
        };
        let fresh = tasks.into_iter();
        if self.incarnation.is_none() {
            self.incarnation = self.queue.incarnation().await.ok();
        }
        self.open
            .extend(fresh.map(|(task, position)| (task, sent(position))));
        self.send(requests_spent).await;
    }

    /// Something was heard of a task.
    pub(super) fn heard(&mut self, task: &TaskId) {
        if let Some(sent) = self.open.get_mut(task) {
            (sent.is_begun, sent.heard) = (true, Instant::now());
        }
    }

    /// The task is over.
    pub(super) fn forget(&mut self, task: &TaskId) {
        self.open.remove(task);
    }

    /// Publishes again what the queue refused or lost, and what has been silent for long.
    pub(super) async fn sweep(&mut self, requests_spent: u64) {
        self.look_for_silence().await;
        self.look_for_loss().await;
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

    /// A task that is silent for a lease is at work, or waits for a worker, or lies in a queue that delivers nothing.
    async fn look_for_silence(&self) {
        let lease = self.queue.lease();
        let mut published = self.open.values().filter(|sent| sent.is_published);
        if !published.any(|sent| sent.heard.elapsed() > lease) {
            return;
        }
        match self.queue.revive().await {
            Ok(true) => tracing::warn!("the queue of tasks delivered nothing; it was made anew"),
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "whether the queue of tasks is well"),
        }
    }

    /// What waited in a queue that is gone waits to be published. What somebody has begun goes on there, or falls silent.
    async fn look_for_loss(&mut self) {
        // A queue that cannot be asked may be well; the next sweep asks again.
        let Ok(now) = self.queue.incarnation().await else {
            return;
        };
        let before = self.incarnation.replace(now);
        if before.is_none_or(|before| before == now) {
            return;
        }
        let lost = self.open.values_mut().filter(|sent| !sent.is_begun);
        lost.for_each(|sent| (sent.is_published, sent.is_again) = (false, true));
        tracing::info!(scan.id = %self.scan, "the queue of tasks was lost; it is filled again");
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
