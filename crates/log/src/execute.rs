//! The command executor: load, handle, append, answer the position.
//!
//! Aggregates are `cqrs_es::Aggregate`s over our own `cqrs_es::EventStore`; a real conflict is retried at most three
//! times. A command's idempotency key stands in the commit that it caused, so it holds across restarts: the same key
//! with the same digest answers as the first time, with another digest it is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, AggregateContext, AggregateError, EventEnvelope, EventStore};
use jiff::Timestamp;
use mirage_domain::event::Event;
use mirage_domain::id::{Digest, Position, StreamId, Version};
use uuid::Uuid;

use crate::commit::{Actor, Causation, CommandKey, Commit, EncodeError, Entry, encode};
use crate::{AppendError, EventLog, ReadError, Tip};

/// Times that a command is decided anew after a real conflict.
const RETRIES_MAX: u32 = 3;
/// Hot aggregates that are kept; beyond it the cache is emptied.
const CACHE_MAX: usize = 1024;

/// An aggregate that can read its events out of the log.
pub trait Logged: Aggregate<Services = ()> + Clone + 'static {
    /// The aggregate's own event, if it is one.
    fn own(event: &Event) -> Option<Self::Event>;
}

macro_rules! logged {
    ($($aggregate:ty => $variant:ident),+ $(,)?) => {
        $(impl Logged for $aggregate {
            fn own(event: &Event) -> Option<Self::Event> {
                match event {
                    Event::$variant(event) => Some(event.clone()),
                    _ => None,
                }
            }
        })+
    };
}
logged!(
    mirage_domain::delivery::Deliveries => Delivery,
    mirage_domain::mark::Mark => Mark,
    mirage_domain::scan::Scan => Scan,
    mirage_domain::session::Session => Session,
    mirage_domain::subscription::Subscriptions => Subscription,
    mirage_domain::identity::Identity => Identity,
    mirage_domain::team::Team => Team,
    mirage_domain::user::User => User,
    mirage_domain::workspace::Workspace => Workspace,
);

/// What comes with a command besides its own fields.
#[derive(Debug, Clone)]
pub struct Envelope {
    pub actor: Actor,
    /// Without one the command is not repeatable.
    pub command: Option<CommandKey>,
    pub correlation: Option<String>,
    pub causation: Option<Causation>,
    pub traceparent: Option<String>,
    /// Only if the stream ends with this event: what was decided on is what was read.
    pub at_version: Option<Version>,
    /// The edge's clock.
    pub now: fn() -> Timestamp,
}

