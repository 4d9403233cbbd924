//! How often somebody may try to sign in: tries of each account and of each address.
//!
//! An address alone cannot fill the buckets that are kept.
//! **Invariant:** a try is counted before the password is looked at, whether or not the account exists.

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::buckets::{Buckets, Wait, network};

/// Tries of an account in a row, from wherever; then one for each [`ACCOUNT_REFILL`].
pub const ACCOUNT_TRIES: u32 = 10;
pub const ACCOUNT_REFILL: Duration = Duration::from_secs(60);
/// Tries of an address in a row, whoever it says to be; then one for each [`ADDRESS_REFILL`]. An office shares one.
pub const ADDRESS_TRIES: u32 = 60;
pub const ADDRESS_REFILL: Duration = Duration::from_secs(5);

/// See the module's doc.
pub(crate) struct Limiter {
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

impl Limiter {
    /// Takes a try of both, or neither where one has none left.
    pub(crate) fn take(&self, account: &str, address: IpAddr, now: Instant) -> Result<(), Wait> {
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
    pub(crate) fn give_back(&self, account: &str, address: IpAddr, now: Instant) {
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
}
