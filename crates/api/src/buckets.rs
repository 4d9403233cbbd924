//! Token buckets: how often somebody may do something, and when again.
//!
//! Time is monotonic, so that nobody gains by a clock that is set. What is kept is bounded: two generations of buckets,
//! of which the older one is forgotten when the younger one is full.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Buckets of a generation.
const BUCKETS_MAX: usize = 50_000;

/// Too many tries: another may be good after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait(pub(crate) Duration);

/// Tries that are left, as of a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    pub(crate) left: u32,
    since: Instant,
}

/// Buckets of one kind.
pub(crate) struct Buckets<K> {
    tries: u32,
    refill: Duration,
    young: HashMap<K, Bucket>,
    old: HashMap<K, Bucket>,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    pub(crate) fn new(tries: u32, refill: Duration) -> Self {
        Self {
            tries,
            refill,
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    pub(crate) fn filled(&mut self, key: &K, now: Instant) -> &mut Bucket {
        if self.young.len() >= BUCKETS_MAX && !self.young.contains_key(key) {
            self.old = std::mem::take(&mut self.young);
        }
        let (tries, refill) = (self.tries, self.refill);
        let known = self.old.remove(key);
        let full = Bucket {
            left: tries,
            since: now,
        };
        let bucket = self
            .young
            .entry(key.clone())
            .or_insert(known.unwrap_or(full));
        let passed = now.saturating_duration_since(bucket.since);
        let more = (passed.as_nanos() / refill.as_nanos()).min(u128::from(tries)) as u32;
        match bucket.left + more >= tries {
            true => *bucket = full,
            false => {
                bucket.left += more;
                bucket.since += refill * more;
            }
        }
        bucket
    }

    pub(crate) fn wait(&mut self, key: &K, now: Instant) -> Option<Wait> {
        let refill = self.refill;
        let bucket = self.filled(key, now);
        let next = bucket.since + refill;
        (bucket.left == 0).then(|| Wait(next.saturating_duration_since(now)))
    }
}

/// Whoever holds an IPv6 address holds its /64.
pub(crate) fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits() & !u128::from(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFILL: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_kept_is_bounded() {
        let mut buckets = Buckets::new(2, REFILL);
        let now = Instant::now();
        for key in 0..3 * BUCKETS_MAX {
            buckets.filled(&key, now).left -= 1;
        }
        assert!(buckets.young.len() + buckets.old.len() <= 2 * BUCKETS_MAX);
        let last = 3 * BUCKETS_MAX - 1;
        assert_eq!(
            buckets.filled(&last, now).left,
            1,
            "the newest are remembered"
        );
    }
}
