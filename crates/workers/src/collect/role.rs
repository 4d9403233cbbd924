//! The collecting role: runs tasks of the queue side by side, until it is asked to stop.
//!
//! **Invariant:** a task's message is acknowledged after its stream is over, never before.
//! **Invariant:** a task that is let go of, for whatever reason, is delivered again.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use mirage_domain::frontier::OPEN_MAX;
use mirage_log::queue::{Delivery, TaskQueue};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::scans::{LOOK, Scan, Scans};
use super::{Ended, Error, ScanContext, Task};
use crate::node::Node;
use crate::node::tenants::{Tenant, Tenants};

/// A task that could not be run, or a queue that could not be asked, is tried again after this.
const RETRY: Duration = Duration::from_secs(2);
/// A delivery is extended this often in its lease.
const BEATS: u32 = 3;

/// What one collecting process allows itself.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Tasks at a time.
    pub concurrency: usize,
    /// How long running tasks may go on after the process was asked to stop.
    pub grace: Duration,
}

impl Limits {
    /// A place a task.
    fn places(self) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(self.concurrency.max(1)))
    }
}

impl Default for Limits {
    /// As many tasks as one scan has open at most; a grace that fits the half minute of most service managers.
    fn default() -> Self {
        Self {
            concurrency: OPEN_MAX,
            grace: Duration::from_secs(20),
        }
    }
}

/// Runs tasks of these workspaces until `stop` is cancelled; then takes no more, lets the running ones end in the time
/// of grace, and hands the rest back. What goes wrong with one task is logged, and the task delivered again.
///
/// Workspaces take turns at the places: each waits in line for its next one.
pub async fn serve(tenants: Arc<Tenants>, stop: CancellationToken, limits: Limits) {
    let places = limits.places();
    let each = tenants.each(stop, |Tenant { node, queue }, stop| {
        let service = Arc::new(Service::new(node, queue, limits));
        let work = service.run_in(places.clone(), stop);
        async move {
            work.await;
            Ok::<_, Infallible>(())
        }
        .boxed()
    });
    let Ok(()) = each.await;
}

/// See the module's doc.
pub(crate) struct Service {
    node: Arc<Node>,
    queue: Arc<dyn TaskQueue>,
    limits: Limits,
    scans: Scans,
    failures: Option<mpsc::Sender<Error>>,
}

impl Service {
    fn new(node: Arc<Node>, queue: Arc<dyn TaskQueue>, limits: Limits) -> Self {
        Self {
            scans: Scans::new(node.clone()),
            node,
            queue,
            limits,
            failures: None,
        }
    }

    /// For one scan, which is loaded already. The first task that cannot be run is told: further ones say nothing new.
    pub(crate) fn embedded(
        context: ScanContext,
        queue: Arc<dyn TaskQueue>,
    ) -> (Self, mpsc::Receiver<Error>) {
        let (sender, failures) = mpsc::channel(1);
        let limits = Limits {
            grace: Duration::ZERO,
            ..Limits::default()
        };
        let service = Self {
            failures: Some(sender),
            ..Self::new(context.node.clone(), queue, limits)
        };
        service.scans.add(context);
        (service, failures)
    }

    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let places = self.limits.places();
        self.run_in(places, stop).await;
    }

    async fn run_in(self: Arc<Self>, places: Arc<Semaphore>, stop: CancellationToken) {
        let leave = CancellationToken::new();
        let mut running = JoinSet::new();
        while let Some((place, delivery)) = self.next(&places, &stop).await {
            while running.try_join_next().is_some() {}
            let (service, leave) = (self.clone(), leave.child_token());
            running.spawn(async move {
                service.work(delivery, leave).await;
                drop(place);
            });
        }
        let grace = tokio::time::sleep(self.limits.grace);
        tokio::pin!(grace);
        loop {
            tokio::select! {
                ended = running.join_next() => if ended.is_none() {
                    return;
                },
                () = &mut grace, if !leave.is_cancelled() => leave.cancel(),
            }
        }
    }

    /// The next task and a place for it; `None` when it is time to stop.
    async fn next(
        &self,
        places: &Arc<Semaphore>,
        stop: &CancellationToken,
    ) -> Option<(OwnedSemaphorePermit, Delivery)> {
        let next = async {
            let place = places.clone().acquire_owned().await;
            let place = place.expect("never closed");
            loop {
                match self.queue.take().await {
                    Ok(delivery) => return (place, delivery),
                    Err(error) => tracing::warn!(%error, "no task could be taken"),
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        stop.run_until_cancelled(next).await
    }

    async fn work(&self, delivery: Delivery, leave: CancellationToken) {
        let _one = self.node.running.tasks.one();
        let settled = match self.hold(&delivery, leave).await {
            Ok(Ended::Over) => delivery.finish().await,
            Ok(Ended::Left) => delivery.hand_back(Duration::ZERO).await,
            // Whoever has the task has this message too, or a newer one; if not, it comes again when the lease ends.
            Ok(Ended::Lost) => Ok(()),
            Err(error) => {
                self.failed(&delivery, error);
                delivery.hand_back(RETRY).await
            }
        };
        if let Err(error) = settled {
            // Then it is delivered again, and found to be over.
            tracing::debug!(%error, "a delivery could not be settled");
        }
    }

    fn failed(&self, delivery: &Delivery, error: Error) {
        let task = &delivery.ticket.task;
        match &self.failures {
            Some(failures) => drop(failures.try_send(error)),
            None => tracing::error!(task.id = %task, %error, "a task could not be run"),
        }
    }

    /// Runs the task while it extends its lease.
    async fn hold(&self, delivery: &Delivery, leave: CancellationToken) -> Result<Ended, Error> {
        let ticket = &delivery.ticket;
        if ticket.workspace != self.node.workspace {
            return Err(Error::Workspace(ticket.workspace.clone()));
        }
        let scan = self.scans.get(&ticket.scan);
        let Some(placed) = scan.scheduled(ticket).await? else {
            tracing::warn!(task.id = %ticket.task, "no plan knows this task; dropped");
            return Ok(Ended::Over);
        };
        scan.look(ticket.position).await?;
        if scan.has_ended(&ticket.task) {
            return Ok(Ended::Over);
        }
        let task = Task {
            scheduled: placed.scheduled,
            cause: placed.cause,
            trace: placed.trace,
            is_again: ticket.is_again,
            cancel: leave.clone(),
        };
        let context = scan.context().await?;
        context.network.spent_before(ticket.requests_spent);
        let run = AssertUnwindSafe(super::run(context, task)).catch_unwind();
        tokio::pin!(run);
        let mut extend = tokio::time::interval(self.queue.lease() / BEATS);
        let mut look = tokio::time::interval(LOOK);
        extend.tick().await;
        look.tick().await;
        loop {
            tokio::select! {
                biased;
                ended = &mut run => return after(ended, &scan, delivery),
                _ = extend.tick() => if let Err(error) = delivery.extend().await {
                    tracing::warn!(%error, "a lease could not be extended");
                },
                _ = look.tick() => {
                    scan.look(ticket.position).await?;
                    if scan.has_ended(&ticket.task) {
                        leave.cancel();
                    }
                }
            }
        }
    }
}

fn after(
    ended: std::thread::Result<Result<Ended, Error>>,
    scan: &Scan,
    delivery: &Delivery,
) -> Result<Ended, Error> {
    let ended = ended.unwrap_or(Err(Error::Panicked))?;
    // A task that the plan ended needs nobody any more.
    let is_over = ended == Ended::Left && scan.has_ended(&delivery.ticket.task);
    Ok(if is_over { Ended::Over } else { ended })
}
