//! Counters of a scan: how often something was used per key, against a collector's limit.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

use crate::collectors::CollectError;

/// Keys that are counted apart; a scan with more of them is over its limit for the new ones.
const KEYS_MAX: usize = 1_000_000;

#[derive(Default)]
pub(crate) struct Counters(Mutex<HashMap<(&'static str, Box<str>), u32>>);

impl Counters {
    /// Counts one use of `what`; `Limited` beyond `max` per `key`.
    pub(crate) fn spend(
        &self,
        what: &'static str,
        key: &str,
        max: u32,
    ) -> Result<(), CollectError> {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = spent.len() >= KEYS_MAX;
        let entry = spent.entry((what, key.into()));
        let is_refused = match &entry {
            Entry::Vacant(_) => is_full || max == 0,
            Entry::Occupied(count) => *count.get() >= max,
        };
        if is_refused {
            return Err(CollectError::Limited(what.to_owned()));
        }
        *entry.or_insert(0) += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_limit() {
        let counters = Counters::default();
        let limited = Err(CollectError::Limited("pages".into()));
        assert_eq!(counters.spend("pages", "a", 1), Ok(()));
        assert_eq!(counters.spend("pages", "a", 1), limited);
        assert_eq!(counters.spend("pages", "b", 1), Ok(()));
        assert_eq!(counters.spend("pages", "c", 0), limited);
    }
}
