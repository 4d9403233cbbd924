//! A reader of the log: history page by page, the next one read ahead, then live.

use std::collections::VecDeque;
use std::sync::Arc;

use mirage_domain::id::{Digest, Position};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Inner;
use super::live::Seen;
use super::page::Page;
use super::raw::Raw;
use crate::error::Damage;
use crate::{Filter, Read, ReadError};

pub(super) struct Tail {
    inner: Arc<Inner>,
    live: watch::Receiver<Seen>,
    ready: VecDeque<(Raw, Digest)>,
    /// Where to go on; `None` after an error.
    next: Option<Next>,
    /// What the log held at the start; told when it has been read.
    start: Option<Position>,
    is_caught_up: bool,
}

enum Next {
    Idle(Page),
    /// Being read while what is ready is handled.
    Ahead(JoinHandle<Result<Page, ReadError>>),
}

impl Tail {
    pub(super) fn new(inner: Arc<Inner>, after: Position, filter: Filter) -> Self {
        Self {
            live: inner.live.subscribe(),
            inner,
            ready: VecDeque::new(),
            next: Some(Next::Idle(Page::first(after, filter))),
            start: None,
            is_caught_up: false,
        }
    }

    pub(super) async fn next(&mut self) -> Option<Result<Read, ReadError>> {
        loop {
            if let Some((raw, log_hash)) = self.ready.pop_front() {
                let decoded = raw.decode(&self.inner.asker.prefix, log_hash);
                if decoded.is_err() {
                    self.ready.clear();
                    self.next = None;
                }
                return Some(decoded.map(|recorded| Read::Commit(Arc::new(recorded))));
            }
            self.next.as_ref()?;
            match self.step().await {
                Ok(Some(caught_up)) => return Some(Ok(Read::CaughtUp(caught_up))),
                Ok(None) => {}
                Err(error) => {
                    self.next = None;
                    return Some(Err(error));
                }
            }
        }
    }

    /// Makes something ready, or says once that all was.
    async fn step(&mut self) -> Result<Option<Position>, ReadError> {
        let head = match &mut self.next {
            None => unreachable!("the reader has not ended"),
            Some(Next::Ahead(reading)) => {
                let page = reading.await;
                self.take(page.map_err(|error| ReadError::Store(error.into()))??);
                return Ok(None);
            }
            Some(Next::Idle(page)) => {
                let after = page.after;
                self.head(after).await?
            }
        };
        let Some(Next::Idle(page)) = self.next.take() else {
            unreachable!("it was idle")
        };
        if page.after < head {
            self.next = Some(Next::Ahead(self.read(page, head)));
            return Ok(None);
        }
        let after = page.after;
        self.next = Some(Next::Idle(page));
        if !self.is_caught_up {
            self.is_caught_up = true;
            return Ok(Some(after));
        }
        self.wait(after).await.map(|()| None)
    }

    fn take(&mut self, mut page: Page) {
        self.ready = std::mem::take(&mut page.ready);
        let head = self.start.unwrap_or_default().max(self.live.borrow().head);
        self.next = Some(match page.after < head {
            true => Next::Ahead(self.read(page, head)),
            false => Next::Idle(page),
        });
    }

    fn read(&self, page: Page, head: Position) -> JoinHandle<Result<Page, ReadError>> {
        tokio::spawn(page.next(self.inner.clone(), head))
    }

    /// The log's end as far as it is known; at first the leader is asked.
    async fn head(&mut self, after: Position) -> Result<Position, ReadError> {
        let start = match self.start {
            Some(start) => start,
            None => self.inner.last_from(after).await?,
        };
        self.start = Some(start);
        Ok(start.max(self.live.borrow_and_update().head))
    }

    /// Until the log goes on.
    async fn wait(&mut self, after: Position) -> Result<(), ReadError> {
        // What this reader has seen was there: a log that ends before it was cut.
        self.inner.live.tell(after);
        self.inner.live.watch(&self.inner.asker);
        loop {
            let seen = *self.live.borrow_and_update();
            if let Some(head) = seen.cut {
                let what = Damage::BehindAnchor { head };
                return Err(ReadError::Damaged {
                    at: seen.head,
                    what,
                });
            }
            if seen.head > after {
                return Ok(());
            }
            let changed = self.live.changed().await;
            changed.map_err(|error| ReadError::Store(error.into()))?;
        }
    }
}
