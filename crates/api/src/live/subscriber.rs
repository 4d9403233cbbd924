//! One subscriber: first what happened, then what the tail hands out; no gap, no double.
//!
//! **Invariant:** it gets only events of its principal's workspace, each once, in the order of their cursors.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use mirage_domain::id::{Cursor, ModuleName, Position, ScanId};
use mirage_log::commit::{Commit, Entry};
use mirage_log::{Filter, Read, ReadError};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::guard::Guard;
use super::tail::{Shown, Tail, Told};
use super::{Kind, Seat};
use crate::auth::Principal;
use crate::error::Problem;
use crate::gateway::Gateway;

/// Before a log whose end lies behind the tail's is read again.
const BEHIND: Duration = Duration::from_millis(50);

/// Which events of the workspace somebody wants; an empty list is no condition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(super) scan: Option<ScanId>,
    pub(super) kinds: Vec<Kind>,
    /// Of the task that the event came from.
    pub(super) modules: Vec<ModuleName>,
}

impl Wanted {
    /// What was asked for.
    pub(crate) fn new(
        scan: Option<&str>,
        kinds: Vec<Kind>,
        modules: Vec<ModuleName>,
    ) -> Result<Self, Problem> {
        let scan = scan.map(ScanId::new).transpose();
        Ok(Self {
            scan: scan.map_err(|error| Problem::new("bad_id", error))?,
            kinds,
            modules,
        })
    }

    fn commit(&self, commit: &Commit) -> bool {
        let scan = self.scan.as_ref();
        let module = commit.context.as_ref().map(|context| &context.module);
        let is_of_module = || module.is_some_and(|module| self.modules.contains(module));
        scan.is_none_or(|scan| commit.stream.scan.as_ref() == Some(scan))
            && (self.modules.is_empty() || is_of_module())
    }

    fn event(&self, entry: &Entry) -> bool {
        let kind = entry.event.kind();
        self.kinds.is_empty() || self.kinds.iter().any(|wanted| wanted.0 == kind)
    }

    fn filter(&self) -> Filter {
        self.scan.clone().map_or(Filter::All, Filter::Scan)
    }
}

/// What a subscriber is sent.
#[derive(Debug)]
pub(crate) enum Item {
    Event(Shown),
    /// The cursor lay beyond the end of the log, which is told: this is another log; it begins anew.
    Reset(Position),
    /// Nothing follows.
    End(End, Cursor),
}

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The other side left.
    Gone,
    /// The other side did not read.
    Slow,
    /// The credential opens nothing any more.
    Revoked,
    /// The gateway stops.
    Stopped,
    /// The log could not be read.
    Failed,
}

impl End {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Slow => "slow",
            Self::Revoked => "revoked",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// What a subscription begins with.
pub(crate) struct Beginning {
    pub(crate) who: Principal,
    pub(crate) token: String,
    pub(crate) after: Cursor,
    pub(crate) wanted: Wanted,
    pub(crate) seat: Seat,
}

/// See the module's doc.
pub(super) struct Subscriber {
    gateway: Arc<Gateway>,
    tail: Arc<Tail>,
    guard: Guard,
    wanted: Wanted,
    /// The last event that was given out, or before it began.
    cursor: Cursor,
    /// Everything up to here was seen.
    at: Position,
    out: mpsc::Sender<Item>,
    _seat: Seat,
}

/// Items that wait for a subscriber to take them.
const WAITING: usize = 64;

/// Begins a subscription; its items come by the receiver, and the last one says why it ended.
pub(crate) async fn begin(
    gateway: Arc<Gateway>,
    beginning: Beginning,
) -> Result<mpsc::Receiver<Item>, ReadError> {
    let tail = gateway.live.tail(&gateway.log).await?;
    let head = gateway.log.head().await?.position;
    let (out, items) = mpsc::channel(WAITING);
    let last = out.clone().try_reserve_owned();
    let last = last.expect("a channel that was just made has room");
    let is_reset = beginning.after.position > head;
    let cursor = match is_reset {
        true => BEFORE_ALL,
        false => beginning.after,
    };
    let mut subscriber = Subscriber {
        guard: Guard::new(gateway.clone(), &tail, beginning.who, beginning.token),
        gateway,
        tail,
        wanted: beginning.wanted,
        cursor,
        // The commit of the cursor may hold more.
        at: Position(cursor.position.0.saturating_sub(1)),
        out,
        _seat: beginning.seat,
    };
    tokio::spawn(async move {
        let reset = is_reset.then_some(Item::Reset(head));
        let end = subscriber.run(reset).await;
        last.send(Item::End(end, subscriber.cursor));
    });
    Ok(items)
}

/// Where somebody wants a stream to begin.
pub(crate) fn cursor(text: Option<&str>) -> Result<Cursor, Problem> {
    match text {
        None | Some("") => Ok(BEFORE_ALL),
        Some(text) => text
            .parse()
            .map_err(|error| Problem::new("bad_cursor", error)),
    }
}

/// Where the whole history begins.
pub(super) const BEFORE_ALL: Cursor = Cursor {
    position: Position(0),
    index: 0,
};

impl Subscriber {
    async fn run(&mut self, first: Option<Item>) -> End {
        if let Some(first) = first
            && let Err(end) = self.send(first).await
        {
            return end;
        }
        loop {
            let (mut commits, handed_out) = self.tail.join();
            let followed = async {
                self.catch_up(handed_out).await?;
                self.follow(&mut commits).await
            };
            if let Err(end) = followed.await {
                return end;
            }
        }
    }

