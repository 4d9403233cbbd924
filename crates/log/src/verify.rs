//! Verifying a whole log: bytes, log hash, positions, and each stream's chain.
//!
//! Memory is bounded by the number of streams: their tips are kept.

use std::collections::HashMap;

use futures::StreamExt;
use mirage_domain::id::{Digest, Position, StreamId, Version};

use crate::error::Damage;
use crate::{EventLog, Filter, Head, Read, ReadError, Recorded};

/// What a clean log held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub head: Head,
    pub events: u64,
    pub streams: u64,
}

/// Reads the whole log and holds every commit against its bytes, the log hash, and its stream's previous commit.
/// The error names the first bad position.
pub async fn verify(log: &dyn EventLog) -> Result<Verified, ReadError> {
    let mut read = log.read(Position(0), Filter::All);
    let mut tips: HashMap<StreamId, (Digest, Version)> = HashMap::new();
    let (mut head, mut events) = (Head::EMPTY, 0);
    while let Some(next) = read.next().await {
        let recorded = match next? {
            Read::Commit(recorded) => recorded,
            Read::CaughtUp(_) => break,
        };
        follow(&mut tips, &recorded)?;
        events += recorded.commit.events.len() as u64;
        head = Head {
            position: recorded.position,
            log_hash: recorded.log_hash,
        };
    }
    Ok(Verified {
        head,
        events,
        streams: tips.len() as u64,
    })
}

fn follow(
    tips: &mut HashMap<StreamId, (Digest, Version)>,
    recorded: &Recorded,
) -> Result<(), ReadError> {
    let commit = &recorded.commit;
    let tip = recorded.tip();
    let previous = tips.insert(commit.stream.clone(), (tip.hash, tip.version));
    let (prev, version) = previous.map_or((None, 1), |(hash, last)| (Some(hash), last.0 + 1));
    match commit.prev == prev && commit.version.0 == version {
        true => Ok(()),
        false => Err(ReadError::Damaged {
            at: recorded.position,
            what: Damage::Chain,
        }),
    }
}
