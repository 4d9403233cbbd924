//! The suite that every queue of tasks passes.
//!
//! `queue::contract::suite!(make)`: `make(lease, messages_max)` answers a future of a fresh, empty queue and whatever must
//! live as long, or `None` where its server is not to be had.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mirage_domain::id::{Position, ScanId, TaskId, WorkspaceId};

use super::{Delivery, Error, TaskQueue, Ticket};

/// A lease that no rule outlives.
pub const LONG: Duration = Duration::from_secs(30);
/// A lease that some rules wait for.
pub const SHORT: Duration = Duration::from_millis(400);
/// Room enough for every rule but that of the bound.
pub const ROOM: usize = 64;
/// After this, what should have come will not come.
const PATIENCE: Duration = Duration::from_secs(10);
/// Nothing may come meanwhile; longer than a short lease.
const SILENCE: Duration = Duration::from_millis(1200);

/// The `n`-th task of a made-up scan.
pub fn ticket(n: u64) -> Ticket {
    let workspace = WorkspaceId::new("default").expect("an id");
    let scan = ScanId::derive(&workspace, "tester", "key");
    Ticket {
        task: TaskId::derive(&scan, n),
        position: Position(n),
        is_again: false,
        requests_spent: 0,
        workspace,
        scan,
    }
}

async fn taken(queue: &impl TaskQueue) -> Delivery {
    let taken = tokio::time::timeout(PATIENCE, queue.take()).await;
    taken.expect("a task comes").expect("the queue answers")
}

async fn assert_silent(queue: &impl TaskQueue) {
    let taken = tokio::time::timeout(SILENCE, queue.take()).await;
    let ticket = taken
        .ok()
        .map(|taken| taken.expect("the queue answers").ticket);
    assert_eq!(ticket, None, "nothing was to come");
}

/// What was published is delivered, with all that it says.
pub async fn what_is_published_is_delivered(queue: Arc<impl TaskQueue>) {
    let published: Vec<Ticket> = (1..=20).map(ticket).collect();
    for ticket in &published {
        queue.publish(ticket).await.expect("published");
    }
    let mut delivered = BTreeSet::new();
    for _ in &published {
        let delivery = taken(&*queue).await;
        assert!(published.contains(&delivery.ticket));
        delivered.insert(delivery.ticket.position);
        delivery.finish().await.expect("finished");
    }
    assert_eq!(delivered.len(), published.len());
}

/// A taker that was there before the task gets it.
pub async fn a_waiting_taker_gets_what_is_published_later(queue: Arc<impl TaskQueue + 'static>) {
    let other = queue.clone();
    let taking = tokio::spawn(async move { taken(&*other).await.ticket });
    tokio::task::yield_now().await;
    queue.publish(&ticket(1)).await.expect("published");
    assert_eq!(taking.await.expect("no panic"), ticket(1));
}

/// Two takers never hold one task together.
pub async fn each_task_is_in_one_pair_of_hands(queue: Arc<impl TaskQueue>) {
    queue.publish(&ticket(1)).await.expect("published");
    let held = taken(&*queue).await;
    assert_silent(&*queue).await;
    held.finish().await.expect("finished");
}

/// A worker that dies keeps its task no longer than its lease.
pub async fn a_lease_that_ends_gives_another_delivery(queue: Arc<impl TaskQueue>) {
    queue.publish(&ticket(1)).await.expect("published");
    let first = taken(&*queue).await;
    assert!(!first.ticket.is_again);
    let second = taken(&*queue).await;
    assert!(second.ticket.is_again);
    assert_eq!(second.ticket.task, first.ticket.task);
    second.finish().await.expect("finished");
    drop(first);
    assert_silent(&*queue).await;
}

