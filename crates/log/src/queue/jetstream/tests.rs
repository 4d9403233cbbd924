//! The contract against a real server, and what only this queue can lose.

use std::time::Duration;

use super::*;
use crate::queue::contract::{self, ticket};

async fn connect(nats: &mirage_servers::Nats) -> Client {
    async_nats::connect(nats.url()).await.unwrap()
}

async fn make(
    lease: Duration,
    messages_max: usize,
) -> Option<(JetStreamQueue, mirage_servers::Nats)> {
    let nats = mirage_servers::nats(1)?;
    let config = Config {
        lease,
        messages_max,
        deaf: Duration::from_millis(300),
        ..Config::new("mirage", ticket(1).workspace)
    };
    let queue = JetStreamQueue::open(connect(&nats).await, config).await;
    Some((queue.unwrap(), nats))
}

crate::queue::contract::suite!(make);

async fn taken(queue: &JetStreamQueue) -> Delivery {
    let taken = tokio::time::timeout(Duration::from_secs(20), queue.take()).await;
    taken.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_was_deleted_is_made_again_by_whoever_uses_it() {
    let Some((queue, _nats)) = make(contract::LONG, contract::ROOM).await else {
        return;
    };
    queue.publish(&ticket(1)).await.unwrap();
    let old = taken(&queue).await;
    queue.delete().await.unwrap();
    queue.publish(&ticket(2)).await.unwrap();
    let new = taken(&queue).await;
    assert_eq!(new.ticket, ticket(2));
    // What the old delivery still says meets no message of the new queue, whatever the server answers.
    drop(old.finish().await);
    new.hand_back(Duration::ZERO).await.unwrap();
    assert_eq!(taken(&queue).await.ticket.task, ticket(2).task);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_was_made_anew_is_another_one_to_all_that_use_it() {
    let Some((one, nats)) = make(contract::LONG, contract::ROOM).await else {
        return;
    };
    let client = connect(&nats).await;
    let two = JetStreamQueue::open(client, one.config.clone())
        .await
        .unwrap();
    let before = one.incarnation().await.unwrap();
    one.publish(&ticket(1)).await.unwrap();
    assert_eq!(one.incarnation().await.unwrap(), before);
    assert_eq!(two.incarnation().await.unwrap(), before);
    one.delete().await.unwrap();
    let after = two.incarnation().await.unwrap();
    assert_ne!(after, before);
    assert_eq!(one.incarnation().await.unwrap(), after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taker_outlives_the_queue_that_it_waits_at() {
    let Some((queue, _nats)) = make(contract::LONG, contract::ROOM).await else {
        return;
    };
    let publish = async {
        queue.delete().await.unwrap();
        queue.publish(&ticket(1)).await.unwrap();
    };
    let (delivery, ()) = tokio::join!(taken(&queue), publish);
    assert_eq!(delivery.ticket, ticket(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_one_queue() {
    let Some((one, nats)) = make(contract::LONG, contract::ROOM).await else {
        return;
    };
    let client = connect(&nats).await;
    let two = JetStreamQueue::open(client, one.config.clone()).await;
    let two = two.unwrap();
    for n in 1..=2 {
        one.publish(&ticket(n)).await.unwrap();
    }
    let (first, second) = (taken(&one).await, taken(&two).await);
    assert_ne!(first.ticket.task, second.ticket.task);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_holds_until_it_gives_back_or_goes_silent() {
    let Some((queue, _nats)) = make(contract::LONG, contract::ROOM).await else {
        return;
    };
    let holders = queue.holders(Duration::from_secs(2)).await.unwrap();
    assert_eq!(holders.take("scn_a", "one").await.unwrap(), Ok(()));
    assert_eq!(holders.take("scn_a", "one").await.unwrap(), Ok(()));
    let refused = holders.take("scn_a", "two").await.unwrap();
    assert_eq!(refused, Err("one".to_owned()));
    holders.release("scn_a", "two").await.unwrap();
    let holder = holders.holder("scn_a").await.unwrap();
    assert_eq!(holder.as_deref(), Some("one"));
    holders.release("scn_a", "one").await.unwrap();
    assert_eq!(holders.holder("scn_a").await.unwrap(), None);
    assert_eq!(holders.take("scn_a", "two").await.unwrap(), Ok(()));
    let until_taken = async {
        while holders.take("scn_a", "one").await.unwrap().is_err() {
            tokio::task::yield_now().await;
        }
    };
    let patience = Duration::from_secs(20);
    tokio::time::timeout(patience, until_taken).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_was_deleted_holds_nothing() {
    let Some((queue, _nats)) = make(contract::LONG, contract::ROOM).await else {
        return;
    };
    let holders = queue.holders(contract::LONG).await.unwrap();
    assert_eq!(holders.take("scn_a", "one").await.unwrap(), Ok(()));
    let deleted = queue.context.delete_key_value("mirage-leases").await;
    deleted.unwrap();
    assert_eq!(holders.take("scn_a", "two").await.unwrap(), Ok(()));
}

/// Looks until the queue was made anew, at most for [`PATIENCE`].
async fn is_made_anew(queue: &JetStreamQueue) -> bool {
    let looks = async {
        while !queue.revive().await.unwrap() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, looks).await.is_ok()
}

/// Far longer than it takes to call a queue of these tests deaf.
const PATIENCE: Duration = Duration::from_secs(3);

async fn pause(queue: &JetStreamQueue) {
    let stream = queue.context.get_stream("mirage-tasks").await.unwrap();
    let until = std::time::SystemTime::now() + Duration::from_secs(600);
    stream
        .pause_consumer("collect-default", until.into())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_delivers_nothing_to_who_asks_is_made_anew() {
    let Some((queue, _nats)) = make(contract::LONG, contract::ROOM).await else {
        return;
    };
    pause(&queue).await;
    queue.publish(&ticket(1)).await.unwrap();
    let before = queue.incarnation().await.unwrap();
    let publish = async {
        assert!(is_made_anew(&queue).await);
        assert_ne!(queue.incarnation().await.unwrap(), before);
        queue.publish(&ticket(1)).await.unwrap();
    };
    let (delivery, ()) = tokio::join!(taken(&queue), publish);
    assert_eq!(delivery.ticket, ticket(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_nobody_asks_or_whose_tasks_are_all_in_hand_stays_as_it_is() {
    let Some((queue, _nats)) = make(contract::LONG, contract::ROOM).await else {
        return;
    };
    queue.publish(&ticket(1)).await.unwrap();
    assert!(!is_made_anew(&queue).await, "nobody asks");
    let held = taken(&queue).await;
    tokio::select! {
        _ = queue.take() => panic!("there was one task"),
        anew = is_made_anew(&queue) => assert!(!anew, "it is in somebody's hands"),
    }
    held.finish().await.unwrap();
}
