//! Deliveries of one subscription: how far all was sent, what is retried, and the last outcomes.
//!
//! **Invariant:** only the last one that claimed the stream writes outcomes into it; one that wakes up late is refused.
//! **Invariant:** a cursor is committed after its event was delivered or given up, never before: what was sent and not
//! yet committed is sent again, under the same id.

mod events;
mod schedule;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use events::*;
pub use schedule::GIVE_UP_AFTER;

use crate::id::Cursor;

/// Outcomes that are remembered, the newest events'.
pub const ROWS_MAX: usize = 1000;
/// Longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 300;

/// How it stands with one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Delivered,
    Retrying,
    GivenUp,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retrying => "retrying",
            Self::GivenUp => "given-up",
        }
    }
}

/// What came of one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub kind: String,
    pub state: State,
    pub attempts: u32,
    pub status: Option<u16>,
    pub reason: Option<String>,
    pub first_at: Timestamp,
    /// Of the last try.
    pub at: Timestamp,
    /// Of one that is retried; none: at once.
    pub next_at: Option<Timestamp>,
}

/// The deliveries of a subscription.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Deliveries {
    /// Who delivers.
    pub holder: Option<String>,
    /// Everything that matches was delivered or given up, up to here.
    pub through: Option<Cursor>,
    /// The next one, which failed; all later ones wait for it.
    pub open: Option<Cursor>,
    /// To be sent once more.
    pub resends: BTreeSet<Cursor>,
    pub rows: BTreeMap<Cursor, Row>,
}

/// A try that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fail {
    pub holder: String,
    pub cursor: Cursor,
    pub kind: String,
    pub status: Option<u16>,
    pub reason: String,
    pub at: Timestamp,
}

/// Everything that can be asked of the deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Claim { holder: String },
    Deliver { holder: String, items: Vec<Item> },
    Fail(Fail),
    Resend { cursor: Cursor },
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("another one delivers by now")]
    Fenced,
    #[error("there is no such delivery among the last {ROWS_MAX}")]
    NoDelivery,
}

fn decide(deliveries: &Deliveries, command: Command) -> Result<Option<Event>, Error> {
    match command {
        Command::Claim { holder } => Ok(Some(Claimed { holder }.into())),
        Command::Deliver { holder, items } => {
            deliveries.is_held_by(&holder)?;
            Ok((!items.is_empty()).then(|| Delivered { items }.into()))
        }
        Command::Fail(failed) => {
            deliveries.is_held_by(&failed.holder)?;
            Ok(Some(fail(deliveries, failed)))
        }
        Command::Resend { cursor } => {
            let is_known = deliveries.rows.contains_key(&cursor);
            let is_asked = deliveries.resends.contains(&cursor) || deliveries.is_due(cursor);
            match (is_known, is_asked) {
                (false, _) => Err(Error::NoDelivery),
                (true, true) => Ok(None),
                (true, false) => Ok(Some(ResendRequested { cursor }.into())),
            }
        }
    }
}

/// What follows from a failure: another try later, or none. One that was sent once more for somebody is not repeated.
fn fail(deliveries: &Deliveries, failed: Fail) -> Event {
    let Fail {
        holder,
        cursor,
        kind,
        status,
        mut reason,
        at,
    } = failed;
    cut(&mut reason);
    let before = deliveries.rows.get(&cursor);
    let attempt = before.map_or(0, |row| row.attempts) + 1;
    let first_at = before.map_or(at, |row| row.first_at);
    let seed = format!("{holder} {cursor}");
    let next_at = match deliveries.resends.contains(&cursor) {
        true => None,
        false => schedule::next(attempt, first_at, at, &seed),
    };
    match next_at {
        Some(next_at) => Event::from(Failed {
            cursor,
            kind,
            attempt,
            status,
            reason,
            first_at,
            at,
            next_at,
        }),
        None => Event::from(GivenUp {
            cursor,
            kind,
            attempts: attempt,
            status,
            reason,
            at,
        }),
    }
}

fn cut(reason: &mut String) {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.truncate(end);
}

crate::aggregate::aggregate!(Deliveries, "delivery");

impl Deliveries {
    fn is_held_by(&self, holder: &str) -> Result<(), Error> {
        match self.holder.as_deref() == Some(holder) {
            true => Ok(()),
            false => Err(Error::Fenced),
        }
    }

    /// Whether it is the open one, and to be tried at once.
    fn is_due(&self, cursor: Cursor) -> bool {
        let row = self.rows.get(&cursor);
        self.open == Some(cursor) && row.is_some_and(|row| row.next_at.is_none())
    }

    /// How often an event was tried.
    pub fn attempts(&self, cursor: Cursor) -> u32 {
        self.rows.get(&cursor).map_or(0, |row| row.attempts)
    }

    fn fold(&mut self, event: Event) {
        match event {
            Event::Claimed(claimed) => self.holder = Some(claimed.holder),
            Event::Delivered(delivered) => {
                for item in delivered.items {
                    let row = Row {
                        kind: item.kind,
                        state: State::Delivered,
                        attempts: item.attempts,
                        status: Some(item.status),
                        reason: None,
                        first_at: item.at,
                        at: item.at,
                        next_at: None,
                    };
                    self.end(item.cursor, row);
                }
            }
            Event::Failed(failed) => {
                self.open = Some(failed.cursor);
                let row = Row {
                    kind: failed.kind,
                    state: State::Retrying,
                    attempts: failed.attempt,
                    status: failed.status,
                    reason: Some(failed.reason),
                    first_at: failed.first_at,
                    at: failed.at,
                    next_at: Some(failed.next_at),
                };
                self.note(failed.cursor, row);
            }
            Event::GivenUp(given_up) => {
                let row = Row {
                    kind: given_up.kind,
                    state: State::GivenUp,
                    attempts: given_up.attempts,
                    status: given_up.status,
                    reason: Some(given_up.reason),
                    first_at: given_up.at,
                    at: given_up.at,
                    next_at: None,
                };
                self.end(given_up.cursor, row);
            }
            Event::ResendRequested(asked) => self.ask(asked.cursor),
        }
    }

    fn ask(&mut self, cursor: Cursor) {
        match self.rows.get_mut(&cursor) {
            Some(row) if self.open == Some(cursor) => row.next_at = None,
            Some(_) => {
                self.resends.insert(cursor);
            }
            None => {}
        }
    }

    /// Nobody tries it again by himself.
    fn end(&mut self, cursor: Cursor, row: Row) {
        self.resends.remove(&cursor);
        self.open = self.open.filter(|open| *open != cursor);
        self.through = self.through.max(Some(cursor));
        self.note(cursor, row);
    }

    fn note(&mut self, cursor: Cursor, mut row: Row) {
        if let Some(before) = self.rows.get(&cursor) {
            row.first_at = before.first_at;
        }
        self.rows.insert(cursor, row);
        if self.rows.len() > ROWS_MAX
            && let Some((oldest, _)) = self.rows.pop_first()
        {
            self.resends.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests;
