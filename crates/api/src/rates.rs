//! How often somebody may ask: each address, each caller, and each workspace altogether.
//!
//! Each may ask in a burst, and then at a rate. An address is held to its rate before its credential is looked at, so
//! that wrong ones cost as much as good ones.

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::auth::Principal;
use crate::buckets::{Buckets, Wait, network};
use crate::error::Problem;

/// Requests per second, in the long run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Of an address, or of an IPv6 network of 64 bits: an office may share one.
    pub address: u32,
    /// Of an API key, or of a user in all sessions.
    pub caller: u32,
    /// Of all callers of a workspace together.
    pub workspace: u32,
}

impl Default for Settings {
    /// What one node answers with ease; a console's screen asks some twenty times.
    fn default() -> Self {
        Self {
            address: 400,
            caller: 200,
            workspace: 1_000,
        }
    }
}

/// Seconds of the long run that may be asked for at once.
const BURST_S: u32 = 5;

/// What a caller may still ask for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    burst: u32,
    left: u32,
}

/// See the module's doc.
pub struct Rates {
    addresses: Mutex<Buckets<u128>>,
    callers: Mutex<Buckets<String>>,
    workspaces: Mutex<Buckets<String>>,
    burst: u32,
}

impl Rates {
    pub fn new(settings: Settings) -> Self {
        fn buckets<K: std::hash::Hash + Eq + Clone>(per_second: u32) -> Mutex<Buckets<K>> {
            let per_second = per_second.max(1);
            let refill = Duration::from_secs(1) / per_second;
            Mutex::new(Buckets::new(per_second * BURST_S, refill))
        }
        Self {
            addresses: buckets(settings.address),
            callers: buckets(settings.caller),
            workspaces: buckets(settings.workspace),
            burst: settings.caller.max(1) * BURST_S,
        }
    }

    /// Counts a request of an address.
    pub fn knock(&self, from: IpAddr, now: Instant) -> Result<(), Problem> {
        take(&self.addresses, &network(from), now).map(|_| ())
    }

    /// Counts a request of somebody who is known, and of the workspace.
    pub fn ask(&self, who: &Principal, now: Instant) -> Result<Left, Problem> {
        let left = take(&self.callers, &who.actor().to_owned(), now)?;
        take(&self.workspaces, &who.workspace().to_string(), now)?;
        Ok(Left {
            burst: self.burst,
            left,
        })
    }
}

fn take<K: std::hash::Hash + Eq + Clone>(
    buckets: &Mutex<Buckets<K>>,
    key: &K,
    now: Instant,
) -> Result<u32, Problem> {
    let mut buckets = buckets.lock().expect("no holder panics");
    if let Some(Wait(wait)) = buckets.wait(key, now) {
        return Err(too_many(wait));
    }
    let bucket = buckets.filled(key, now);
    bucket.left -= 1;
    Ok(bucket.left)
}

fn too_many(wait: Duration) -> Problem {
    let seconds = wait.as_secs() + 1;
    let detail = format!("try again in {seconds} seconds");
    Problem::new("too_many_requests", detail).retry_after(seconds)
}

impl Left {
    /// Tells the caller, so that a good program slows down before it is refused (draft-ietf-httpapi-ratelimit-headers).
    pub fn tell(self, headers: &mut HeaderMap) {
        let policy = format!("\"caller\";q={};w={BURST_S}", self.burst);
        let left = format!("\"caller\";r={}", self.left);
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", left)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Settings = Settings {
        address: 2,
        caller: 1,
        workspace: 3,
    };

    #[test]
    fn an_address_asks_in_a_burst_and_then_at_its_rate() {
        let (rates, start) = (Rates::new(FEW), Instant::now());
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let passed = |last, after| {
            (0..100)
                .filter(|_| rates.knock(address(last), start + after).is_ok())
                .count()
        };
        assert_eq!(passed(1, Duration::ZERO), 10);
        assert_eq!(
            passed(2, Duration::ZERO),
            10,
            "another one is not in its way"
        );
        assert_eq!(passed(1, Duration::from_secs(3)), 6);
    }

    #[test]
    fn who_is_refused_is_told_when_to_try_again() {
        let (rates, now) = (Rates::new(FEW), Instant::now());
        let address = IpAddr::from([192, 0, 2, 1]);
        let refused = (0..11)
            .find_map(|_| rates.knock(address, now).err())
            .unwrap();
        assert_eq!(
            (refused.row.code, refused.retry_after_s),
            ("too_many_requests", Some(1))
        );
    }
}
