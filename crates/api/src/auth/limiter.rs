//! How often somebody may try to sign in: tries of each account and of each address.
//!
//! Time is monotonic, so that nobody gains by a clock that is set. What is kept is bounded: two generations of buckets,
//! of which the older one is forgotten when the younger one is full; an address alone cannot fill one.
//! **Invariant:** a try is counted before the password is looked at, whether or not the account exists.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Tries of an account in a row, from wherever; then one for each [`ACCOUNT_REFILL`].
pub const ACCOUNT_TRIES: u32 = 10;
pub const ACCOUNT_REFILL: Duration = Duration::from_secs(60);
/// Tries of an address in a row, whoever it says to be; then one for each [`ADDRESS_REFILL`]. An office shares one.
pub const ADDRESS_TRIES: u32 = 60;
pub const ADDRESS_REFILL: Duration = Duration::from_secs(5);
/// Buckets of a generation.
const BUCKETS_MAX: usize = 50_000;

/// Too many tries: another may be good after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(pub Duration);

/// Tries that are left, as of a time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: u32,
    since: Instant,
}

/// Buckets of one kind.
struct Buckets<K> {
    tries: u32,
    refill: Duration,
    young: HashMap<K, Bucket>,
    old: HashMap<K, Bucket>,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    fn new(tries: u32, refill: Duration) -> Self {
        Self {
            tries,
            refill,
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    fn filled(&mut self, key: &K, now: Instant) -> &mut Bucket {
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

    fn wait(&mut self, key: &K, now: Instant) -> Option<Wait> {
        let refill = self.refill;
        let bucket = self.filled(key, now);
        let next = bucket.since + refill;
        (bucket.left == 0).then(|| Wait(next.saturating_duration_since(now)))
    }
}

/// See the module's doc.
pub struct Limiter {
    accounts: Mutex<Buckets<String>>,
    addresses: Mutex<Buckets<u128>>,
}

impl Default for Limiter {
    fn default() -> Self {
        Self {
            accounts: Mutex::new(Buckets::new(ACCOUNT_TRIES, ACCOUNT_REFILL)),
            addresses: Mutex::new(Buckets::new(ADDRESS_TRIES, ADDRESS_REFILL)),
        }
    }
}

/// Whoever holds an IPv6 address holds its /64.
fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits() & !u128::from(u64::MAX),
    }
}

impl Limiter {
    /// Takes a try of both, or neither where one has none left.
    pub fn take(&self, account: &str, address: IpAddr, now: Instant) -> Result<(), Wait> {
        let (account, network) = (account.to_owned(), network(address));
        // The two are always locked in this order.
        let mut accounts = self.accounts.lock().expect("no holder panics");
        let mut addresses = self.addresses.lock().expect("no holder panics");
        if let Some(wait) = addresses.wait(&network, now) {
            return Err(wait);
        }
        if let Some(wait) = accounts.wait(&account, now) {
            return Err(wait);
        }
        accounts.filled(&account, now).left -= 1;
        addresses.filled(&network, now).left -= 1;
        Ok(())
    }

    /// The try was good, so it is given back.
    pub fn give_back(&self, account: &str, address: IpAddr, now: Instant) {
        let mut accounts = self.accounts.lock().expect("no holder panics");
        let mut addresses = self.addresses.lock().expect("no holder panics");
        let account = accounts.filled(&account.to_owned(), now);
        account.left = (account.left + 1).min(ACCOUNT_TRIES);
        let address = addresses.filled(&network(address), now);
        address.left = (address.left + 1).min(ADDRESS_TRIES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v6(network: u64, host: u64) -> IpAddr {
        IpAddr::V6(((u128::from(network) << 64) | u128::from(host)).into())
    }

    #[test]
    fn ten_thousand_tries_of_an_account_pass_as_many_as_time_allows() {
        let (limiter, start) = (Limiter::default(), Instant::now());
        let hour = Duration::from_secs(3600);
        let good = |number: u32| {
            let address = v6(1 << 32 | u64::from(number), 1);
            limiter
                .take("ada", address, start + hour * number / 10_000)
                .is_ok()
        };
        let passed = (0..10_000).filter(|number| good(*number)).count();
        assert!((60..=70).contains(&passed), "10 and one a minute: {passed}");
    }

    #[test]
    fn an_address_is_its_network_and_names_are_no_way_around() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        let one = |number: u32| {
            limiter
                .take(&format!("name-{number}"), v6(7, u64::from(number)), now)
                .is_ok()
        };
        let passed = (0..10_000).filter(|number| one(*number)).count();
        assert_eq!(passed, ADDRESS_TRIES as usize);
        assert!(limiter.take("ada", v6(8, 1), now).is_ok());
        let (v4, mapped): (IpAddr, IpAddr) = (
            "192.0.2.1".parse().unwrap(),
            "::ffff:192.0.2.1".parse().unwrap(),
        );
        assert_eq!(network(v4), network(mapped));
    }

    #[test]
    fn who_is_refused_is_told_when_to_try_again() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        let address = v6(1, 1);
        for _ in 0..ACCOUNT_TRIES {
            limiter.take("ada", address, now).unwrap();
        }
        let Err(Wait(wait)) = limiter.take("ada", address, now) else {
            panic!("one more than there are");
        };
        assert_eq!(wait, ACCOUNT_REFILL);
        assert!(limiter.take("ada", address, now + wait).is_ok());
    }

    #[test]
    fn a_good_try_costs_nothing() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        for _ in 0..1_000 {
            limiter.take("ada", v6(1, 1), now).unwrap();
            limiter.give_back("ada", v6(1, 1), now);
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut buckets = Buckets::new(2, ACCOUNT_REFILL);
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