impl Envelope {
    pub fn new(actor: Actor, now: fn() -> Timestamp) -> Self {
        Self {
            actor,
            command: None,
            correlation: None,
            causation: None,
            traceparent: None,
            at_version: None,
            now,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error<E: std::error::Error + 'static> {
    /// The aggregate's own rule.
    #[error(transparent)]
    Refused(E),
    #[error("the idempotency key was used before for another request")]
    KeyReused,
    #[error("it is at version {} by now", at.0)]
    Stale { at: Version },
    #[error("the stream was changed by others {RETRIES_MAX} times in a row; try again")]
    Conflict,
    #[error(transparent)]
    Append(AppendError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// An aggregate as folded up to a tip, with the keys of the commands that brought it there.
#[derive(Debug, Clone)]
pub struct Loaded<A> {
    aggregate: A,
    tip: Option<Tip>,
    keys: HashMap<String, (Digest, Position)>,
    /// What the next commit carries; set by the executor.
    envelope: Option<Envelope>,
    stream: StreamId,
}

impl<A: Aggregate> AggregateContext<A> for Loaded<A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self.aggregate
    }
}

/// `cqrs_es::EventStore` over the log, for one type of aggregate; hot aggregates are checked against their tip.
pub struct Store<A> {
    log: Arc<dyn EventLog>,
    hot: Mutex<HashMap<StreamId, Loaded<A>>>,
}

impl<A: Logged> Store<A> {
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self {
            log,
            hot: Mutex::default(),
        }
    }

    /// The aggregate as the log has it now, and where its stream ends; `None` for an empty stream.
    pub async fn state(&self, stream: &StreamId) -> Result<(A, Option<Tip>), ReadError> {
        let loaded = self.load(stream).await?;
        Ok((loaded.aggregate, loaded.tip))
    }

    /// The aggregate as it is now: what the cache knows, and what stands in the log after it.
    async fn load(&self, stream: &StreamId) -> Result<Loaded<A>, ReadError> {
        let hot = self
            .hot
            .lock()
            .expect("no holder panics")
            .get(stream)
            .cloned();
        let mut loaded = hot.unwrap_or_else(|| Loaded {
            aggregate: A::default(),
            tip: None,
            keys: HashMap::new(),
            envelope: None,
            stream: stream.clone(),
        });
        let after = loaded.tip.map_or(Position(0), |tip| tip.position);
        for recorded in self.log.read_stream(stream, after).await? {
            let events = recorded
                .commit
                .events
                .iter()
                .filter_map(|entry| A::own(&entry.event));
            events.for_each(|event| loaded.aggregate.apply(event));
            if let Some(command) = &recorded.commit.command {
                let answer = (command.digest, recorded.position);
                loaded.keys.entry(command.key.clone()).or_insert(answer);
            }
            loaded.tip = Some(recorded.tip());
        }
        let mut hot = self.hot.lock().expect("no holder panics");
        if hot.len() >= CACHE_MAX {
            hot.clear();
        }
        // Nobody fills it with streams that there are not.
        if loaded.tip.is_some() {
            hot.insert(stream.clone(), loaded.clone());
        }
        Ok(loaded)
    }

    async fn append(&self, events: Vec<A::Event>, loaded: Loaded<A>) -> Result<Tip, Error<A::Error>>
    where
        A::Event: Into<Event>,
    {
        let envelope = loaded
            .envelope
            .expect("the executor sets it before it appends");
        let now = (envelope.now)();
        let commit = Commit {
            id: Uuid::now_v7(),
            stream: loaded.stream,
            version: Version(loaded.tip.map_or(0, |tip| tip.version.0) + 1),
            recorded_at: now,
            actor: envelope.actor,
            command: envelope.command,
            correlation: envelope.correlation,
            causation: envelope.causation,
            traceparent: envelope.traceparent,
            prev: loaded.tip.map(|tip| tip.hash),
            context: None,
            events: events
                .into_iter()
                .map(|event| Entry {
                    event: event.into(),
                    at: now,
                })
                .collect(),
        };
        self.log
            .append(encode(&commit)?, loaded.tip)
            .await
            .map_err(Error::Append)
    }

    /// Handles one command at a stream and answers the position after which its effect can be read.
    ///
    /// A command that changes nothing answers the stream's tip. A hot aggregate is decided on as it was left: if others
    /// wrote meanwhile, the append conflicts, and nothing but an append is answered from it.
    pub async fn execute(
        &self,
        stream: &StreamId,
        command: A::Command,
        envelope: Envelope,
    ) -> Result<Position, Error<A::Error>>
    where
        A::Command: Clone,
        A::Event: Into<Event>,
    {
        if let Some(hot) = self.hot(stream) {
            match self.attempt(hot, false, &command, &envelope).await {
                Ok(Some(position)) => return Ok(position),
                // A store that refuses to write does so whatever is decided.
                Err(error @ Error::Append(_)) => return Err(error),
                Ok(None) | Err(_) => {}
            }
        }
        for attempt in 0..=RETRIES_MAX {
            let loaded = self.load(stream).await?;
            match self.attempt(loaded, true, &command, &envelope).await? {
                Some(position) => return Ok(position),
                None => back_off(attempt).await,
            }
        }
        Err(Error::Conflict)
    }

    fn hot(&self, stream: &StreamId) -> Option<Loaded<A>> {
        self.hot
            .lock()
            .expect("no holder panics")
            .get(stream)
            .cloned()
    }

    /// One decision on an aggregate as it was loaded; `None` if it must be loaded anew, because the stream has moved on
    /// or may have.
    async fn attempt(
        &self,
        mut loaded: Loaded<A>,
        is_fresh: bool,
        command: &A::Command,
        envelope: &Envelope,
    ) -> Result<Option<Position>, Error<A::Error>>
    where
        A::Command: Clone,
        A::Event: Into<Event>,
    {
        if let Some(CommandKey { key, digest }) = &envelope.command
            && let Some((first, position)) = loaded.keys.get(key)
        {
            return if first == digest {
                Ok(Some(*position))
            } else {
                Err(Error::KeyReused)
            };
        }
        let at = loaded.tip.map_or(Version(0), |tip| tip.version);
        if envelope.at_version.is_some_and(|wanted| wanted != at) {
            return Err(Error::Stale { at });
        }
        let sink = EventSink::default();
        let mut decided = loaded.aggregate.clone();
        decided
            .handle(command.clone(), &(), &sink)
            .await
            .map_err(Error::Refused)?;
        let events = sink.collect().await;
        if events.is_empty() {
            return Ok(is_fresh.then(|| loaded.tip.map_or(Position(0), |tip| tip.position)));
        }
        loaded.envelope = Some(envelope.clone());
        match self.append(events, loaded.clone()).await {
            Ok(tip) => {
                self.keep(loaded, decided, tip);
                Ok(Some(tip.position))
            }
            Err(Error::Append(AppendError::Conflict { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Remembers an aggregate as its own append left it.
    fn keep(&self, loaded: Loaded<A>, aggregate: A, tip: Tip) {
        let mut loaded = Loaded {
            aggregate,
            tip: Some(tip),
            ..loaded
        };
        if let Some(command) = loaded.envelope.take().and_then(|envelope| envelope.command) {
            loaded
                .keys
                .insert(command.key, (command.digest, tip.position));
        }
        self.hot
            .lock()
            .expect("no holder panics")
            .insert(loaded.stream.clone(), loaded);
    }
}

/// A short wait that differs between racing writers.
async fn back_off(attempt: u32) {
    let mut random = [0u8; 1];
    // Without randomness the writers wait alike; they still only try three times.
    let _ = getrandom::fill(&mut random);
    let most = 4u64 << attempt;
    tokio::time::sleep(std::time::Duration::from_millis(
        u64::from(random[0]) * most / 255,
    ))
    .await;
}

impl<A: Logged> EventStore<A> for Store<A>
where
    A::Event: Into<Event>,
    A::Error: Send + Sync + 'static,
{
    type AC = Loaded<A>;

    async fn load_events(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let stream = parse(aggregate_id)?;
        let commits = self
            .log
            .read_stream(&stream, Position(0))
            .await
            .map_err(unexpected)?;
        let events = commits.iter().flat_map(|recorded| &recorded.commit.events);
        let own = events.filter_map(|entry| A::own(&entry.event));
        Ok(envelopes(aggregate_id, 1, own.collect()))
    }

    async fn load_aggregate(
        &self,
        aggregate_id: &str,
    ) -> Result<Loaded<A>, AggregateError<A::Error>> {
        self.load(&parse(aggregate_id)?).await.map_err(unexpected)
    }

    async fn commit(
        &self,
        events: Vec<A::Event>,
        context: Loaded<A>,
        _: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let id = context.stream.to_string();
        let first = context.tip.map_or(0, |tip| tip.version.0) as usize + 1;
        match self.append(events.clone(), context).await {
            Ok(_) => Ok(envelopes(&id, first, events)),
            Err(Error::Append(AppendError::Conflict { .. })) => {
                Err(AggregateError::AggregateConflict)
            }
            Err(error) => Err(unexpected(error)),
        }
    }
}

fn parse<E: std::error::Error>(aggregate_id: &str) -> Result<StreamId, AggregateError<E>> {
    aggregate_id
        .parse()
        .map_err(|error: mirage_domain::id::IdError| unexpected(error))
}

fn unexpected<E: std::error::Error>(
    error: impl std::error::Error + Send + Sync + 'static,
) -> AggregateError<E> {
    AggregateError::UnexpectedError(Box::new(error))
}

fn envelopes<A: Aggregate>(id: &str, first: usize, events: Vec<A::Event>) -> Vec<EventEnvelope<A>> {
    let envelope = |(sequence, payload)| EventEnvelope {
        aggregate_id: id.to_owned(),
        sequence,
        payload,
        metadata: HashMap::new(),
    };
    (first..).zip(events).map(envelope).collect()
}

#[cfg(test)]
mod tests;
