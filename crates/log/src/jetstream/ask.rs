//! Asking the server for single messages, from the leader or any replica.
//!
//! A replica may be behind: what it does not know, the leader is asked for. Every question is asked again until
//! [`PATIENCE`] is over, so that a change of leader or a restart in between is not seen.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use async_nats::jetstream::context::Context;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{
    DirectGetErrorKind, LastRawMessageErrorKind, RawMessageErrorKind, Stream,
};
use mirage_domain::id::{Position, StreamId};
use tokio::time::{Instant, sleep, timeout};

use super::connect::ANSWER_MAX;
use super::options::Options;
use super::raw::Raw;
use super::{PAUSE, SETTLING, subject};
use crate::{OpenError, ReadError};

/// How long an answer is tried for: longer than a cluster takes to choose a leader (12 s were seen).
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How long the first try waits for its answer. What was sent to a server that died, or to three without a leader, is
/// never answered: waiting for it the whole of [`ANSWER_MAX`] would be most of an outage.
pub(super) const ANSWER_FIRST: Duration = Duration::from_secs(1);

/// How long the try after one that waited so long waits: a server that is only slow is not asked ever faster.
pub(super) fn longer(wait: Duration) -> Duration {
    (wait * 2).min(ANSWER_MAX)
}

pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The JetStream stream of the log, as something that can be asked.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) context: Context,
    pub(super) stream: Stream<()>,
    pub(super) name: String,
    pub(super) prefix: String,
    pub(super) is_replicated: bool,
}

impl Asker {
    pub(super) async fn open(context: Context, options: &Options) -> Result<Self, OpenError> {
        let stream = context.get_stream_no_info(&options.name).await;
        Ok(Self {
            stream: stream.map_err(|error| OpenError::Server {
                doing: "opening the log",
                source: error.into(),
            })?,
            context,
            name: options.name.clone(),
            prefix: options.prefix.clone(),
            is_replicated: options.replicas > 1,
        })
    }

    /// The last position, as the leader knows it.
    pub(super) async fn last(&self) -> Result<Position, ReadError> {
        let info = promptly(|| self.stream.get_info()).await?;
        Ok(Position(info.state.last_sequence))
    }

    /// The last commit of a stream, as the leader knows it.
    pub(super) async fn last_of(&self, stream: &StreamId) -> Result<Option<Raw>, ReadError> {
        let subject = self.subject(stream)?;
        promptly(|| async {
            match self.stream.get_last_raw_message_by_subject(&subject).await {
                Ok(message) => Ok(Some(Raw::of(message))),
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// The first message of a subject from a position on, as the leader knows it.
    pub(super) async fn next_of(
        &self,
        subject: &str,
        from: Position,
    ) -> Result<Option<Raw>, ReadError> {
        let ask = || {
            self.stream
                .get_first_raw_message_by_subject(subject, from.0)
        };
        self.leader(ask).await
    }

    async fn leader<A>(&self, ask: impl Fn() -> A) -> Result<Option<Raw>, ReadError>
    where
        A: Future<Output = Result<StreamMessage, async_nats::error::Error<RawMessageErrorKind>>>,
    {
        promptly(|| async {
            match ask().await {
                Ok(message) => Ok(Some(Raw::of(message))),
                Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// The message at a position: from any replica, else from the leader.
    pub(super) async fn at(&self, at: Position) -> Result<Option<Raw>, ReadError> {
        let direct = promptly(|| async {
            match self.stream.direct_get(at.0).await {
                Ok(message) => Ok(Some(Raw::of(message))),
                Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await?;
        match direct {
            None if self.is_replicated => self.leader(|| self.stream.get_raw_message(at.0)).await,
            direct => Ok(direct),
        }
    }

    /// The message at a position that somebody has seen. A replica may have told of it before the leader answers with it.
    pub(super) async fn seen_at(&self, at: Position) -> Result<Option<Raw>, ReadError> {
        let deadline = Instant::now() + SETTLING;
        loop {
            match self.at(at).await? {
                None if self.is_replicated && Instant::now() < deadline => sleep(PAUSE).await,
                there => return Ok(there),
            }
        }
    }

    pub(super) fn subject(&self, stream: &StreamId) -> Result<String, ReadError> {
        subject::of_stream(&self.prefix, stream).map_err(|error| ReadError::Store(error.into()))
    }
}

/// As [`patiently`], for questions with one short answer.
async fn promptly<T, E, A>(mut ask: impl FnMut() -> A) -> Result<T, ReadError>
where
    A: Future<Output = Result<T, E>>,
    E: Into<Cause>,
{
    let mut wait = ANSWER_FIRST;
    patiently(|| {
        let answer = timeout(wait, ask());
        wait = longer(wait);
        async {
            let answer = answer.await.map_err(Cause::from)?;
            answer.map_err(Into::into)
        }
    })
    .await
}

/// Asks until there is an answer or [`PATIENCE`] is over.
pub(super) async fn patiently<T, E, A>(mut ask: impl FnMut() -> A) -> Result<T, ReadError>
where
    A: Future<Output = Result<T, E>>,
    E: Display + Into<Cause>,
{
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(20);
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() + pause < deadline => {
                tracing::debug!(%error, "asking the log's server again");
            }
            Err(error) => return Err(ReadError::Store(error.into())),
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}
