//! A reader of the log: history page by page, the next one read ahead, then live.

use std::collections::VecDeque;
use std::sync::Arc;

use mirage_domain::id::Position;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Readers;
use super::read::{Page, Raw};
use crate::{Read, ReadError};

type Reading = JoinHandle<Result<Page, ReadError>>;

pub(super) struct Tail {
    readers: Arc<Readers>,
    live: watch::Receiver<Position>,
    ready: VecDeque<Raw>,
    /// Where to go on; `None` after an error.
    next: Option<Next>,
    is_caught_up: bool,
}

enum Next {
    Idle(Page),
    /// Being read while what is ready is handled.
    Ahead(Reading),
}

impl Tail {
    pub(super) fn new(readers: Arc<Readers>, live: watch::Receiver<Position>, page: Page) -> Self {
        let next = Some(Next::Idle(page));
        Self {
            readers,
            live,
            ready: VecDeque::new(),
            next,
            is_caught_up: false,
        }
    }

    fn read(&self, page: Page) -> Reading {
        let readers = self.readers.clone();
        tokio::task::spawn_blocking(move || readers.with(|connection| page.next(connection)))
    }

    pub(super) async fn next(&mut self) -> Option<Result<Read, ReadError>> {
        loop {
            if let Some(raw) = self.ready.pop_front() {
                let decoded = raw.decode();
                if decoded.is_err() {
                    self.ready.clear();
                    self.next = None;
                }
                return Some(decoded.map(|recorded| Read::Commit(Arc::new(recorded))));
            }
            // Taken before the page is read: what is appended meanwhile wakes the reader again.
            let head = *self.live.borrow_and_update();
            let (reading, is_old) = match self.next.take()? {
                Next::Idle(page) => (self.read(page), false),
                Next::Ahead(reading) => (reading, true),
            };
            let mut page = match reading.await {
                Ok(Ok(page)) => page,
                Ok(Err(error)) => return Some(Err(error)),
                Err(error) => return Some(Err(ReadError::Store(error.into()))),
            };
            let after = page.after;
            self.ready = std::mem::take(&mut page.ready);
            self.next = Some(if page.is_full {
                Next::Ahead(self.read(page))
            } else {
                Next::Idle(page)
            });
            // A page that was read before the head was looked at may have missed the newest commit.
            if !self.ready.is_empty() || is_old {
                continue;
            }
            if !self.is_caught_up {
                self.is_caught_up = true;
                return Some(Ok(Read::CaughtUp(after.max(head))));
            }
            self.live.changed().await.ok()?;
        }
    }
}
