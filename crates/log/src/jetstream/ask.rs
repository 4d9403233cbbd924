//! Asking the server for messages: one of them from the leader or any replica, or a page of them at once.
//!
//! A replica may be behind: what it does not know, the leader is asked for. Every question is asked again until
//! [`PATIENCE`] is over, so that a change of leader or a restart in between is not seen.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::Context;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{
    DirectGetErrorKind, LastRawMessageErrorKind, RawMessageErrorKind, Stream,
};
use async_nats::{HeaderMap, Message, StatusCode, header};
use futures::StreamExt;
use mirage_domain::id::{Digest, Position, StreamId};
use tokio::time::{Instant, sleep, timeout};

use super::connect::ANSWER_MAX;
use super::subject;
use crate::commit::{Commit, decode};
use crate::error::Damage;
use crate::{EncodedCommit, ReadError, Recorded};

/// How long an answer is tried for: longer than a cluster takes to choose a leader (12 s were seen).
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Messages and bytes of one page.
const PAGE_COMMITS: usize = 1024;
const PAGE_BYTES: usize = 1024 * 1024;

pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A message of the log, not yet decoded.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) position: Position,
    pub(super) hash: Digest,
    pub(super) bytes: Arc<[u8]>,
    subject: String,
    id: Option<String>,
}

impl Raw {
    fn new(position: u64, subject: &str, headers: &HeaderMap, bytes: &[u8]) -> Self {
        Self {
            position: Position(position),
            hash: Digest::of(bytes),
            bytes: bytes.into(),
            subject: subject.to_owned(),
            id: headers
                .get(header::NATS_MESSAGE_ID)
                .map(|id| id.as_str().to_owned()),
        }
    }

    fn of(message: StreamMessage) -> Self {
        let StreamMessage {
            subject,
            sequence,
            headers,
            payload,
            ..
        } = message;
        Self::new(sequence, &subject, &headers, &payload)
    }

    /// What a backend must know of the commit.
    pub(super) fn parse(&self) -> Result<EncodedCommit, ReadError> {
        EncodedCommit::parse(&self.bytes).map_err(|source| ReadError::Decode {
            at: self.position,
            source,
        })
    }

    /// The commit, held against the message's subject and id.
    pub(super) fn decode(self, prefix: &str, log_hash: Digest) -> Result<Recorded, ReadError> {
        let at = self.position;
        let commit = decode(&self.bytes).map_err(|source| ReadError::Decode { at, source })?;
        if let Some(what) = self.differs(prefix, &commit) {
            return Err(ReadError::Damaged {
                at,
                what: Damage::Row(what),
            });
        }
        Ok(Recorded {
            position: at,
            hash: self.hash,
            log_hash,
            bytes: self.bytes,
            commit,
        })
    }

    fn differs(&self, prefix: &str, commit: &Commit) -> Option<&'static str> {
        let is_there =
            subject::of_stream(prefix, &commit.stream).is_ok_and(|subject| subject == self.subject);
        let id = commit.id.to_string();
        match () {
            () if !is_there => Some("subject"),
            () if self.id.as_deref() != Some(&id) => Some("id"),
            () => None,
        }
    }
}

/// Messages in order, and whether the replica that answered had no more.
pub(super) struct Answer {
    pub(super) messages: Vec<Raw>,
    pub(super) is_end: bool,
}

/// Which messages a page holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of<'a> {
    All,
    Subject(&'a str),
}

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
    /// The last position, as the leader knows it.
    pub(super) async fn last(&self) -> Result<Position, ReadError> {
        let info = patiently(|| self.stream.get_info()).await?;
        Ok(Position(info.state.last_sequence))
    }

    /// The last commit of a stream, as the leader knows it.
    pub(super) async fn last_of(&self, stream: &StreamId) -> Result<Option<Raw>, ReadError> {
        let subject = self.subject(stream)?;
        patiently(|| async {
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
        patiently(|| async {
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
        let direct = patiently(|| async {
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

    pub(super) fn subject(&self, stream: &StreamId) -> Result<String, ReadError> {
        subject::of_stream(&self.prefix, stream).map_err(|error| ReadError::Store(error.into()))
    }

    /// The messages from a position on, up to a page's bounds, from any replica.
    pub(super) async fn page(&self, of: Of<'_>, from: Position) -> Result<Answer, ReadError> {
        patiently(|| self.page_once(of, from)).await
    }

    async fn page_once(&self, of: Of<'_>, from: Position) -> Result<Answer, Cause> {
        let mut request = serde_json::json!({
            "seq": from.0,
            "batch": PAGE_COMMITS,
            "max_bytes": PAGE_BYTES,
        });
        if let Of::Subject(subject) = of {
            request["next_by_subj"] = subject.into();
        }
        let client = self.context.client();
        let inbox = client.new_inbox();
        let mut replies = client.subscribe(inbox.clone()).await?;
        let to = format!("$JS.API.DIRECT.GET.{}", self.name);
        client
            .publish_with_reply(to, inbox, request.to_string().into())
            .await?;
        let mut messages: Vec<Raw> = Vec::new();
        loop {
            let reply = timeout(ANSWER_MAX, replies.next()).await?;
            let reply = reply.ok_or("the connection was closed")?;
            match reply.status {
                None => match linked(&reply, messages.last())? {
                    Some(raw) => messages.push(raw),
                    // The client dropped some; what came before them is good, the rest is asked for again.
                    None => return Ok(cut(messages)),
                },
                Some(StatusCode::NOT_FOUND) => {
                    return Ok(Answer {
                        messages,
                        is_end: true,
                    });
                }
                Some(status) if status.as_u16() == 204 => return Ok(ended(&reply, messages)),
                Some(status) => return Err(format!("{status} {:?}", reply.description).into()),
            }
        }
    }
}

fn cut(messages: Vec<Raw>) -> Answer {
    Answer {
        messages,
        is_end: false,
    }
}

/// The page after its end mark, which names the last message and how many are left.
fn ended(mark: &Message, messages: Vec<Raw>) -> Answer {
    let last = messages.last().map_or(0, |raw| raw.position.0);
    let is_whole = number(mark, header::NATS_LAST_SEQUENCE.as_ref()) == Some(last);
    let pending = number(mark, "Nats-Num-Pending");
    Answer {
        messages,
        is_end: is_whole && pending == Some(0),
    }
}

/// A message of a page, if it follows on the one before it: each names the position of its predecessor in the page.
fn linked(message: &Message, before: Option<&Raw>) -> Result<Option<Raw>, Cause> {
    let headers = message
        .headers
        .as_ref()
        .ok_or("a message without headers")?;
    let position = number(message, header::NATS_SEQUENCE.as_ref()).ok_or("no position")?;
    let subject = headers.get(header::NATS_SUBJECT).ok_or("no subject")?;
    let previous = number(message, header::NATS_LAST_SEQUENCE.as_ref()).unwrap_or_default();
    if previous != before.map_or(0, |raw| raw.position.0) {
        return Ok(None);
    }
    let raw = Raw::new(position, subject.as_str(), headers, &message.payload);
    Ok(Some(raw))
}

/// The newest value of a header: the server appends its own after the writer's.
fn number(message: &Message, name: &str) -> Option<u64> {
    let headers = message.headers.as_ref()?;
    headers.get_all(name).last()?.as_str().parse().ok()
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
