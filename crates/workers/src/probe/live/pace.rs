//! Paces: how fast one source or one host is asked.
//!
//! **Invariant:** waiting holds no lock and no connection.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connect::{Door, Target};

/// Hosts that are remembered; beyond it the idle ones are forgotten, and with them at most a second's burst.
const HOSTS_MAX: usize = 4096;
/// Ports of one host that are knocked at together: each costs a host little, and a filtered one is silent for long.
const PORTS_AT_ONCE: usize = 32;
/// Requests that a source takes at once before its pace sets in.
const SOURCE_BURST_MAX: u32 = 5;

/// One limit over time.
pub(super) struct Pace(DefaultDirectRateLimiter);

impl Pace {
    pub(super) fn per_minute(requests: u32) -> Self {
        let requests = NonZeroU32::new(requests).unwrap_or(NonZeroU32::MIN);
        let burst = requests.min(NonZeroU32::new(SOURCE_BURST_MAX).expect("not zero"));
        Self(RateLimiter::direct(
            Quota::per_minute(requests).allow_burst(burst),
        ))
    }

    fn per_second(requests: NonZeroU32) -> Self {
        Self(RateLimiter::direct(Quota::per_second(requests)))
    }

    /// Waits for one's turn.
    pub(super) async fn ready(&self) {
        while let Err(until) = self.0.check() {
            tokio::time::sleep(until.wait_time_from(DefaultClock::default().now())).await;
        }
    }
}

/// The hosts of one scan, each with its pace and its places.
pub(super) struct Hosts {
    rate: Option<NonZeroU32>,
    concurrency: usize,
    known: Mutex<HashMap<Target, Arc<Host>>>,
}

struct Host {
    pace: Option<Pace>,
    places: Arc<Semaphore>,
    ports: Arc<Semaphore>,
}

impl Hosts {
    /// `rate` in requests per second, 0 for no limit; `concurrency` in connections.
    pub(super) fn new(rate: u32, concurrency: usize) -> Self {
        Self {
            rate: NonZeroU32::new(rate),
            concurrency: concurrency.max(1),
            known: Mutex::default(),
        }
    }

    /// Waits for a place at the host and for its pace; the place is kept until it is dropped.
    pub(super) async fn enter(&self, target: &Target, door: Door) -> OwnedSemaphorePermit {
        let host = self.host(target.host());
        let places = match door {
            Door::Web => &host.places,
            Door::Port => &host.ports,
        };
        let place = places.clone().acquire_owned().await;
        if let Some(pace) = &host.pace {
            pace.ready().await;
        }
        place.expect("never closed")
    }

    fn host(&self, target: Target) -> Arc<Host> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= HOSTS_MAX && !known.contains_key(&target) {
            known.retain(|_, host| Arc::strong_count(host) > 1 || host.is_busy(self.concurrency));
        }
        let make = || {
            Arc::new(Host {
                pace: self.rate.map(Pace::per_second),
                places: Arc::new(Semaphore::new(self.concurrency)),
                ports: Arc::new(Semaphore::new(PORTS_AT_ONCE)),
            })
        };
        known.entry(target).or_insert_with(make).clone()
    }
}

impl Host {
    fn is_busy(&self, concurrency: usize) -> bool {
        let is_talking = self.places.available_permits() < concurrency;
        is_talking || self.ports.available_permits() < PORTS_AT_ONCE
    }
}
