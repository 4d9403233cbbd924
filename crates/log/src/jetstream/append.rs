//! Appending: one durable message per commit, under the expectation of the stream's tip.
//!
//! **Invariant:** a commit lands only as the next message after the one that its writer expects; so whether it landed
//! is told by that one message, however the acknowledgement was lost.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::publish::PublishAck;
use async_nats::{HeaderMap, header, jetstream};
use bytes::Bytes;
use mirage_domain::id::Position;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Duration, Instant, sleep, timeout};

use super::ask::{ANSWER_FIRST, Asker, Cause, PATIENCE, longer};
use super::connect::ANSWER_MAX;
use super::raw::Raw;
use crate::{AppendError, COMMIT_BYTES_MAX, EncodedCommit, ReadError, Tip};

/// What may be on its way at once, in KiB; with [`PERMIT_KIB_MIN`] each, that is at most 1 024 commits, which is below
/// the client's own window of 5 000.
const IN_FLIGHT_KIB: usize = 16 * 1024;
const PERMIT_KIB_MIN: usize = 16;

/// How many bytes are on their way.
pub(super) struct Window(Semaphore);

impl Default for Window {
    fn default() -> Self {
        Self(Semaphore::new(IN_FLIGHT_KIB))
    }
}

impl Window {
    async fn enter(&self, bytes: usize) -> SemaphorePermit<'_> {
        let kib = bytes.div_ceil(1024).max(PERMIT_KIB_MIN) as u32;
        self.0.acquire_many(kib).await.expect("it is never closed")
    }
}

/// How a publish ended.
enum Sent {
    /// At this position; it was there before where the second says so.
    At(Position, bool),
    /// Another message stands where this one was expected to follow.
    Late,
    /// No word: it may have landed.
    Silence(Cause),
}

pub(super) async fn append(
    asker: &Asker,
    window: &Window,
    commit: EncodedCommit,
    expected: Option<Tip>,
) -> Result<Tip, AppendError> {
    let subject = checked(asker, &commit)?;
    if !follows(&commit, expected) {
        return misfit(asker, &commit).await;
    }
    let after = expected.map_or(Position(0), |tip| tip.position);
    let _permit = window.enter(commit.bytes.len()).await;
    let begun = Instant::now();
    let mut wait = ANSWER_FIRST;
    let silence = loop {
        let headers = headers(
            &commit,
            &[(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, after)],
        );
        match publish(asker, &subject, headers, &commit, wait).await? {
            Sent::At(position, false) => return Ok(tip(&commit, position)),
            Sent::At(..) | Sent::Late => break None,
            Sent::Silence(error) if begun.elapsed() >= PATIENCE => break Some(error),
            // Once more, without a question before: it would be met by the same silence. Should the first one have
            // landed, or land after all, this one comes late and finds it.
            Sent::Silence(error) => {
                tracing::debug!(%error, "appending again");
                sleep(PAUSE).await;
                if begun.elapsed() > LEADERLESS_MAX {
                    wait = longer(wait);
                }
            }
        }
    };
    // The expectation pins the place: what stands there now is this commit, or somebody else's.
    let next = asker.next_of(&subject, Position(after.0 + 1)).await;
    match (next.map_err(unavailable)?, silence) {
        (Some(next), _) if is_same(&next, &commit) => Ok(tip(&commit, next.position)),
        (None, Some(error)) => Err(AppendError::Unavailable(error)),
        _ => Err(conflict(asker, &commit).await),
    }
}

fn follows(commit: &EncodedCommit, expected: Option<Tip>) -> bool {
    commit.prev == expected.map(|tip| tip.hash)
        && commit.version.0 == expected.map_or(0, |tip| tip.version.0) + 1
}

/// A leader that is lost is replaced within about this; until then a try waits no longer than the first.
const LEADERLESS_MAX: Duration = Duration::from_secs(10);
/// Between two tries of the same publish.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn copy(
    asker: &Asker,
    window: &Window,
    at: Position,
    commit: EncodedCommit,
) -> Result<(), AppendError> {
    let subject = checked(asker, &commit)?;
    let _permit = window.enter(commit.bytes.len()).await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(there) = stands(asker, at, &commit).await? {
            return there;
        }
        let last = asker.last_of(&commit.stream).await.map_err(unavailable)?;
        let expected = [
            (header::NATS_EXPECTED_LAST_SEQUENCE, Position(at.0 - 1)),
            (
                header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
                last.map_or(Position(0), |raw| raw.position),
            ),
        ];
        let headers = headers(&commit, &expected);
        match publish(asker, &subject, headers, &commit, ANSWER_MAX).await? {
            Sent::At(position, false) if position == at => return Ok(()),
            // What stands there now is looked at above.
            Sent::At(..) | Sent::Late if Instant::now() < deadline => {}
            Sent::Silence(_) if Instant::now() < deadline => sleep(PAUSE).await,
            Sent::Silence(error) => return Err(AppendError::Unavailable(error)),
            Sent::At(..) | Sent::Late => return Err(AppendError::Occupied { at }),
        }
    }
}

