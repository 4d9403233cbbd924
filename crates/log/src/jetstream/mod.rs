//! The log on NATS JetStream: one message per commit, its position the server's sequence.
//!
//! The server knows no log hash; unfiltered readers carry it forward from a mark (`marks.rs`). Commits that a filtered
//! reader or a reader of one stream yields have none: [`Digest::EMPTY`](mirage_domain::id::Digest::EMPTY).
//! The process installs a provider of rustls first.
//!
//! **Invariant:** a commit is acknowledged after every node that must have it has synced it; the nodes are asked for that.
//! **Invariant:** no write without an expectation; whether a commit landed is told by the one message at its place.
//! **Never:** a consumer per read; a message's position taken from anything but its sequence.

mod append;
mod ask;
mod batch;
pub(crate) mod configure;
mod connect;
pub(crate) mod early;
mod facts;
mod live;
mod marks;
mod nodes;
mod options;
mod page;
mod raw;
mod stream;
mod subject;
mod tail;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use mirage_domain::id::{Position, StreamId, WorkspaceId};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

pub use connect::SERVER_MIN;
pub(crate) use connect::connect;
pub use facts::{Facts, SUBJECTS_MAX};
pub use nodes::{Announced, Announcement, Load, Look, NodeInfo};
pub use options::{Credentials, Options, Tls};

use append::Window;
use ask::Asker;
use live::Live;
use marks::Marks;
use tail::Tail;

use crate::error::Damage;
use crate::queue::{self, jetstream::JetStreamQueue};
use crate::{
    AppendError, Capabilities, EncodedCommit, EventLog, Filter, Head, OpenError, Read, ReadError,
    Recorded, Tip,
};

/// How long a new leader may know less than its predecessor acknowledged.
const SETTLING: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// See the module's doc.
pub struct JetStream {
    inner: Arc<Inner>,
    window: Window,
    copying: Mutex<()>,
    capabilities: Capabilities,
}

struct Inner {
    asker: Asker,
    marks: Marks,
    live: Live,
}

impl JetStream {
    /// Opens the log, or makes an empty one where there is none.
    ///
    /// Refuses, with what to do: a server that does not answer, is older than [`SERVER_MIN`], has no JetStream; a log
    /// whose configuration may lose commits; and, unless volatile ones are allowed, nodes that do not sync always or
    /// whose monitoring does not say so.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        check(&options)?;
        let client = connect::connect(&options).await?;
        let context = connect::context(client.clone()).await?;
        let proven = connect::prove(&options).await?;
        let info = configure::ensure(&context, &options).await?;
        let server = client.server_info();
        let unproven = configure::unproven(&info, &server.server_id, &proven);
        if let Some(node) = unproven.clone().filter(|_| !options.allow_volatile) {
            return Err(OpenError::Unproven { node, source: None });
        }
        let inner = Inner {
            marks: Marks::open(&context, &options).await?,
            asker: Asker::open(context, &options).await?,
            live: Live::default(),
        };
        inner.check_end().await.map_err(damaged)?;
        Ok(Self {
            inner: Arc::new(inner),
            window: Window::default(),
            copying: Mutex::default(),
            capabilities: Capabilities {
                backend: "jetstream",
                is_durable: unproven.is_none(),
                replicas: options.replicas as u32,
                server: format!("nats-server {}", server.version),
            },
        })
    }
}

impl JetStream {
    /// The queue of tasks of one workspace, on the same servers and with as many copies. All who share it give it one
    /// `lease`: the one that opened it last holds for all.
    pub async fn queue(
        &self,
        workspace: WorkspaceId,
        lease: Duration,
    ) -> Result<JetStreamQueue, queue::Error> {
        let asker = &self.inner.asker;
        let config = queue::jetstream::Config {
            replicas: self.capabilities.replicas as usize,
            lease,
            ..queue::jetstream::Config::new(asker.name.clone(), workspace)
        };
        JetStreamQueue::open(asker.context.client().clone(), config).await
    }
}

fn damaged(error: ReadError) -> OpenError {
    OpenError::Damaged(Box::new(error))
}

fn check(options: &Options) -> Result<(), OpenError> {
    let plain = "1 to 64 letters, digits, `-` and `_`";
    let wrong = match () {
        () if subject::part(&options.name).is_err() => Some(("name", plain)),
        () if subject::part(&options.prefix).is_err() => Some(("prefix", plain)),
        () if ![1, 3, 5].contains(&options.replicas) => Some(("replicas", "1, 3 or 5")),
        () => None,
    };
    match wrong {
        Some((name, wanted)) => Err(OpenError::Option { name, wanted }),
        None => Ok(()),
    }
}

impl Inner {
    /// The log's last position, for whoever knows of one; it may take a new leader a while to know it, too.
    async fn last_from(&self, known: Position) -> Result<Position, ReadError> {
        let deadline = Instant::now() + SETTLING;
        loop {
            let last = self.asker.last().await?;
            if last >= known {
                return Ok(last);
            }
            if Instant::now() > deadline {
                let what = Damage::BehindAnchor { head: last };
                return Err(ReadError::Damaged { at: known, what });
            }
            sleep(PAUSE).await;
        }
    }

    /// Holds the log's end against the newest mark, which outlives a log that lost its tail.
    async fn check_end(&self) -> Result<(), ReadError> {
        match self.marks.newest().await {
            Some(mark) => {
                self.last_from(mark.position).await?;
                self.marks.proven(&self.asker, mark).await.map(|_| ())
            }
            None => Ok(()),
        }
    }
}

#[async_trait]
impl EventLog for JetStream {
    async fn append(
        &self,
        commit: EncodedCommit,
        expected: Option<Tip>,
    ) -> Result<Tip, AppendError> {
        let tip = append::append(&self.inner.asker, &self.window, commit, expected).await?;
        self.inner.live.tell(tip.position);
        Ok(tip)
    }

    async fn copy(&self, at: Position, commit: EncodedCommit) -> Result<(), AppendError> {
        // In the order in which they were asked for: each stands on the one before.
        let _turn = self.copying.lock().await;
        append::copy(&self.inner.asker, &self.window, at, commit).await?;
        self.inner.live.tell(at);
        Ok(())
    }

    fn read(&self, after: Position, filter: Filter) -> BoxStream<'_, Result<Read, ReadError>> {
        let tail = Tail::new(self.inner.clone(), after, filter);
        Box::pin(futures::stream::unfold(tail, |mut tail| async {
            let read = tail.next().await?;
            Some((read, tail))
        }))
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Position,
    ) -> Result<Vec<Arc<Recorded>>, ReadError> {
        stream::read(&self.inner.asker, stream, after).await
    }

    async fn read_stream_page(
        &self,
        stream: &StreamId,
        tip: Option<Tip>,
    ) -> Result<Vec<Arc<Recorded>>, ReadError> {
        stream::read_page(&self.inner.asker, stream, tip).await
    }

    async fn commit(&self, at: Position) -> Result<Arc<Recorded>, ReadError> {
        let Inner { asker, marks, .. } = &*self.inner;
        let there = match at {
            Position(0) => None,
            at => asker.at(at).await?,
        };
        let raw = there.ok_or(ReadError::Absent(at))?;
        let log_hash = marks.log_hash(asker, at).await?;
        raw.decode(&asker.prefix, log_hash).map(Arc::new)
    }

    async fn head(&self) -> Result<Head, ReadError> {
        let Inner { asker, marks, .. } = &*self.inner;
        let position = asker.last().await?;
        let log_hash = marks.log_hash(asker, position).await?;
        Ok(Head { position, log_hash })
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }
}

#[cfg(test)]
mod tests;
