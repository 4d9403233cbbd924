//! Reading one stream: its end from the leader, the rest in pages from any replica.

use std::sync::Arc;

use mirage_domain::id::{Digest, Position, StreamId};

use super::ask::Asker;
use super::batch::Of;
use super::raw::Raw;
use crate::error::Damage;
use crate::{ReadError, Recorded, Tip};

impl Asker {
    /// The messages of a stream after a position, all that the leader knows.
    pub(super) async fn stream_after(
        &self,
        stream: &StreamId,
        after: Position,
    ) -> Result<Vec<Raw>, ReadError> {
        let last = match self.last_of(stream).await? {
            Some(last) if last.position > after => last,
            _ => return Ok(Vec::new()),
        };
        let mut messages = Vec::new();
        let mut at = after;
        while at < last.position {
            let page = self.stream_page(stream, at, &last).await?;
            at = page.last().map_or(last.position, |raw| raw.position);
            messages.extend(page);
        }
        Ok(messages)
    }

    /// The next messages of a stream after a position and up to its last one.
    async fn stream_page(
        &self,
        stream: &StreamId,
        after: Position,
        last: &Raw,
    ) -> Result<Vec<Raw>, ReadError> {
        let subject = self.subject(stream)?;
        let from = Position(after.0 + 1);
        if from == last.position {
            return Ok(vec![last.clone()]);
        }
        let page = self.page(Of::Subject(&subject), from).await?;
        match page.messages.is_empty() {
            // That replica is behind.
            true => Ok(self.next_of(&subject, from).await?.into_iter().collect()),
            false => Ok(page.messages),
        }
    }
}

pub(super) async fn read(
    asker: &Asker,
    stream: &StreamId,
    after: Position,
) -> Result<Vec<Arc<Recorded>>, ReadError> {
    let messages = asker.stream_after(stream, after).await?;
    // What stands at `after` may be any stream's, so the first one's predecessor is known only at the beginning.
    let before = match after {
        Position(0) => Before::Known(None),
        _ => Before::Unknown,
    };
    chained(asker, messages, before)
}

pub(super) async fn read_page(
    asker: &Asker,
    stream: &StreamId,
    tip: Option<Tip>,
) -> Result<Vec<Arc<Recorded>>, ReadError> {
    let after = tip.map_or(Position(0), |tip| tip.position);
    let messages = match asker.last_of(stream).await? {
        Some(last) if last.position > after => asker.stream_page(stream, after, &last).await?,
        _ => Vec::new(),
    };
    chained(asker, messages, Before::Known(tip.map(|tip| tip.hash)))
}

#[derive(Clone, Copy)]
enum Before {
    Known(Option<Digest>),
    Unknown,
}

/// The commits of one stream, each held against the one before it.
fn chained(
    asker: &Asker,
    messages: Vec<Raw>,
    mut before: Before,
) -> Result<Vec<Arc<Recorded>>, ReadError> {
    let mut commits = Vec::with_capacity(messages.len());
    for raw in messages {
        // The log's hash is carried by unfiltered readers alone.
        let recorded = raw.decode(&asker.prefix, Digest::EMPTY)?;
        match before {
            Before::Known(hash) if hash != recorded.commit.prev => {
                return Err(ReadError::Damaged {
                    at: recorded.position,
                    what: Damage::Chain,
                });
            }
            _ => before = Before::Known(Some(recorded.hash)),
        }
        commits.push(Arc::new(recorded));
    }
    Ok(commits)
}
