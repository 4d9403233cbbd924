//! Random bytes of the operating system, fetched in bulk.
//!
//! Every query draws some, and a system call each would show.

use std::sync::{Mutex, PoisonError};

const BULK: usize = 4096;

/// A buffer of unused random bytes.
pub(super) struct Entropy(Mutex<(Box<[u8; BULK]>, usize)>);

impl Default for Entropy {
    fn default() -> Self {
        Self(Mutex::new((Box::new([0; BULK]), BULK)))
    }
}

impl Entropy {
    pub(super) fn draw<const N: usize>(&self) -> [u8; N] {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (bytes, used) = &mut *guard;
        if *used + N > BULK {
            getrandom::fill(&mut bytes[..]).expect("the operating system gives random bytes");
            *used = 0;
        }
        let drawn = bytes[*used..*used + N].try_into().expect("N bytes");
        *used += N;
        drawn
    }
}
