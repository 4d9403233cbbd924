//! The live end of the log: one small consumer for all readers of a process, which tells positions.
//!
//! **Invariant:** there is a consumer only while there are readers, and it is deleted by its name.
//! **Never:** a consumer per reader, or one whose loss is seen: it is made anew at the position that is known.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use futures::StreamExt;
use mirage_domain::id::Position;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::ask::{Asker, Cause};

/// Silence after which the consumer is taken for lost.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// The leader is asked after so long without a message: a consumer lives on beside a copy of the log that stands still.
const LOOK: Duration = Duration::from_secs(5);
/// After which the server deletes a consumer whose process was killed.
const ABANDONED: Duration = Duration::from_secs(60);
/// How long a new leader may know less than its predecessor said.
const SETTLING: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(250);
/// Positions that are asked for at once.
const BATCH: usize = 1000;

/// What is known of the log's end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) head: Position,
    /// The log ends here, before what was seen: it was cut.
    pub(super) cut: Option<Position>,
}

/// See the module's doc.
pub(super) struct Live {
    seen: watch::Sender<Seen>,
    watcher: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            seen: watch::channel(Seen::default()).0,
            watcher: Arc::default(),
        }
    }
}

impl Live {
    pub(super) fn subscribe(&self) -> watch::Receiver<Seen> {
        self.seen.subscribe()
    }

    pub(super) fn tell(&self, head: Position) {
        tell(&self.seen, head);
    }

    /// Sees to it that somebody watches, as long as somebody is subscribed.
    pub(super) fn watch(&self, asker: &Asker) {
        let mut watcher = self.watcher.lock().expect("no holder panics");
        if watcher.is_none() {
            let (seen, place) = (self.seen.clone(), self.watcher.clone());
            *watcher = Some(tokio::spawn(watch(asker.clone(), seen, place)));
        }
    }

    /// Waits until the watcher, if there is one, has gone.
    #[cfg(test)]
    pub(super) async fn gone(&self) {
        let watcher = self.watcher.lock().unwrap().take();
        if let Some(watcher) = watcher {
            watcher.await.unwrap();
        }
    }
}

fn tell(seen: &watch::Sender<Seen>, head: Position) {
    seen.send_if_modified(|seen| {
        let is_news = head > seen.head;
        seen.head = seen.head.max(head);
        is_news
    });
}

type Place = Arc<Mutex<Option<JoinHandle<()>>>>;

/// Follows the log's end until it was cut, or nobody reads any more.
async fn watch(asker: Asker, seen: watch::Sender<Seen>, place: Place) {
    loop {
        let caught_up = tokio::select! {
            () = seen.closed() => Ok(None),
            caught_up = catch_up(&asker, &seen) => caught_up,
        };
        let followed = match caught_up {
            Ok(Some(cut)) => {
                seen.send_modify(|seen| seen.cut = Some(cut));
                return;
            }
            Ok(None) => follow(&asker, &seen).await,
            Err(error) => Err(error),
        };
        if let Err(error) = followed {
            tracing::debug!(%error, "following the log's end");
            sleep(PAUSE).await;
        }
        let mut place = place.lock().expect("no holder panics");
        // Somebody may have subscribed in between.
        if seen.receiver_count() == 0 {
            *place = None;
            return;
        }
    }
}

/// Asks the leader for the log's end; answers it if it stays before what was seen.
async fn catch_up(asker: &Asker, seen: &watch::Sender<Seen>) -> Result<Option<Position>, Cause> {
    let known = seen.borrow().head;
    let deadline = Instant::now() + SETTLING;
    loop {
        let last = asker.last().await?;
        tell(seen, last);
        if last >= known {
            return Ok(None);
        }
        if Instant::now() > deadline {
            return Ok(Some(last));
        }
        sleep(PAUSE).await;
    }
}

/// Tells positions until nobody listens, or the consumer is lost.
async fn follow(asker: &Asker, seen: &watch::Sender<Seen>) -> Result<(), Cause> {
    let name = format!("mirage-live-{}", uuid::Uuid::now_v7().simple());
    let made = asker
        .stream
        .create_consumer(config(&name, seen.borrow().head));
    let followed = match made.await {
        Ok(consumer) => hear(asker, consumer, seen).await,
        Err(error) => Err(error.into()),
    };
    // Also where making it gave no answer: it may stand there.
    if let Err(error) = asker.stream.delete_consumer(&name).await {
        tracing::debug!(%error, consumer = name, "the server will delete a consumer by itself");
    }
    followed
}

fn config(name: &str, after: Position) -> pull::Config {
    pull::Config {
        name: Some(name.to_owned()),
        deliver_policy: DeliverPolicy::ByStartSequence {
            start_sequence: after.0 + 1,
        },
        ack_policy: AckPolicy::None,
        headers_only: true,
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: ABANDONED,
        ..pull::Config::default()
    }
}

async fn hear(
    asker: &Asker,
    consumer: PullConsumer,
    seen: &watch::Sender<Seen>,
) -> Result<(), Cause> {
    let messages = consumer
        .stream()
        .heartbeat(HEARTBEAT)
        .expires(HEARTBEAT * 8)
        .max_messages_per_batch(BATCH);
    let mut messages = messages.messages().await?;
    loop {
        let message = tokio::select! {
            () = seen.closed() => return Ok(()),
            message = messages.next() => message,
            () = sleep(LOOK) => {
                if asker.last().await? > seen.borrow().head {
                    return Err("the consumer tells nothing".into());
                }
                continue;
            }
        };
        let message = message.ok_or("the consumer has ended")??;
        tell(seen, Position(message.info()?.stream_sequence));
    }
}
