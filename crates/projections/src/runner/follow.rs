//! Following the log with a group of views: one reading, batches, folded side by side.
//!
//! Gathering goes on while a batch is folded, one batch ahead and in a task of its own: it never lets go of its thread
//! while there is something to decode. A view whose store or log is away leaves its group, so
//! that it keeps no other waiting, and is handed back to the runner, which tries again.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, join_all, select};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use mirage_domain::id::Position;
use mirage_log::{EventLog, Filter, Read, ReadError, Recorded};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::status::Progress;
use crate::{Error, Folded, Registered, Store};

/// A batch ends at whichever of these comes first: events (a row or a few each),
const EVENTS_MAX: usize = 8_192;
/// bytes of commits (memory, times two batches and what decoding adds),
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// and time, so that what is there already is not kept from readers.
const TIME_MAX: Duration = Duration::from_millis(25);

/// When following ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Never,
    CaughtUp,
}

pub(super) type Member = (Arc<Progress>, Store);

/// Where views go that may be tried again later; none where they have to end.
pub(super) type Lost = Option<mpsc::UnboundedSender<Arc<Progress>>>;

/// What becomes of a view after an error: it waits (none), or it has stopped.
pub(super) fn lose(progress: Arc<Progress>, error: Error, lost: &Lost) -> Option<Error> {
    match lost {
        Some(lost) if error.may_retry() => {
            progress.waits(&error);
            // Nobody listens any more: then nobody folds any more.
            let _ = lost.send(progress);
            None
        }
        _ => Some(progress.stop(error)),
    }
}

#[derive(Default)]
struct Batch {
    commits: Vec<Arc<Recorded>>,
    /// All that stood in the log is in this batch or an earlier one.
    is_caught_up: bool,
}

/// Runs SQLite's work where it keeps no other task waiting.
pub(super) async fn blocking<T: Send + 'static>(
    view: &'static Registered,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or(Err(Error::CutOff(view.name)))
}

/// Follows the log until the end, or until every view of the group has stopped.
pub(super) async fn follow(
    log: Arc<dyn EventLog>,
    group: Vec<Member>,
    end: End,
    lost: Lost,
) -> Result<(), Error> {
    let mut group = Group {
        members: group,
        stopped: None,
        lost,
    };
    group.follow(&log, end).await;
    let is_error = end == End::CaughtUp || group.members.is_empty();
    group.stopped.filter(|_| is_error).map_or(Ok(()), Err)
}

/// Follows the log to its head with one view that nobody asks yet.
pub(super) async fn to_head(
    log: Arc<dyn EventLog>,
    progress: Arc<Progress>,
    store: Store,
) -> Result<Store, Error> {
    let mut group = Group {
        members: vec![(progress, store)],
        stopped: None,
        lost: None,
    };
    group.follow(&log, End::CaughtUp).await;
    match (group.members.pop(), group.stopped) {
        (Some((_, store)), _) => Ok(store),
        (None, Some(error)) => Err(error),
        (None, None) => unreachable!("a view leaves its group with an error"),
    }
}

/// Reads the log into batches, until nobody takes them; an error is the last thing told.
async fn feed(
    log: Arc<dyn EventLog>,
    from: Position,
    batches: mpsc::Sender<Result<Batch, ReadError>>,
) {
    let mut read = log.read(from, Filter::All);
    let mut is_live = false;
    loop {
        let (batch, error) = {
            let gathering = pin!(gather(&mut read, &mut is_live));
            match select(gathering, pin!(batches.closed())).await {
                Either::Left((gathered, _)) => gathered,
                Either::Right(_) => return,
            }
        };
        if batches.send(Ok(batch)).await.is_err() {
            return;
        }
        if let Some(error) = error {
            // Nobody listens any more if this fails.
            let _ = batches.send(Err(error)).await;
            return;
        }
    }
}

