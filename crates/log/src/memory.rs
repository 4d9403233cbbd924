//! The log in memory: the model that the other backends are held against. Not durable; tests only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use mirage_domain::id::{Digest, Position, StreamId};
use tokio::sync::watch;

use crate::commit::decode;
use crate::{
    AppendError, Capabilities, EncodedCommit, EventLog, Filter, Head, Read, ReadError, Recorded,
    Tip,
};

#[derive(Default)]
struct State {
    commits: Vec<Arc<Recorded>>,
    tips: HashMap<StreamId, Tip>,
}

/// See the module's doc.
pub struct Memory {
    state: Mutex<State>,
    head: watch::Sender<Position>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            head: watch::channel(Position(0)).0,
        }
    }
}

impl State {
    fn head(&self) -> Head {
        self.commits.last().map_or(Head::EMPTY, |last| Head {
            position: last.position,
            log_hash: last.log_hash,
        })
    }

    fn push(&mut self, encoded: &EncodedCommit) -> Tip {
        let head = self.head();
        let position = Position(head.position.0 + 1);
        let commit = decode(&encoded.bytes).expect("an encoded commit decodes");
        let recorded = Recorded {
            position,
            hash: encoded.hash,
            log_hash: Digest::chain(head.log_hash, position, encoded.hash),
            bytes: encoded.bytes.clone(),
            commit,
        };
        let tip = recorded.tip();
        self.tips.insert(encoded.stream.clone(), tip);
        self.commits.push(Arc::new(recorded));
        tip
    }

    fn landed(&self, encoded: &EncodedCommit) -> Option<Tip> {
        let mut commits = self.commits.iter().rev();
        commits
            .find(|commit| commit.commit.id == encoded.id && commit.hash == encoded.hash)
            .map(|commit| commit.tip())
    }
}

impl Memory {
    fn locked<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().expect("no holder panics");
        let answer = act(&mut state);
        let head = state.head().position;
        self.head
            .send_if_modified(|known| std::mem::replace(known, head) != head);
        answer
    }

    fn after(&self, after: Position, filter: &Filter) -> Option<Arc<Recorded>> {
        self.locked(|state| {
            let mut rest = state.commits.iter().skip(after.0 as usize);
            rest.find(|commit| match filter {
                Filter::All => true,
                Filter::Scan(scan) => commit.commit.stream.scan.as_ref() == Some(scan),
            })
            .cloned()
        })
    }
}

#[async_trait]
impl EventLog for Memory {
    async fn append(
        &self,
        commit: EncodedCommit,
        expected: Option<Tip>,
    ) -> Result<Tip, AppendError> {
        self.locked(|state| {
            let tip = state.tips.get(&commit.stream).copied();
            let fits = commit.prev == tip.map(|tip| tip.hash)
                && commit.version.0 == tip.map_or(0, |tip| tip.version.0) + 1;
            match state.landed(&commit) {
                Some(landed) => Ok(landed),
                None if tip == expected && fits => Ok(state.push(&commit)),
                None => Err(AppendError::Conflict {
                    stream: commit.stream.clone(),
                    tip,
                }),
            }
        })
    }

    async fn copy(&self, at: Position, commit: EncodedCommit) -> Result<(), AppendError> {
        self.locked(|state| {
            let head = state.head().position;
            match state.commits.get((at.0 as usize).wrapping_sub(1)) {
                Some(there) if there.hash == commit.hash => Ok(()),
                Some(_) => Err(AppendError::Occupied { at }),
                None if at.0 == head.0 + 1 => {
                    state.push(&commit);
                    Ok(())
                }
                None => Err(AppendError::Gap { at, head }),
            }
        })
    }

    fn read(&self, after: Position, filter: Filter) -> BoxStream<'_, Result<Read, ReadError>> {
        let live = self.head.subscribe();
        Box::pin(stream::unfold(
            (after, filter, live, false),
            move |(after, filter, mut live, told)| async move {
                let mut told = told;
                loop {
                    let head = *live.borrow_and_update();
                    if let Some(commit) = self.after(after, &filter) {
                        let next = commit.position;
                        return Some((Ok(Read::Commit(commit)), (next, filter, live, told)));
                    }
                    if !told {
                        told = true;
                        return Some((Ok(Read::CaughtUp(head)), (after, filter, live, told)));
                    }
                    live.changed().await.ok()?;
                }
            },
        ))
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Position,
    ) -> Result<Vec<Arc<Recorded>>, ReadError> {
        let wanted =
            |commit: &&Arc<Recorded>| commit.commit.stream == *stream && commit.position > after;
        Ok(self.locked(|state| state.commits.iter().filter(wanted).cloned().collect()))
    }

    async fn commit(&self, at: Position) -> Result<Arc<Recorded>, ReadError> {
        let index = (at.0 as usize).wrapping_sub(1);
        self.locked(|state| state.commits.get(index).cloned())
            .ok_or(ReadError::Absent(at))
    }

    async fn head(&self) -> Result<Head, ReadError> {
        Ok(self.locked(|state| state.head()))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            backend: "memory",
            is_durable: false,
            replicas: 1,
            server: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    async fn fresh() -> (Memory, ()) {
        (Memory::default(), ())
    }

    crate::contract::suite!(fresh);
}
