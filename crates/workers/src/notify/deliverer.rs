//! One subscription: its events in their order, one at a time, until nobody wants them any more.
//!
//! **Invariant:** the next event goes out after the one before was taken or given up.
//! **Invariant:** what was taken is committed in groups; what was not yet is sent again, under the same id.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use mirage_domain::delivery::{self, Command, Deliveries, Fail, Item};
use mirage_domain::id::{Cursor, Position, StreamId, SubscriptionId};
use mirage_domain::subscription::{self, Subscription};
use mirage_log::execute::{self, Envelope};
use mirage_log::{Filter, Read, ReadError, Recorded};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::webhook::{Refused, Webhook};
use super::{Ended, Error, actor, since};
use crate::node::Node;

/// Outcomes of one commit.
const GROUP_MAX: usize = 100;

/// What a deliverer is told from outside.
#[derive(Debug, Clone, Default)]
pub(super) struct Hand {
    /// Somebody wrote into the stream of the deliveries, last at this position.
    wake: Arc<Notify>,
    written: Arc<AtomicU64>,
    /// It is to stop after what it has begun.
    pub(super) leave: CancellationToken,
}

impl Hand {
    /// Tells that another one wrote at this position of the stream of the deliveries.
    pub(super) fn told(&self, at: Position) {
        self.written.fetch_max(at.0, Relaxed);
        self.wake.notify_one();
    }
}

type Log<'a> = BoxStream<'a, Result<Read, ReadError>>;

/// See the module's doc.
pub(super) struct Deliverer {
    node: Arc<Node>,
    webhook: Arc<Webhook>,
    id: SubscriptionId,
    subscription: Subscription,
    hand: Hand,
    /// Names this taking over, and no other.
    holder: String,
    stream: StreamId,
    state: Deliveries,
    /// Everything that matches was taken or given up, up to here.
    through: Cursor,
    /// Taken and not yet committed.
    done: Vec<Item>,
    /// Of the last commit that was read, what is to be sent.
    pending: VecDeque<(Cursor, Arc<Recorded>)>,
}

impl Deliverer {
    pub(super) fn new(
        node: Arc<Node>,
        webhook: Arc<Webhook>,
        (id, subscription): (SubscriptionId, Subscription),
        hand: Hand,
    ) -> Self {
        Self {
            holder: format!("{} {}", node.holder, Uuid::now_v7()),
            stream: StreamId::delivery(&node.workspace, &id),
            state: Deliveries::default(),
            through: Cursor::after(subscription.after),
            done: Vec::new(),
            pending: VecDeque::new(),
            node,
            webhook,
            id,
            subscription,
            hand,
        }
    }

