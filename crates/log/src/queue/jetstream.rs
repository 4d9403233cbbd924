//! The queue of a cluster: a work-queue stream of JetStream, which may be deleted at any moment.
//!
//! One message a task, on `<name>-tasks.<workspace>.<scan>.<task>`, published with the expectation that none stands
//! there; one durable pull consumer a workspace, shared by all its collectors.
//! **Invariant:** a stream that was made anew numbers its messages past those of the old one, so that a late
//! acknowledgement of an old delivery meets no other task.

mod deaf;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::Client;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, pull};
use async_nats::jetstream::context::{Context, PublishErrorKind};
use async_nats::jetstream::message::{AckKind, Message, PublishMessage};
use async_nats::jetstream::stream::{self, DiscardPolicy, RetentionPolicy, StorageType};
use async_trait::async_trait;
use futures::StreamExt;
use mirage_domain::id::WorkspaceId;
use tokio::sync::RwLock;

use deaf::{DEAF, Silence};

use super::holders::Holders;
use super::{Delivery, Error, Hold, Incarnation, LEASE, MESSAGES_MAX, TaskQueue, Ticket};
use crate::jetstream::Options;
use crate::jetstream::configure::is_absent;
use crate::jetstream::early::patiently;

/// A pull waits at most this long at the server, so that one whose consumer is gone is soon made anew.
const PULL: Duration = Duration::from_secs(5);
/// The server's bound for answers.
const ANSWER: Duration = Duration::from_secs(3);
/// The least window that a server accepts in which it knows a message's id again.
const WINDOW_MIN: Duration = Duration::from_millis(100);

/// How the queue is kept.
#[derive(Debug, Clone)]
pub struct Config {
    /// Of the log's JetStream stream; the queue is `<name>-tasks`.
    pub name: String,
    pub workspace: WorkspaceId,
    /// Whether messages outlive the server's processes; what is lost is published again either way.
    pub is_on_disk: bool,
    pub replicas: usize,
    pub lease: Duration,
    pub messages_max: usize,
    /// For so long messages wait although somebody asks, and none is delivered, before the queue may be made anew.
    pub deaf: Duration,
}

impl Config {
    /// One replica in memory, for a workspace.
    pub fn new(name: impl Into<String>, workspace: WorkspaceId) -> Self {
        Self {
            name: name.into(),
            workspace,
            is_on_disk: false,
            replicas: 1,
            lease: LEASE,
            messages_max: MESSAGES_MAX,
            deaf: DEAF,
        }
    }

    fn stream_name(&self) -> String {
        format!("{}-tasks", self.name)
    }

    /// Of the workspace's messages.
    fn subjects(&self) -> String {
        format!("{}.{}.>", self.stream_name(), self.workspace)
    }

    fn stream(&self) -> stream::Config {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let storage = match self.is_on_disk {
            true => StorageType::File,
            false => StorageType::Memory,
        };
        stream::Config {
            name: self.stream_name(),
            subjects: vec![format!("{}.>", self.stream_name())],
            retention: RetentionPolicy::WorkQueue,
            discard: DiscardPolicy::New,
            storage,
            num_replicas: self.replicas,
            max_messages: self.messages_max as i64,
            duplicate_window: self.lease.max(WINDOW_MIN),
            // A stream takes far less than a message a millisecond over its life.
            first_sequence: since.ok().map(|since| since.as_millis() as u64),
            ..stream::Config::default()
        }
    }

    fn consumer(&self) -> pull::Config {
        pull::Config {
            durable_name: Some(format!("collect-{}", self.workspace)),
            filter_subject: self.subjects(),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.lease,
            // Unlimited: a limit would lose tasks silently.
            max_deliver: -1,
            max_ack_pending: self.messages_max as i64,
            memory_storage: !self.is_on_disk,
            num_replicas: self.replicas,
            ..pull::Config::default()
        }
    }
}

/// See the module's doc.
pub struct JetStreamQueue {
    context: Context,
    config: Config,
    consumer: RwLock<Consumer<pull::Config>>,
    silence: Silence,
}

pub(super) fn failed<E: Into<super::Cause>>(doing: &'static str) -> impl FnOnce(E) -> Error {
    move |source| Error::Store {
        doing,
        source: source.into(),
    }
}

impl JetStreamQueue {
    /// Connects as a log with these options does, and opens the queue there.
    pub async fn connect(options: &Options, config: Config) -> Result<Self, Error> {
        let client = crate::jetstream::connect(options).await;
        Self::open(client.map_err(failed("connecting to"))?, config).await
    }

    /// Opens the queue, or makes it.
    pub async fn open(client: Client, config: Config) -> Result<Self, Error> {
        let context = async_nats::jetstream::ContextBuilder::new()
            .timeout(ANSWER)
            .ack_timeout(ANSWER)
            .build(client);
        let consumer = make(&context, &config).await?;
        Ok(Self {
            context,
            config,
            consumer: RwLock::new(consumer),
            silence: Silence::default(),
        })
    }

    /// Who holds what, on the same connection; what is not taken again within `age` is nobody's.
    pub async fn holders(&self, age: Duration) -> Result<Holders, Error> {
        Holders::open(self.context.clone(), &self.config, age).await
    }

