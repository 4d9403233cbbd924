//! How a view is doing: position, lag, age, rate, what is quarantined, and why it stopped.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mirage_domain::id::Position;
use mirage_log::EventLog;
use serde::Serialize;
use tokio::sync::watch;

use super::follow::read_fault;
use crate::{Error, Home, Registered, Store};

/// Time over which a rate is taken.
const WINDOW: Duration = Duration::from_secs(1);

/// Before a view whose store or log is away is tried again: this long, then twice as long each time,
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// but never longer, so that a sink catches up soon after it is back.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// One view, as `mirage views` shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    pub view: &'static str,
    pub version: u32,
    pub position: Position,
    /// Commits of the log that are not folded yet.
    pub lag: u64,
    /// Seconds since the oldest of those was recorded; 0 without lag.
    pub age_s: u64,
    /// Events per second that this process folded of late.
    pub rate: f64,
    /// Streams with an event that cannot be applied.
    pub quarantined: u64,
    /// Why this process stopped folding it.
    pub stopped: Option<String>,
    /// Why this process could not fold of late: it goes on trying.
    pub waits: Option<String>,
}

/// What the runner and its readers share about one view.
pub(super) struct Progress {
    pub(super) view: &'static Registered,
    pub(super) home: Arc<dyn Home>,
    position: watch::Sender<Position>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    quarantined: u64,
    stopped: Option<String>,
    waits: Option<String>,
    /// Tries that failed since it last went on.
    failures: u32,
    rate: f64,
    window: Option<(Instant, u64)>,
}

impl Progress {
    pub(super) fn new(view: &'static Registered, home: Arc<dyn Home>) -> Self {
        Self {
            view,
            home,
            position: watch::channel(Position(0)).0,
            state: Mutex::default(),
        }
    }

    pub(super) fn position(&self) -> watch::Receiver<Position> {
        self.position.subscribe()
    }

    pub(super) fn began(&self, store: &Store) {
        self.locked(|state| (state.stopped, state.waits) = (None, None));
        self.moved(store, 0);
    }

    pub(super) fn moved(&self, store: &Store, events: u64) {
        self.locked(|state| {
            state.quarantined = store.quarantined() as u64;
            state.count(events);
            if events > 0 {
                state.failures = 0;
            }
        });
        // A build that replaces another may stand a few commits before it; what was reached stays reached.
        let position = store.checkpoint().position;
        self.position.send_if_modified(|known| {
            let is_further = position > *known;
            *known = position.max(*known);
            is_further
        });
    }

    pub(super) fn stop(&self, error: Error) -> Error {
        tracing::error!(
            view.name = self.view.name,
            error = chain(&error),
            "a view stops"
        );
        self.locked(|state| state.stopped = Some(chain(&error)));
        error
    }

    pub(super) fn waits(&self, error: &Error) {
        let reason = chain(error);
        tracing::warn!(view.name = self.view.name, error = reason, "a view waits");
        self.locked(|state| {
            state.failures = state.failures.saturating_add(1);
            state.waits = Some(reason);
        });
    }

    /// How long to wait before the next try.
    pub(super) fn pause(&self) -> Duration {
        let failures = self.locked(|state| state.failures);
        let doubled = 1_u32
            .checked_shl(failures.saturating_sub(1))
            .unwrap_or(u32::MAX);
        PAUSE_MIN.saturating_mul(doubled).min(PAUSE_MAX)
    }

    pub(super) fn stopped(&self) -> Option<Error> {
        let reason = self.locked(|state| state.stopped.clone())?;
        Some(Error::Stopped {
            view: self.view.name,
            reason,
        })
    }

    pub(super) async fn status(&self, log: &dyn EventLog, now: Timestamp) -> Result<Status, Error> {
        let (position, quarantined) = match self.as_stored().await {
            Err(error) if error.may_retry() => self.as_known().ok_or(error)?,
            stored => stored?,
        };
        let fault = |source: mirage_log::ReadError| read_fault(self.view, source.into());
        let head = log.head().await.map_err(fault)?.position;
        let lag = head.0.saturating_sub(position.0);
        let age_s = match lag {
            0 => 0,
            _ => {
                let oldest = log.commit(Position(position.0 + 1)).await.map_err(fault)?;
                let age = now.duration_since(oldest.commit.recorded_at);
                u64::try_from(age.as_secs()).unwrap_or(0)
            }
        };
        Ok(self.locked(|state| Status {
            view: self.view.name,
            version: self.view.version,
            position,
            lag,
            age_s,
            rate: state.rate(),
            quarantined,
            stopped: state.stopped.clone(),
            waits: state.waits.clone(),
        }))
    }

    /// Position and quarantine as the store has them: another process may be the one that folds.
    async fn as_stored(&self) -> Result<(Position, u64), Error> {
        let (home, view) = (self.home.clone(), self.view);
        super::follow::blocking(view, move || {
            let db = match home.ask(view) {
                Err(Error::NotBuilt(_)) => return Ok((Position(0), 0)),
                db => db?,
            };
            Ok((db.position()?, db.quarantined()?))
        })
        .await
    }

    /// As this process knows them, where it waits for the store.
    fn as_known(&self) -> Option<(Position, u64)> {
        let waits = |state: &mut State| state.waits.as_ref().map(|_| state.quarantined);
        let quarantined = self.locked(waits)?;
        Some((*self.position.borrow(), quarantined))
    }

    fn locked<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().expect("no holder panics"))
    }
}

impl State {
    fn count(&mut self, events: u64) {
        let (began, sum) = self.window.get_or_insert_with(|| (Instant::now(), 0));
        *sum += events;
        let elapsed = began.elapsed();
        if elapsed >= WINDOW {
            self.rate = *sum as f64 / elapsed.as_secs_f64();
            self.window = None;
        }
    }

    fn rate(&self) -> f64 {
        match self.window {
            // Nothing came for a while: the last full window no longer tells.
            Some((began, sum)) if began.elapsed() > WINDOW => {
                sum as f64 / began.elapsed().as_secs_f64()
            }
            _ => self.rate,
        }
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
