//! Live streams: the whole history of a workspace and then what happens, resumed by cursor.
//!
//! To add a transport: its file, its line in `router.rs`, its row in `auth/operations.rs`; `subscriber.rs` does the rest.
//!
//! **Invariant:** one reader of the log feeds every stream of the gateway.
//! **Never:** a subscriber that makes another one wait.

pub mod asyncapi;
mod guard;
pub mod replay;
pub mod sse;
pub(crate) mod subscriber;
pub(crate) mod tail;
pub mod ws;

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mirage_domain::event::Event;
use mirage_log::{EventLog, ReadError};
use serde::{Deserialize, Deserializer};
use tokio::sync::{OnceCell, watch};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::auth::Principal;
use crate::error::Problem;
use tail::Tail;

/// Streams of a gateway.
pub const SUBSCRIBERS_MAX: usize = 20_000;
/// Streams of one principal.
pub const SUBSCRIBERS_OF_ONE_MAX: usize = 128;
/// How long a reader may read nothing before it is dropped.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What a gateway bears.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub subscribers: usize,
    pub subscribers_of_one: usize,
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            subscribers: SUBSCRIBERS_MAX,
            subscribers_of_one: SUBSCRIBERS_OF_ONE_MAX,
            patience: PATIENCE,
        }
    }
}

/// The streams of a gateway.
#[derive(Default)]
pub struct Live {
    limits: Limits,
    tail: OnceCell<(Arc<Tail>, JoinSet<()>)>,
    seats: Arc<Seats>,
    stopping: CancellationToken,
}

#[derive(Default)]
struct Seats {
    all: watch::Sender<usize>,
    /// By workspace and actor.
    of_each: Mutex<HashMap<String, usize>>,
}

/// A place among the subscribers, free again when it is dropped.
pub(crate) struct Seat {
    seats: Arc<Seats>,
    of: String,
}

impl Live {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// How many streams are open.
    pub fn subscribers(&self) -> watch::Receiver<usize> {
        self.seats.all.subscribe()
    }

    /// Ends every stream, for a server that waits for its answers to end before it stops.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// Until every stream is to end.
    pub(crate) fn stopped(&self) -> WaitForCancellationFutureOwned {
        self.stopping.clone().cancelled_owned()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The one tail, which begins with the first subscriber.
    async fn tail(&self, log: &Arc<dyn EventLog>) -> Result<Arc<Tail>, ReadError> {
        let started = self.tail.get_or_try_init(|| Tail::start(log.clone()));
        Ok(started.await?.0.clone())
    }

    pub(crate) fn seat(&self, who: &Principal) -> Result<Seat, Problem> {
        let mut of_each = self.seats.of_each.lock().expect("no holder panics");
        let of = format!("{}/{}", who.workspace(), who.actor());
        if *self.seats.all.borrow() >= self.limits.subscribers {
            return Err(Problem::new("overloaded", "too many live streams"));
        }
        if of_each.get(&of).copied().unwrap_or_default() >= self.limits.subscribers_of_one {
            let detail = "this credential has as many live streams as it may";
            return Err(Problem::new("too_many_requests", detail));
        }
        self.seats.all.send_modify(|all| *all += 1);
        *of_each.entry(of.clone()).or_default() += 1;
        Ok(Seat {
            seats: self.seats.clone(),
            of,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut of_each = self.seats.of_each.lock().expect("no holder panics");
        self.seats.all.send_modify(|all| *all -= 1);
        if let Some(count) = of_each.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                of_each.remove(&self.of);
            }
        }
    }
}

/// The kind of an event that this program knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind(&'static str);

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for Kind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Event::streamed_kinds().find(|(kind, _)| *kind == text);
        found
            .map(|(kind, _)| Self(kind))
            .ok_or_else(|| format!("`{text}` is no kind of event"))
    }
}