    /// Deletes the whole queue; it is made again when it is next used, and filled by whoever orchestrates.
    pub async fn delete(&self) -> Result<(), Error> {
        let deleted = self.context.delete_stream(self.config.stream_name());
        deleted.await.map(|_| ()).map_err(failed("deleting"))
    }

    /// Makes anew what somebody has deleted.
    async fn make(&self) -> Result<(), Error> {
        *self.consumer.write().await = make(&self.context, &self.config).await?;
        Ok(())
    }

    /// Publishes; false if there is no stream.
    async fn try_publish(&self, ticket: &Ticket) -> Result<bool, Error> {
        let Ticket {
            workspace,
            scan,
            task,
            position,
            ..
        } = ticket;
        let subject = format!("{}.{workspace}.{scan}.{task}", self.config.stream_name());
        let body = serde_json::to_vec(ticket).map_err(failed("writing a message of"))?;
        let message = PublishMessage::build()
            .payload(body.into())
            .message_id(format!("{task}-{}", position.0))
            .expected_last_subject_sequence(0);
        let sent = self.context.send_publish(subject, message).await;
        let done = match sent {
            Ok(ack) => ack.await.map(|_| ()),
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => Ok(true),
            Err(error) => match error.kind() {
                // Its message is there already.
                PublishErrorKind::WrongLastSequence => Ok(true),
                PublishErrorKind::StreamNotFound => Ok(false),
                PublishErrorKind::Other if is_full(&error) => Err(Error::Full),
                _ => Err(failed("publishing to")(error)),
            },
        }
    }

    /// The next message, if there is one within the time of a pull.
    async fn pull(&self) -> Result<Option<Message>, super::Cause> {
        let consumer = self.consumer.read().await.clone();
        let batch = consumer.batch().max_messages(1).expires(PULL);
        let mut batch = batch.messages().await?;
        batch.next().await.transpose()
    }
}

/// The server has one error for everything that its store refuses; only its words tell which.
fn is_full(error: &async_nats::jetstream::context::PublishError) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|source| source.to_string().contains("maximum messages exceeded"))
}

async fn make(context: &Context, config: &Config) -> Result<Consumer<pull::Config>, Error> {
    let made = patiently(|| context.get_or_create_stream(config.stream())).await;
    let stream = match made {
        Ok(stream) => stream,
        // Two that make it together choose different first numbers; the one that came first stands.
        Err(_) => {
            let found = context.get_stream(config.stream_name()).await;
            found.map_err(failed("opening"))?
        }
    };
    let consumer = stream.create_consumer(config.consumer()).await;
    consumer.map_err(failed("opening a consumer of"))
}

#[async_trait]
impl TaskQueue for JetStreamQueue {
    async fn publish(&self, ticket: &Ticket) -> Result<(), Error> {
        if self.try_publish(ticket).await? {
            return Ok(());
        }
        self.make().await?;
        match self.try_publish(ticket).await? {
            true => Ok(()),
            false => Err(failed("publishing to")("it is gone again")),
        }
    }

    async fn take(&self) -> Result<Delivery, Error> {
        loop {
            let message = match self.pull().await {
                Ok(Some(message)) => message,
                Ok(None) => {
                    // Nothing came; perhaps there is nothing that it could come from.
                    if self.consumer.write().await.info().await.is_err() {
                        self.make().await?;
                    }
                    continue;
                }
                Err(error) => {
                    tracing::debug!(%error, "a pull ended");
                    self.make().await?;
                    continue;
                }
            };
            match understand(&message) {
                Some(ticket) => {
                    let hold = Box::new(Held(message));
                    return Ok(Delivery { ticket, hold });
                }
                None => {
                    tracing::warn!(subject = %message.subject, "no message of a task; dropped");
                    let dropped = message.ack_with(AckKind::Term).await;
                    dropped.map_err(failed("dropping a message of"))?;
                }
            }
        }
    }

    /// When the server made the stream; one that is gone is made anew.
    async fn incarnation(&self) -> Result<Incarnation, Error> {
        let ask = || self.context.get_stream(self.config.stream_name());
        let stream = match ask().await {
            Err(error) if is_absent(error.kind()) => {
                self.make().await?;
                ask().await
            }
            asked => asked,
        };
        let made = stream.map_err(failed("asking for"))?.cached_info().created;
        Ok(Incarnation(made.unix_timestamp_nanos()))
    }

    async fn revive(&self) -> Result<bool, Error> {
        self.make_anew_if_deaf().await
    }

    fn lease(&self) -> Duration {
        self.config.lease
    }
}

fn understand(message: &Message) -> Option<Ticket> {
    let mut ticket: Ticket = serde_json::from_slice(&message.payload).ok()?;
    ticket.is_again |= message.info().ok()?.delivered > 1;
    Some(ticket)
}

struct Held(Message);

#[async_trait]
impl Hold for Held {
    async fn extend(&self) -> Result<(), Error> {
        let sent = self.0.ack_with(AckKind::Progress).await;
        sent.map_err(failed("extending a lease of"))
    }

    async fn finish(&self) -> Result<(), Error> {
        self.0
            .double_ack()
            .await
            .map_err(failed("acknowledging to"))
    }

    async fn hand_back(&self, delay: Duration) -> Result<(), Error> {
        let delay = (!delay.is_zero()).then_some(delay);
        let sent = self.0.double_ack_with(AckKind::Nak(delay)).await;
        sent.map_err(failed("handing back to"))
    }
}

#[cfg(test)]
mod tests;