/// Whether something stands at a position already, or cannot yet; `None` if the log ends just before it.
async fn stands(
    asker: &Asker,
    at: Position,
    commit: &EncodedCommit,
) -> Result<Option<Result<(), AppendError>>, AppendError> {
    let head = asker.last().await.map_err(unavailable)?;
    if at.0 == head.0 + 1 {
        return Ok(None);
    }
    if at.0 == 0 || at > head {
        return Ok(Some(Err(AppendError::Gap { at, head })));
    }
    let there = asker.at(at).await.map_err(unavailable)?;
    Ok(Some(match there {
        Some(there) if there.hash == commit.hash => Ok(()),
        _ => Err(AppendError::Occupied { at }),
    }))
}

fn checked(asker: &Asker, commit: &EncodedCommit) -> Result<String, AppendError> {
    let bytes = commit.bytes.len();
    if bytes > COMMIT_BYTES_MAX {
        return Err(AppendError::TooLarge {
            bytes,
            max: COMMIT_BYTES_MAX,
        });
    }
    asker.subject(&commit.stream).map_err(unavailable)
}

fn tip(commit: &EncodedCommit, position: Position) -> Tip {
    Tip {
        position,
        version: commit.last_version(),
        hash: commit.hash,
    }
}

fn is_same(there: &Raw, commit: &EncodedCommit) -> bool {
    there.hash == commit.hash
}

/// A commit that does not follow on what its writer expects can only have landed before, wherever that was.
async fn misfit(asker: &Asker, commit: &EncodedCommit) -> Result<Tip, AppendError> {
    let all = asker.stream_after(&commit.stream, Position(0)).await;
    let mut all = all.map_err(unavailable)?.into_iter();
    match all.find(|there| is_same(there, commit)) {
        Some(there) => Ok(tip(commit, there.position)),
        None => Err(conflict(asker, commit).await),
    }
}

async fn conflict(asker: &Asker, commit: &EncodedCommit) -> AppendError {
    let last = match asker.last_of(&commit.stream).await {
        Ok(last) => last,
        Err(error) => return unavailable(error),
    };
    let tip = last.map(|raw| raw.parse().map(|there| tip(&there, raw.position)));
    match tip.transpose() {
        Ok(tip) => AppendError::Conflict {
            stream: commit.stream.clone(),
            tip,
        },
        Err(error) => AppendError::Damaged(Box::new(error)),
    }
}

fn unavailable(error: ReadError) -> AppendError {
    match error {
        ReadError::Store(cause) => AppendError::Unavailable(cause),
        error => AppendError::Damaged(Box::new(error)),
    }
}

fn headers(commit: &EncodedCommit, expected: &[(header::HeaderName, Position)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::NATS_MESSAGE_ID, commit.id.to_string());
    for (name, position) in expected {
        headers.insert(name.clone(), position.0.to_string());
    }
    headers
}

/// The acknowledgement is waited for so long.
async fn publish(
    asker: &Asker,
    subject: &str,
    headers: HeaderMap,
    commit: &EncodedCommit,
    wait: Duration,
) -> Result<Sent, AppendError> {
    let bytes = Bytes::from_owner(commit.bytes.clone());
    let sent = asker
        .context
        .publish_with_headers(subject.to_owned(), headers, bytes)
        .await;
    let acknowledged = match sent {
        Ok(acknowledgement) => match timeout(wait, acknowledgement.into_future()).await {
            Ok(acknowledged) => acknowledged,
            Err(late) => return Ok(Sent::Silence(late.into())),
        },
        Err(error) => Err(error),
    };
    match acknowledged {
        Ok(PublishAck {
            sequence,
            duplicate,
            ..
        }) => Ok(Sent::At(Position(sequence), duplicate)),
        Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(Sent::Late),
        Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
            Err(AppendError::TooLarge {
                bytes: commit.bytes.len(),
                max: asker.context.client().max_payload(),
            })
        }
        Err(error) if is_full(&error) => Err(AppendError::Full(error.into())),
        Err(error) => Ok(Sent::Silence(error.into())),
    }
}

/// Whether the server said that it has no room.
fn is_full(error: &PublishError) -> bool {
    let source = std::error::Error::source(error);
    let code = source
        .and_then(|source| source.downcast_ref::<jetstream::Error>())
        .map(jetstream::Error::error_code);
    [
        ErrorCode::STREAM_STORE_FAILED,
        ErrorCode::STORAGE_RESOURCES_EXCEEDED,
        ErrorCode::INSUFFICIENT_RESOURCES,
    ]
    .into_iter()
    .any(|full| code == Some(full))
}
