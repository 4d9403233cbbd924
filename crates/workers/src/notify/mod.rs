//! The notifying role: tells subscribers what happens, each at its own pace.
//!
//! A deliverer a subscription; which there are is read from the log. Two nodes that deliver for one subscription all
//! the same do no harm for long: its stream of deliveries lets one of them go on, and what both sent has one id.
//!
//! **Invariant:** a receiver that fails or is slow makes no other one wait.

pub mod clock;
mod deliverer;
pub mod signature;
mod webhook;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use mirage_domain::event::Event;
use mirage_domain::id::{Position, StreamId, SubscriptionId};
use mirage_domain::subscription::{Subscription, Subscriptions};
use mirage_domain::{delivery, subscription};
use mirage_log::commit::{Actor, ActorKind};
use mirage_log::execute::{Logged, Store};
use mirage_log::{Filter, Read, ReadError, Recorded, execute};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::leases::{LEASE, RENEW};
use crate::node::Node;
use deliverer::{Deliverer, Hand};
pub use webhook::Webhook;

/// Deliveries that broke off, and a log that could not be read, are tried again after this.
const RETRY: Duration = Duration::from_secs(5);
/// Before a stream whose end lies behind what was told is read again.
const BEHIND: Duration = Duration::from_millis(50);

/// How the work for a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// Another process delivers for it; nothing was done.
    Held,
    /// Another one has taken it over.
    Fenced,
    /// It was asked to.
    Left,
    /// The receiver said that it is gone; the subscription is paused.
    Gone,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("keeping what was delivered")]
    Deliver(#[from] execute::Error<delivery::Error>),
    #[error("pausing a subscription")]
    Pause(#[from] execute::Error<subscription::Error>),
    #[error("the log's reader ended")]
    Ended,
    #[error("a delivery panicked; it is tried again")]
    Panicked,
}

/// Delivers for the subscriptions of the node's workspace until `stop` is cancelled; then ends what it has begun.
///
/// Ends with an error only if the log is damaged or newer than this program.
pub async fn serve(
    node: Arc<Node>,
    webhook: Arc<Webhook>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let mut service = Service {
        node,
        webhook,
        subscriptions: Subscriptions::default(),
        running: JoinSet::new(),
        hands: HashMap::new(),
        not_before: HashMap::new(),
    };
    let watched = loop {
        match service.watch(&stop).await {
            Err(Error::Read(error)) if error.may_retry() => {
                tracing::warn!(%error, "the log could not be read; tried again");
            }
            watched => break watched,
        }
        let wait = tokio::time::sleep(RETRY);
        if stop.run_until_cancelled(wait).await.is_none() {
            break Ok(());
        }
    };
    service.hand_over().await;
    watched
}

struct Service {
    node: Arc<Node>,
    webhook: Arc<Webhook>,
    subscriptions: Subscriptions,
    running: JoinSet<(SubscriptionId, Result<Ended, Error>)>,
    /// Of each that is worked for, and the revision for which.
    hands: HashMap<SubscriptionId, (Hand, u64)>,
    not_before: HashMap<SubscriptionId, Instant>,
}

impl Service {
    async fn watch(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        let node = self.node.clone();
        // What stands before this position is in the fold that is read after it.
        let head = node.log.head().await?.position;
        self.look(Position(0)).await?;
        let mut log = node.log.read(Position(head.0), Filter::All);
        let mut tick = tokio::time::interval(RENEW);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(ended) = self.running.join_next() => {
                    let (id, ended) = ended.expect("a panic is caught, and nobody aborts it");
                    self.ended(id, ended);
                }
                _ = tick.tick() => {}
                read = log.next() => match read.ok_or(Error::Ended)?? {
                    Read::Commit(recorded) => if !self.apply(&recorded).await? {
                        continue;
                    },
                    Read::CaughtUp(_) => continue,
                },
            }
            self.start();
        }
    }

    /// Takes note of a commit; false if it says nothing about who is to be told.
    async fn apply(&mut self, recorded: &Recorded) -> Result<bool, Error> {
        let stream = &recorded.commit.stream;
        if stream.workspace != self.node.workspace {
            return Ok(false);
        }
        match stream.category.as_str() {
            "subscription" => {
                self.look(recorded.position).await?;
                Ok(true)
            }
            "delivery" => {
                let id = SubscriptionId::new(stream.id.as_str()).ok();
                if let Some((hand, _)) = id.and_then(|id| self.hands.get(&id))
                    && recorded
                        .commit
                        .events
                        .iter()
                        .any(|entry| is_news(&entry.event))
                {
                    hand.told(recorded.position);
                }
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// Reads the subscriptions as they were at a position or later, and stops working for those that are not what they
    /// were.
    async fn look(&mut self, at: Position) -> Result<(), Error> {
        let stream = StreamId::subscriptions(&self.node.workspace);
        let subscriptions = &self.node.commands.subscriptions;
        self.subscriptions = since(subscriptions, &stream, at).await?;
        let wanted = &self.subscriptions.all;
        for (id, (hand, revision)) in &self.hands {
            let known = wanted.get(id).filter(|known| known.paused.is_none());
            if known.is_none_or(|known| known.revision != *revision) {
                hand.leave.cancel();
            }
        }
        self.not_before.retain(|id, _| wanted.contains_key(id));
        Ok(())
    }

    /// Begins to work for whoever is to be told and is not yet.
    fn start(&mut self) {
        let now = Instant::now();
        for (id, subscription) in &self.subscriptions.all {
            let is_due = self.not_before.get(id).is_none_or(|at| *at <= now);
            if subscription.paused.is_some() || !is_due || self.hands.contains_key(id) {
                continue;
            }
            let hand = Hand::default();
            let revision = subscription.revision;
            self.hands.insert(id.clone(), (hand.clone(), revision));
            let (node, webhook) = (self.node.clone(), self.webhook.clone());
            let one = (id.clone(), subscription.clone());
            self.running.spawn(async move {
                let id = one.0.clone();
                let run = AssertUnwindSafe(run(node, webhook, one, hand)).catch_unwind();
                (id, run.await.unwrap_or(Err(Error::Panicked)))
            });
        }
    }

    fn ended(&mut self, id: SubscriptionId, ended: Result<Ended, Error>) {
        self.hands.remove(&id);
        let wait = match ended {
            Ok(Ended::Left) => Duration::ZERO,
            Ok(Ended::Held | Ended::Gone) => RENEW,
            Ok(Ended::Fenced) => LEASE,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(subscription.id = %id, error, "deliveries broke off; tried again");
                RETRY
            }
        };
        self.not_before.insert(id, Instant::now() + wait);
    }

    async fn hand_over(&mut self) {
        let hands = self.hands.values();
        hands.for_each(|(hand, _)| hand.leave.cancel());
        while self.running.join_next().await.is_some() {}
    }
}

/// An aggregate as it was at a position of its stream, or later: a replica that is asked may be behind the one that told.
async fn since<A: Logged>(
    store: &Store<A>,
    stream: &StreamId,
    at: Position,
) -> Result<A, ReadError> {
    loop {
        let (state, tip) = store.state(stream).await?;
        if tip.map_or(Position(0), |tip| tip.position) >= at {
            return Ok(state);
        }
        tokio::time::sleep(BEHIND).await;
    }
}

/// Whether it was written by another one than who delivers.
fn is_news(event: &Event) -> bool {
    use delivery::Event::{Claimed, ResendRequested};
    matches!(event, Event::Delivery(Claimed(_) | ResendRequested(_)))
}

/// Works for one subscription while it holds its lease.
async fn run(
    node: Arc<Node>,
    webhook: Arc<Webhook>,
    one: (SubscriptionId, Subscription),
    hand: Hand,
) -> Result<Ended, Error> {
    let id = one.0.clone();
    if !hold(&node, &id).await {
        return Ok(Ended::Held);
    }
    let delivering = Deliverer::new(node.clone(), webhook, one, hand).run();
    let renewing = async {
        loop {
            tokio::time::sleep(RENEW).await;
            // A lease that somebody else took is no reason to stop: only the stream is.
            hold(&node, &id).await;
        }
    };
    let ended = tokio::select! {
        ended = delivering => ended,
        () = renewing => unreachable!("it has no end"),
    };
    if let Err(error) = node.leases.release(id.as_str(), &node.holder).await {
        tracing::warn!(%error, "a lease could not be given back");
    }
    ended
}

/// Takes or renews the lease; one that cannot be written is a hint less.
async fn hold(node: &Node, id: &SubscriptionId) -> bool {
    let taken = node.leases.take(id.as_str(), &node.holder, (node.now)());
    match taken.await {
        Ok(taken) => taken.is_ok(),
        Err(error) => {
            tracing::warn!(%error, "a lease could not be written");
            true
        }
    }
}

/// How it signs its commits.
fn actor() -> Actor {
    Actor {
        kind: ActorKind::Service,
        id: "notify".into(),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
    }
}