    /// Takes the deliveries over and goes on where they stand.
    pub(super) async fn run(mut self) -> Result<Ended, Error> {
        let holder = self.holder.clone();
        self.write(Command::Claim { holder }).await?;
        let node = self.node.clone();
        let scan = self.subscription.filter.scan.clone();
        // The commit of the cursor may hold more.
        let after = Position(self.through.position.0.saturating_sub(1));
        let mut log = node.log.read(after, scan.map_or(Filter::All, Filter::Scan));
        loop {
            match self.step(&mut log).await {
                Ok(None) => {}
                Ok(Some(ended)) => return Ok(ended),
                Err(Error::Deliver(execute::Error::Refused(delivery::Error::Fenced))) => {
                    return Ok(Ended::Fenced);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What is next: somebody's wish, the one that failed, or the next one of the log.
    async fn step(&mut self, log: &mut Log<'_>) -> Result<Option<Ended>, Error> {
        if self.hand.leave.is_cancelled() {
            self.commit().await?;
            return Ok(Some(Ended::Left));
        }
        if self.hand.wake.notified().now_or_never().is_some() {
            self.look().await?;
        }
        if self.state.holder.as_deref() != Some(&self.holder) {
            return Ok(Some(Ended::Fenced));
        }
        if let Some(cursor) = self.state.resends.first().copied() {
            return self.again(cursor).await;
        }
        if let Some(cursor) = self.state.open {
            return self.retry(cursor).await;
        }
        match self.pending.pop_front() {
            Some((cursor, _)) if cursor <= self.through => Ok(None),
            Some((cursor, recorded)) => self.send(&recorded, cursor).await,
            None => self.read(log).await,
        }
    }

    /// Tries the open one when its time has come.
    async fn retry(&mut self, cursor: Cursor) -> Result<Option<Ended>, Error> {
        let now = self.webhook.clock.now();
        let next_at = self.state.rows.get(&cursor).and_then(|row| row.next_at);
        match next_at.filter(|next_at| *next_at > now) {
            Some(next_at) => {
                self.wait(next_at).await?;
                Ok(None)
            }
            None => self.again(cursor).await,
        }
    }

    async fn wait(&mut self, next_at: Timestamp) -> Result<(), Error> {
        tokio::select! {
            () = self.hand.leave.cancelled() => Ok(()),
            () = self.webhook.clock.until(next_at) => Ok(()),
            () = self.hand.wake.notified() => self.look().await,
        }
    }

    /// Sends what was sent before, and commits at once what came of it.
    async fn again(&mut self, cursor: Cursor) -> Result<Option<Ended>, Error> {
        self.commit().await?;
        let recorded = self.node.log.commit(cursor.position).await?;
        let ended = self.send(&recorded, cursor).await?;
        self.commit().await?;
        Ok(ended)
    }

    async fn send(&mut self, recorded: &Recorded, cursor: Cursor) -> Result<Option<Ended>, Error> {
        let subscription = (&self.id, &self.subscription);
        let sent = self.webhook.send(subscription, recorded, cursor).await;
        let kind = recorded.entries().find(|(at, _)| *at == cursor);
        let kind = kind.map_or("", |(_, entry)| entry.event.kind()).to_owned();
        match sent {
            Ok(status) => {
                self.done.push(Item {
                    cursor,
                    kind,
                    attempts: self.state.attempts(cursor) + 1,
                    status,
                    at: self.webhook.clock.now(),
                });
                self.through = self.through.max(cursor);
                if self.done.len() >= GROUP_MAX {
                    self.commit().await?;
                }
                Ok(None)
            }
            Err(refused) => self.refused(cursor, kind, refused).await,
        }
    }

    async fn refused(
        &mut self,
        cursor: Cursor,
        kind: String,
        refused: Refused,
    ) -> Result<Option<Ended>, Error> {
        self.commit().await?;
        let is_gone = refused.is_gone();
        let failed = Fail {
            holder: self.holder.clone(),
            cursor,
            kind,
            status: refused.status,
            reason: refused.reason,
            at: self.webhook.clock.now(),
        };
        self.write(Command::Fail(failed)).await?;
        if !is_gone {
            return Ok(None);
        }
        let command = subscription::Command::Gone {
            subscription: self.id.clone(),
            revision: self.subscription.revision,
        };
        let stream = StreamId::subscriptions(&self.node.workspace);
        let subscriptions = &self.node.commands.subscriptions;
        let envelope = self.envelope();
        match subscriptions.execute(&stream, command, envelope).await {
            Ok(_) | Err(execute::Error::Refused(_)) => Ok(Some(Ended::Gone)),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads on. What was taken so far is committed before anything is waited for.
    async fn read(&mut self, log: &mut Log<'_>) -> Result<Option<Ended>, Error> {
        let next = match log.next().now_or_never() {
            Some(next) => next,
            None => {
                self.commit().await?;
                tokio::select! {
                    () = self.hand.leave.cancelled() => return Ok(None),
                    () = self.hand.wake.notified() => {
                        self.look().await?;
                        return Ok(None);
                    }
                    next = log.next() => next,
                }
            }
        };
        match next.ok_or(Error::Ended)?? {
            Read::Commit(recorded) => self.take(&recorded),
            Read::CaughtUp(_) => {}
        }
        Ok(None)
    }

    fn take(&mut self, recorded: &Arc<Recorded>) {
        let commit = &recorded.commit;
        if commit.stream.workspace != self.node.workspace {
            return;
        }
        let module = commit.context.as_ref().map(|context| &context.module);
        for (cursor, entry) in recorded.entries() {
            let kind = entry.event.kind();
            let filter = &self.subscription.filter;
            if cursor > self.through && filter.wants(&commit.stream, module, kind) {
                self.pending.push_back((cursor, recorded.clone()));
            }
        }
    }

    async fn commit(&mut self) -> Result<(), Error> {
        if self.done.is_empty() {
            return Ok(());
        }
        let command = Command::Deliver {
            holder: self.holder.clone(),
            items: std::mem::take(&mut self.done),
        };
        self.write(command).await
    }

    async fn write(&mut self, command: Command) -> Result<(), Error> {
        let deliveries = &self.node.commands.deliveries;
        let envelope = self.envelope();
        deliveries.execute(&self.stream, command, envelope).await?;
        self.look().await
    }

    /// The deliveries as the log has them now.
    async fn look(&mut self) -> Result<(), Error> {
        let deliveries = &self.node.commands.deliveries;
        let at = Position(self.hand.written.load(Relaxed));
        let state = since(deliveries, &self.stream, at).await?;
        self.through = self.through.max(state.through.unwrap_or(self.through));
        self.state = state;
        Ok(())
    }

    fn envelope(&self) -> Envelope {
        Envelope::new(actor(), self.node.now)
    }
}