/// What is ready, up to the bounds. During catch-up "ready" includes what comes within the time; live, nothing waits.
async fn gather(
    read: &mut BoxStream<'_, Result<Read, ReadError>>,
    is_live: &mut bool,
) -> (Batch, Option<ReadError>) {
    let mut batch = Batch::default();
    let (mut events, mut bytes) = (0, 0);
    let mut next = read.next().await;
    let deadline = Instant::now() + TIME_MAX;
    loop {
        match next {
            Some(Ok(Read::Commit(recorded))) => {
                events += recorded.commit.events.len();
                bytes += recorded.bytes.len();
                batch.commits.push(recorded);
            }
            Some(Ok(Read::CaughtUp(_))) => {
                *is_live = true;
                batch.is_caught_up = true;
                return (batch, None);
            }
            Some(Err(error)) => return (batch, Some(error)),
            None => return (batch, Some(ReadError::Absent(Position(0)))),
        }
        if events >= EVENTS_MAX || bytes >= BYTES_MAX || Instant::now() >= deadline {
            return (batch, None);
        }
        let ready = match *is_live {
            true => read.next().now_or_never(),
            false => timeout_at(deadline, read.next()).await.ok(),
        };
        match ready {
            Some(ready) => next = ready,
            None => return (batch, None),
        }
    }
}

struct Group {
    members: Vec<Member>,
    /// Why the first of those stopped that did.
    stopped: Option<Error>,
    lost: Lost,
}

impl Group {
    /// Until the end, or until nobody is left.
    async fn follow(&mut self, log: &Arc<dyn EventLog>, end: End) {
        while let Some(from) = self.lowest() {
            let (batches, ready) = mpsc::channel(1);
            // It ends when it has told of an error, or when nobody takes more.
            tokio::spawn(feed(log.clone(), from, batches));
            if self.fold_all(ready, end).await {
                return;
            }
        }
    }

    fn lowest(&self) -> Option<Position> {
        let positions = self
            .members
            .iter()
            .map(|(_, store)| store.checkpoint().position);
        positions.min()
    }

    /// Folds batches until the end (true), or until the log must be read from elsewhere or nobody is left (false).
    async fn fold_all(
        &mut self,
        mut ready: mpsc::Receiver<Result<Batch, ReadError>>,
        end: End,
    ) -> bool {
        while let Some(told) = ready.recv().await {
            let batch = match told {
                Ok(batch) => batch,
                Err(error) => {
                    self.stop_all(error);
                    return false;
                }
            };
            let is_any_behind = self.fold(Arc::new(batch.commits)).await;
            if is_any_behind || self.members.is_empty() {
                return false;
            }
            if batch.is_caught_up && end == End::CaughtUp {
                return true;
            }
        }
        false
    }

    /// One batch into every view, side by side; true if one of them needs commits from before the batch.
    async fn fold(&mut self, commits: Arc<Vec<Arc<Recorded>>>) -> bool {
        let work = std::mem::take(&mut self.members)
            .into_iter()
            .map(|member| fold_one(member, commits.clone()));
        let mut is_any_behind = false;
        for done in join_all(work).await {
            match done {
                Ok((member, folded)) => {
                    is_any_behind |= matches!(folded, Folded::Behind(_));
                    self.members.push(member);
                }
                Err((progress, error)) => self.lose(progress, error),
            }
        }
        is_any_behind
    }

    fn lose(&mut self, progress: Arc<Progress>, error: Error) {
        let stopped = lose(progress, error, &self.lost);
        self.stopped = self.stopped.take().or(stopped);
    }

    fn stop_all(&mut self, error: ReadError) {
        let reason = Arc::new(error);
        for (progress, _) in std::mem::take(&mut self.members) {
            let error = read_fault(progress.view, reason.clone());
            self.lose(progress, error);
        }
    }
}

async fn fold_one(
    member: Member,
    commits: Arc<Vec<Arc<Recorded>>>,
) -> Result<(Member, Folded), (Arc<Progress>, Error)> {
    let (progress, mut store) = member;
    let view = progress.view;
    let work = move || {
        let folded = store.fold(&commits)?;
        let events = commits
            .iter()
            .map(|recorded| recorded.commit.events.len() as u64)
            .sum();
        Ok((store, folded, events))
    };
    match blocking(view, work).await {
        Ok((store, folded, events)) => {
            progress.moved(&store, events);
            Ok(((progress, store), folded))
        }
        Err(error) => Err((progress, error)),
    }
}

/// Why a view cannot go on reading.
pub(super) fn read_fault(view: &'static Registered, source: Arc<ReadError>) -> Error {
    let is_newer = matches!(&*source, ReadError::Decode { source, .. } if source.is_newer());
    let view = view.name;
    match is_newer {
        true => Error::Newer { view, source },
        false => Error::Log { view, source },
    }
}