/// A worker that says that it works keeps its task.
pub async fn an_extended_lease_does_not_end(queue: Arc<impl TaskQueue>) {
    queue.publish(&ticket(1)).await.expect("published");
    let held = taken(&*queue).await;
    let (started, mut beat) = (Instant::now(), tokio::time::interval(SHORT / 4));
    while started.elapsed() < SHORT * 4 {
        tokio::select! {
            _ = queue.take() => panic!("the task is in somebody's hands"),
            _ = beat.tick() => held.extend().await.expect("extended"),
        }
    }
    held.finish().await.expect("finished");
    assert_silent(&*queue).await;
}

/// What is over does not come again.
pub async fn a_finished_task_never_comes_again(queue: Arc<impl TaskQueue>) {
    queue.publish(&ticket(1)).await.expect("published");
    taken(&*queue).await.finish().await.expect("finished");
    assert_silent(&*queue).await;
}

/// A worker that leaves gives its task to the next one at once, and it knows that it is not the first.
pub async fn a_task_that_is_handed_back_comes_again(queue: Arc<impl TaskQueue>) {
    queue.publish(&ticket(1)).await.expect("published");
    let held = taken(&*queue).await;
    held.hand_back(Duration::ZERO).await.expect("handed back");
    let again = taken(&*queue).await;
    assert!(again.ticket.is_again);
    let (handed_back, delay) = (Instant::now(), SILENCE);
    again.hand_back(delay).await.expect("handed back");
    let last = taken(&*queue).await;
    assert!(handed_back.elapsed() >= delay);
    last.finish().await.expect("finished");
}

/// Publishing again changes nothing, whether the task waits or is in somebody's hands.
pub async fn a_task_that_is_published_twice_comes_once(queue: Arc<impl TaskQueue>) {
    let again = Ticket {
        is_again: true,
        ..ticket(1)
    };
    for ticket in [ticket(1), ticket(1), again.clone()] {
        queue.publish(&ticket).await.expect("published");
    }
    let held = taken(&*queue).await;
    queue.publish(&again).await.expect("published");
    assert_silent(&*queue).await;
    held.finish().await.expect("finished");
    assert_silent(&*queue).await;
}

/// A task whose message is gone can be published anew.
pub async fn a_finished_task_can_be_published_again_after_a_lease(queue: Arc<impl TaskQueue>) {
    queue.publish(&ticket(1)).await.expect("published");
    taken(&*queue).await.finish().await.expect("finished");
    // Within a lease it may be taken for a late repetition of the first.
    assert_silent(&*queue).await;
    queue.publish(&ticket(1)).await.expect("published");
    taken(&*queue).await.finish().await.expect("finished");
}

/// Beyond its bound a queue refuses instead of growing.
pub async fn a_full_queue_says_so_until_there_is_room(queue: Arc<impl TaskQueue>) {
    for n in 1..=ROOM as u64 {
        queue.publish(&ticket(n)).await.expect("published");
    }
    let more = ticket(ROOM as u64 + 1);
    let refused = queue.publish(&more).await;
    assert!(matches!(refused, Err(Error::Full)), "{refused:?}");
    taken(&*queue).await.finish().await.expect("finished");
    queue.publish(&more).await.expect("published");
}

/// Instantiates every rule of the contract for one backend.
#[macro_export]
macro_rules! queue_suite {
    ($make:path) => {
        $crate::queue_suite!($make, LONG,
            what_is_published_is_delivered,
            a_waiting_taker_gets_what_is_published_later,
            each_task_is_in_one_pair_of_hands,
            a_finished_task_never_comes_again,
            a_task_that_is_handed_back_comes_again,
            a_task_that_is_published_twice_comes_once,
            a_full_queue_says_so_until_there_is_room,
        );
        $crate::queue_suite!($make, SHORT,
            a_lease_that_ends_gives_another_delivery,
            an_extended_lease_does_not_end,
            a_finished_task_can_be_published_again_after_a_lease,
        );
    };
    ($make:path, $lease:ident, $($rule:ident),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $rule() {
            use $crate::queue::contract;
            let Some((queue, _keep)) = $make(contract::$lease, contract::ROOM).await else {
                return;
            };
            contract::$rule(std::sync::Arc::new(queue)).await;
        })+
    };
}
pub use crate::queue_suite as suite;
