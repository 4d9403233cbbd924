//! Whether the evidence that the log cites is there and is what was stored.

use std::collections::{HashMap, HashSet};
use std::io::SeekFrom;

use futures::{StreamExt, TryStreamExt};
use mirage_domain::id::{Cursor, Digest, Position, WorkspaceId};

use super::{Error, EvidenceStore};
use crate::{EventLog, Filter, Read, ReadError, Recorded};

/// Digests that are remembered, so that a page that many findings cite is read once: 8 MiB.
const REMEMBERED_MAX: usize = 128 * 1024;

/// Evidence that an event cites and that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    pub workspace: WorkspaceId,
    pub digest: Digest,
    /// The event.
    pub cited_at: Cursor,
    /// Whether it is there with other bytes; else it is not there at all.
    pub is_damaged: bool,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cited {
    pub items: u64,
    pub bytes: u64,
    pub bad: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum CitedError {
    #[error(transparent)]
    Log(#[from] ReadError),
    #[error(transparent)]
    Evidence(#[from] Error),
}

/// Reads all evidence that the events after a position cite, and tells what is bad; without a store all of it is missing.
pub async fn check_cited(
    log: &dyn EventLog,
    store: Option<&dyn EvidenceStore>,
    after: Position,
    filter: Filter,
    mut told: impl FnMut(Bad),
) -> Result<Cited, CitedError> {
    let mut read = log.read(after, filter);
    let mut seen: HashSet<(WorkspaceId, Digest)> = HashSet::new();
    let mut cited = Cited::default();
    while let Some(next) = read.next().await {
        let Read::Commit(recorded) = next? else { break };
        let workspace = &recorded.commit.stream.workspace;
        for (digest, cited_at) in citations(&recorded) {
            if seen.len() >= REMEMBERED_MAX {
                seen.clear();
            }
            if !seen.insert((workspace.clone(), digest)) {
                continue;
            }
            cited.items += 1;
            let got = match store {
                // Read in pieces: what was imported may be larger than memory.
                Some(store) => store.open(workspace, digest).await,
                None => Ok(None),
            };
            let is_damaged = match got {
                Ok(Some(mut stored)) => {
                    let bytes = stored.seek(SeekFrom::End(0));
                    cited.bytes += bytes.map_err(|error| Error::Get {
                        digest,
                        source: error.into(),
                    })?;
                    continue;
                }
                Ok(None) => false,
                Err(Error::Damaged { .. }) => true,
                Err(error) => return Err(error.into()),
            };
            cited.bad += 1;
            told(Bad {
                workspace: workspace.clone(),
                digest,
                cited_at,
                is_damaged,
            });
        }
    }
    Ok(cited)
}

/// Evidence that the commits up to a position cite and a store does not hold; nothing is read but what is kept.
pub async fn missing(
    log: &dyn EventLog,
    store: &dyn EvidenceStore,
    upto: Position,
) -> Result<Vec<Digest>, CitedError> {
    let mut held: HashMap<WorkspaceId, HashSet<Digest>> = HashMap::new();
    let mut missing = Vec::new();
    let mut read = log.read(Position(0), Filter::All);
    while let Some(next) = read.next().await {
        let Read::Commit(recorded) = next? else { break };
        if recorded.position > upto {
            break;
        }
        let workspace = &recorded.commit.stream.workspace;
        for (digest, _) in citations(&recorded) {
            if !held.contains_key(workspace) {
                let all = store.list(workspace).try_collect().await?;
                held.insert(workspace.clone(), all);
            }
            // Once is enough to be told.
            if held
                .get_mut(workspace)
                .is_some_and(|held| held.insert(digest))
            {
                missing.push(digest);
            }
        }
    }
    Ok(missing)
}

fn citations(recorded: &Recorded) -> impl Iterator<Item = (Digest, Cursor)> {
    recorded.entries().flat_map(|(cursor, entry)| {
        let cited = entry.event.evidence().into_iter();
        cited.map(move |digest| (digest, cursor))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{encoded, workspace};
    use crate::evidence::Files;
    use crate::memory::Memory;

    #[tokio::test]
    async fn what_is_cited_and_missing_or_damaged_is_told_with_its_event() {
        let (log, dir) = (Memory::default(), tempfile::tempdir().unwrap());
        let store = Files::open(dir.path()).unwrap();
        for n in 1..=5u64 {
            log.append(encoded(n, None), None).await.unwrap();
            if n != 2 {
                let bytes = n.to_be_bytes().to_vec();
                store.put(&workspace(), bytes).await.unwrap();
            }
        }
        store.flush().await.unwrap();
        rusqlite::Connection::open(dir.path().join("small.db"))
            .unwrap()
            .execute(
                "UPDATE items SET bytes = x'00' WHERE digest = ?1",
                [Digest::of(&4u64.to_be_bytes()).0],
            )
            .unwrap();
        let mut bad = Vec::new();
        let cited = check_cited(&log, Some(&store), Position(0), Filter::All, |one| {
            bad.push(one)
        });
        let cited = cited.await.unwrap();
        assert_eq!((cited.items, cited.bytes, cited.bad), (5, 24, 2));
        let told: Vec<_> = bad
            .iter()
            .map(|bad| (bad.cited_at.position.0, bad.is_damaged))
            .collect();
        assert_eq!(told, [(2, false), (4, true)]);
        let later = check_cited(&log, Some(&store), Position(4), Filter::All, |_| {});
        assert_eq!(later.await.unwrap().items, 1);
    }
}
