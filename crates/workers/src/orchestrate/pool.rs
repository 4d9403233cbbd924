//! The pool: embedded delivery of tasks, refilled from the log at each takeover.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use mirage_domain::id::TaskId;
use mirage_domain::plan::Scheduled;
use mirage_log::commit::Causation;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::collect::{self, Delivery, ScanContext};

pub(super) struct Pool {
    context: Arc<ScanContext>,
    running: JoinSet<()>,
    cancels: HashMap<TaskId, CancellationToken>,
    all: CancellationToken,
    failures: (mpsc::Sender<collect::Error>, mpsc::Receiver<collect::Error>),
}

impl Pool {
    pub(super) fn new(context: Arc<ScanContext>) -> Self {
        let (cancels, all) = (HashMap::new(), CancellationToken::new());
        Self {
            context,
            running: JoinSet::new(),
            cancels,
            all,
            failures: mpsc::channel(1),
        }
    }

    /// Runs a task; the frontier bounds how many are open.
    pub(super) fn deliver(&mut self, scheduled: Scheduled, cause: Causation, is_again: bool) {
        while self.running.try_join_next().is_some() {}
        let cancel = self.all.child_token();
        self.cancels.insert(scheduled.task.clone(), cancel.clone());
        let delivery = Delivery {
            scheduled,
            cause,
            is_again,
            cancel,
        };
        let (context, failures) = (self.context.clone(), self.failures.0.clone());
        self.running.spawn(async move {
            let run = AssertUnwindSafe(collect::run(&context, delivery))
                .catch_unwind()
                .await;
            if let Err(error) = run.unwrap_or(Err(collect::Error::Panicked)) {
                // One failure ends the run; further ones say nothing new.
                let _ = failures.try_send(error);
            }
        });
    }

    /// The first task that could not be written.
    pub(super) async fn failure(&mut self) -> collect::Error {
        self.failures
            .1
            .recv()
            .await
            .expect("the pool itself holds a sender")
    }

    pub(super) fn cancel(&mut self, task: &TaskId) {
        if let Some(cancel) = self.cancels.remove(task) {
            cancel.cancel();
        }
    }

    /// The task is over.
    pub(super) fn forget(&mut self, task: &str) {
        self.cancels.retain(|running, _| running.as_str() != task);
    }

    /// Cancels what runs and waits until it has let go.
    pub(super) async fn stop(&mut self) {
        self.all.cancel();
        while self.running.join_next().await.is_some() {}
    }
}