    /// Reads the log until all is seen that the tail handed out before this one joined it.
    async fn catch_up(&mut self, handed_out: Position) -> Result<(), End> {
        self.history().await?;
        // A replica that is asked may be behind the one that the tail reads.
        while self.at < handed_out {
            tokio::time::sleep(BEHIND).await;
            self.history().await?;
        }
        Ok(())
    }

    async fn history(&mut self) -> Result<(), End> {
        let log = self.gateway.log.clone();
        let mut read = log.read(self.at, self.wanted.filter());
        loop {
            match self.guard.unless_over(&self.out, read.next()).await? {
                Some(Ok(Read::Commit(recorded))) => self.give(&Told::new(recorded)).await?,
                Some(Ok(Read::CaughtUp(position))) => {
                    self.at = self.at.max(position);
                    return Ok(());
                }
                Some(Err(_)) | None => return Err(End::Failed),
            }
        }
    }

    /// Gives out what the tail hands out, until something is missing.
    async fn follow(&mut self, commits: &mut broadcast::Receiver<Arc<Told>>) -> Result<(), End> {
        loop {
            let next = self.guard.unless_over(&self.out, commits.recv()).await?;
            match next {
                Ok(told) if told.recorded.position <= self.at => {}
                Ok(told) if told.recorded.position.0 == self.at.0 + 1 => self.give(&told).await?,
                Ok(_) | Err(RecvError::Lagged(_)) => return Ok(()),
                Err(RecvError::Closed) => return Err(End::Failed),
            }
        }
    }

    async fn give(&mut self, told: &Told) -> Result<(), End> {
        let recorded = &told.recorded;
        let is_own = recorded.commit.stream.workspace == *self.guard.who.workspace();
        if is_own && self.wanted.commit(&recorded.commit) {
            for (cursor, entry) in recorded.entries() {
                let is_wanted = entry.event.is_streamed() && self.wanted.event(entry);
                if cursor > self.cursor && is_wanted {
                    self.send(Item::Event(told.event(cursor).clone())).await?;
                    self.cursor = cursor;
                }
            }
        }
        self.at = recorded.position;
        Ok(())
    }

    async fn send(&mut self, item: Item) -> Result<(), End> {
        let item = match self.out.try_send(item) {
            Ok(()) => return Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(End::Gone),
            Err(mpsc::error::TrySendError::Full(item)) => item,
        };
        let patience = self.gateway.live.limits().patience;
        let room = self.guard.unless_over(&self.out, self.out.reserve());
        let room = timeout(patience, room).await.map_err(|_| End::Slow)??;
        room.map_err(|_| End::Gone)?.send(item);
        Ok(())
    }
}
