//! Pages of the log: the next commits after a place, in order, the log hash carried along.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::future::try_join_all;
use mirage_domain::id::{Digest, Position};
use tokio::time::sleep;

use super::ask::Asker;
use super::batch::{Answer, Of};
use super::marks::{EVERY, Mark};
use super::raw::Raw;
use super::subject;
use super::{Inner, PAUSE};
use crate::error::Damage;
use crate::{Filter, Head, ReadError};

/// A place in the log and the messages that were read ahead of it.
pub(super) struct Page {
    filter: Filter,
    pub(super) after: Position,
    /// At `after`; known once an unfiltered reader has begun.
    log_hash: Option<Digest>,
    /// Each with the log hash there, which a filtered reader does not know.
    pub(super) ready: VecDeque<(Raw, Digest)>,
}

impl Page {
    pub(super) fn first(after: Position, filter: Filter) -> Self {
        Self {
            filter,
            after,
            log_hash: None,
            ready: VecDeque::new(),
        }
    }

    /// Reads what follows, up to a page's bounds; the log goes on to `head` at least.
    pub(super) async fn next(self, inner: Arc<Inner>, head: Position) -> Result<Self, ReadError> {
        match self.filter.clone() {
            Filter::All => self.next_of_all(&inner).await,
            Filter::Scan(scan) => {
                let subject = subject::of_scan(&inner.asker.prefix, &scan)
                    .map_err(|error| ReadError::Store(error.into()))?;
                self.next_of_scan(&inner.asker, &subject, head).await
            }
        }
    }

    async fn next_of_all(mut self, inner: &Inner) -> Result<Self, ReadError> {
        let log_hash = match self.log_hash {
            Some(log_hash) => log_hash,
            None => inner.marks.log_hash(&inner.asker, self.after).await?,
        };
        let mut head = Head {
            position: self.after,
            log_hash,
        };
        let mut marks = Vec::new();
        for raw in next(&inner.asker, Of::All, self.after).await?.messages {
            head = match carry(head, &raw) {
                Ok(head) => head,
                // What stands before a gap is read; the next page begins with the gap.
                Err(_) if !self.ready.is_empty() => break,
                Err(error) => return Err(error),
            };
            if head.position.0.is_multiple_of(EVERY) {
                marks.push(Mark {
                    position: head.position,
                    log_hash: head.log_hash,
                    commit: raw.hash,
                });
            }
            self.ready.push_back((raw, head.log_hash));
        }
        try_join_all(marks.into_iter().map(|mark| inner.marks.pass(mark))).await?;
        self.after = head.position;
        self.log_hash = Some(head.log_hash);
        Ok(self)
    }

    async fn next_of_scan(
        mut self,
        asker: &Asker,
        subject: &str,
        head: Position,
    ) -> Result<Self, ReadError> {
        let from = Position(self.after.0 + 1);
        let Answer {
            mut messages,
            is_end,
        } = asker.page(Of::Subject(subject), from).await?;
        let (mut is_end, mut head) = (is_end && !asker.is_replicated, head);
        if messages.is_empty() && asker.is_replicated {
            // A replica may be behind, and nothing would tell; and the leader, of what another replica has told already.
            // So its silence is worth as much as it knew before.
            let known = asker.last().await?;
            if known < head {
                sleep(PAUSE).await;
            }
            messages = asker.next_of(subject, from).await?.into_iter().collect();
            (is_end, head) = (messages.is_empty(), known.min(head));
        }
        self.after = messages.last().map_or(self.after, |raw| raw.position);
        if is_end {
            self.after = self.after.max(head);
        }
        let messages = messages.into_iter().map(|raw| (raw, Digest::EMPTY));
        self.ready.extend(messages);
        Ok(self)
    }
}

/// The messages after a position that is not the log's last one. Where the first is not the next one, the leader says
/// whether that is missing.
pub(super) async fn next(asker: &Asker, of: Of<'_>, after: Position) -> Result<Answer, ReadError> {
    let at = Position(after.0 + 1);
    let answer = asker.page(of, at).await?;
    if answer
        .messages
        .first()
        .is_some_and(|raw| raw.position == at)
    {
        return Ok(answer);
    }
    match asker.seen_at(at).await? {
        Some(raw) => Ok(Answer {
            messages: vec![raw],
            is_end: false,
        }),
        None => Err(ReadError::Damaged {
            at,
            what: Damage::Missing,
        }),
    }
}

/// The head after one more commit, which must be the next one.
pub(super) fn carry(head: Head, raw: &Raw) -> Result<Head, ReadError> {
    let position = Position(head.position.0 + 1);
    match raw.position == position {
        true => Ok(Head {
            position,
            log_hash: Digest::chain(head.log_hash, position, raw.hash),
        }),
        false => Err(ReadError::Damaged {
            at: position,
            what: Damage::Missing,
        }),
    }
}
