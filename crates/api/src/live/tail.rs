//! The one reader of the log that all live streams of a gateway share, and what it hands to them.
//!
//! **Invariant:** positions that are handed out follow each other; whoever finds one missing reads it from the log.
//! **Never:** waiting for a subscriber: who is too slow loses commits here, and notices.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Bytes;
use futures::StreamExt;
use mirage_domain::id::{Cursor, Position, StreamId, WorkspaceId};
use mirage_log::{EventLog, Filter, Read, ReadError, Recorded};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

use mirage_log::cloud_event::CloudEvent;

/// Commits that are kept for subscribers who are behind; further behind, they read the log themselves.
const KEPT: usize = 256;
/// Before the log is read again when it could not be.
const AGAIN: Duration = Duration::from_secs(1);

/// A commit on its way to subscribers; each event of it is written out once, by the first who wants it.
pub(super) struct Told {
    pub(super) recorded: Arc<Recorded>,
    shown: Box<[OnceLock<Shown>]>,
}

/// An event as it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) cursor: Cursor,
    /// As a message of a stream of server-sent events.
    pub(super) frame: Bytes,
    /// The CloudEvent alone, which is a part of the frame.
    pub(crate) json: Bytes,
}

impl Told {
    pub(super) fn new(recorded: Arc<Recorded>) -> Self {
        let events = recorded.commit.events.len();
        Self {
            recorded,
            shown: (0..events).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The event at a cursor of this commit.
    pub(super) fn event(&self, cursor: Cursor) -> &Shown {
        let at = cursor.index as usize - 1;
        self.shown[at].get_or_init(|| {
            let commit = &self.recorded.commit;
            let event = CloudEvent::of(commit, cursor, &commit.events[at]);
            let json = event.and_then(|event| serde_json::to_string(&event));
            let json = json.expect("an event that was read from JSON can be written as it");
            Shown::new(cursor, &json)
        })
    }
}

impl Shown {
    fn new(cursor: Cursor, json: &str) -> Self {
        let before = format!("id: {cursor}\ndata: ");
        let frame = Bytes::from(format!("{before}{json}\n\n"));
        let json = frame.slice(before.len()..before.len() + json.len());
        Self {
            cursor,
            frame,
            json,
        }
    }
}

/// Streams of which rights are folded fall into so many lots: a bound on memory, whoever signs in.
const LOTS: usize = 256;

/// How often rights were changed since the tail began, by the lot of the stream that was changed.
pub(super) struct Rights {
    lots: [u64; LOTS],
    /// By a stream that anybody's rights may hang on.
    everybodys: u64,
}

impl Rights {
    /// Rises when a commit of one of these streams may have changed a right.
    pub(super) fn changes(&self, streams: &[StreamId]) -> u64 {
        let of_lots = streams.iter().map(|stream| self.lots[lot(stream)]);
        of_lots.sum::<u64>() + self.everybodys
    }
}

fn lot(stream: &StreamId) -> usize {
    let mut hasher = DefaultHasher::new();
    stream.hash(&mut hasher);
    hasher.finish() as usize % LOTS
}

/// See the module's doc.
pub(super) struct Tail {
    commits: broadcast::Sender<Arc<Told>>,
    rights: watch::Sender<Rights>,
    at: AtomicU64,
}

impl Tail {
    /// Reads on from the end of the log, until the set is dropped.
    pub(super) async fn start(
        log: Arc<dyn EventLog>,
    ) -> Result<(Arc<Self>, JoinSet<()>), ReadError> {
        let head = log.head().await?.position;
        let rights = Rights {
            lots: [0; LOTS],
            everybodys: 0,
        };
        let tail = Arc::new(Self {
            commits: broadcast::channel(KEPT).0,
            rights: watch::channel(rights).0,
            at: AtomicU64::new(head.0),
        });
        let mut reading = JoinSet::new();
        reading.spawn(tail.clone().run(log));
        Ok((tail, reading))
    }

    /// What is read from now on, and up to where it was read: the subscriber sees to all before.
    pub(super) fn join(&self) -> (broadcast::Receiver<Arc<Told>>, Position) {
        let commits = self.commits.subscribe();
        // After the subscription: a commit that was handed out before it is not beyond this position.
        (commits, Position(self.at.load(Ordering::SeqCst)))
    }

    pub(super) fn rights(&self) -> watch::Receiver<Rights> {
        self.rights.subscribe()
    }

    async fn run(self: Arc<Self>, log: Arc<dyn EventLog>) {
        loop {
            let at = Position(self.at.load(Ordering::SeqCst));
            let mut read = log.read(at, Filter::All);
            while let Some(Ok(next)) = read.next().await.inspect(|next| {
                if let Err(error) = next {
                    tracing::warn!(%error, "the log cannot be followed; trying again");
                }
            }) {
                if let Read::Commit(recorded) = next {
                    self.tell(recorded);
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn tell(&self, recorded: Arc<Recorded>) {
        let (position, stream) = (recorded.position, &recorded.commit.stream);
        let is_of_rights = stream.workspace == WorkspaceId::system();
        match stream.category.as_str() {
            "workspace" | "user" | "session" if is_of_rights => {
                let lot = lot(stream);
                self.rights.send_modify(|rights| rights.lots[lot] += 1);
            }
            "team" if is_of_rights => self.rights.send_modify(|rights| rights.everybodys += 1),
            _ => {}
        }
        self.at.store(position.0, Ordering::SeqCst);
        // Nobody may be listening.
        let _ = self.commits.send(Arc::new(Told::new(recorded)));
    }
}
