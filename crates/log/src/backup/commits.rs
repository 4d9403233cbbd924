//! Copying commits from one log into another, many to a transaction.

use std::path::Path;
use std::task::Poll;

use futures::StreamExt;
use futures::future::{BoxFuture, poll_fn};
use mirage_domain::id::Position;

use super::Error;
use crate::{AppendError, EncodedCommit, EventLog, Filter, Read, ReadError};

/// Commits that are handed to the target at once: they share a transaction.
const GROUP_COMMITS: usize = 64;
/// Bytes of commits after which a group is handed over.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// Both logs say the same, as far as both go.
pub(super) async fn must_agree(
    from: &dyn EventLog,
    to: &dyn EventLog,
    path: &Path,
    upto: Position,
) -> Result<(), Error> {
    let at = to.head().await?.position.min(upto);
    if at == Position(0) || to.commit(at).await?.log_hash == from.commit(at).await?.log_hash {
        return Ok(());
    }
    let path = path.to_owned();
    Err(Error::Other { path, at })
}

/// Copies what is missing, and holds the end of what was copied against the source; answers how many commits it were.
pub(super) async fn carry_commits(
    from: &dyn EventLog,
    to: &dyn EventLog,
    path: &Path,
    upto: Position,
) -> Result<u64, Error> {
    must_agree(from, to, path, upto).await?;
    let begun = to.head().await?.position;
    let mut read = from.read(begun, Filter::All);
    let (mut group, mut done) = (Group::to(to), begun);
    while done < upto {
        let recorded = match read.next().await.transpose()? {
            Some(Read::Commit(recorded)) => recorded,
            Some(Read::CaughtUp(_)) | None => return Err(ReadError::Absent(upto).into()),
        };
        done = recorded.position;
        group.push(recorded.position, recorded.encoded()).await?;
    }
    group.end().await?;
    must_agree(from, to, path, upto).await?;
    Ok(upto.0.saturating_sub(begun.0))
}

type Copied<'a> = BoxFuture<'a, Result<(), AppendError>>;

/// Commits on their way into a log.
pub(super) struct Group<'a> {
    to: &'a dyn EventLog,
    copies: Vec<Copied<'a>>,
    bytes: usize,
}

impl<'a> Group<'a> {
    pub(super) fn to(to: &'a dyn EventLog) -> Self {
        let copies = Vec::new();
        Self {
            to,
            copies,
            bytes: 0,
        }
    }

    /// Takes the next commit; hands over what has come together.
    pub(super) async fn push(&mut self, at: Position, commit: EncodedCommit) -> Result<(), Error> {
        self.bytes += commit.bytes.len();
        self.copies.push(self.to.copy(at, commit));
        match self.copies.len() >= GROUP_COMMITS || self.bytes >= GROUP_BYTES {
            true => self.end().await,
            false => Ok(()),
        }
    }

    /// Hands over what is left.
    pub(super) async fn end(&mut self) -> Result<(), Error> {
        self.bytes = 0;
        in_order(std::mem::take(&mut self.copies)).await
    }
}

/// Runs copies at once, each begun after the one before: in this order they queue at the log.
async fn in_order(mut copies: Vec<Copied<'_>>) -> Result<(), Error> {
    poll_fn(|context| {
        let mut is_done = true;
        let mut at = 0;
        while at < copies.len() {
            match copies[at].as_mut().poll(context) {
                Poll::Ready(copied) => {
                    copied?;
                    drop(copies.remove(at));
                }
                Poll::Pending => {
                    is_done = false;
                    at += 1;
                }
            }
        }
        if is_done {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    })
    .await
}
