//! Keys that a rebuild has copied already, as far as they fit into a fixed memory.
//!
//! Most keys that come again do so soon. One that is remembered is not copied again; one that is forgotten is, and is
//! taken out at the end (`deferred`).
//!
//! **Never:** a key that is held for another: 128 bits by hashes whose keys nobody knows.

use std::hash::{BuildHasher, Hash, RandomState};

/// 16 MiB; a million entities fill it.
const SLOTS: usize = 1 << 20;

/// See the module's doc.
#[derive(Default)]
pub(super) struct Seen {
    hashes: [RandomState; 2],
    /// Each place keeps the last key that belongs there; empty until something is asked.
    slots: Vec<[u64; 2]>,
}

impl Seen {
    /// Remembers a key; false if it is known to have been copied.
    pub(super) fn is_new(&mut self, key: &impl Hash) -> bool {
        if self.slots.is_empty() {
            self.slots = vec![[0; 2]; SLOTS];
        }
        let [one, other] = &self.hashes;
        let hash = [one.hash_one(key), other.hash_one(key)];
        let slot = &mut self.slots[hash[0] as usize % SLOTS];
        std::mem::replace(slot, hash) != hash
    }

    /// What was copied last may not be there.
    pub(super) fn forget(&mut self) {
        self.slots.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_came_is_known_until_all_is_forgotten() {
        let mut seen = Seen::default();
        assert!(seen.is_new(&("entities", 1)));
        assert!(!seen.is_new(&("entities", 1)));
        assert!(seen.is_new(&("nodes", 1)));
        seen.forget();
        assert!(seen.is_new(&("entities", 1)));
    }

    #[test]
    fn no_key_is_held_for_another() {
        let mut seen = Seen::default();
        let keys = 0..2 * SLOTS as u64;
        assert!(keys.into_iter().all(|key| seen.is_new(&key)));
    }
}
