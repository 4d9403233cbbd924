//! How much a process runs just now, for whoever asks how busy it is.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Tasks and scans in the hands of this process.
#[derive(Debug, Default)]
pub struct Running {
    pub tasks: Count,
    pub scans: Count,
}

/// A number of things that go on.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn now(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// One more, until what is answered is dropped.
    pub(crate) fn one(&self) -> One<'_> {
        self.0.fetch_add(1, Relaxed);
        One(&self.0)
    }
}

pub(crate) struct One<'c>(&'c AtomicU64);

impl Drop for One<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_is_no_longer_counted() {
        let count = Count::default();
        let (first, second) = (count.one(), count.one());
        assert_eq!(count.now(), 2);
        drop(first);
        assert_eq!(count.now(), 1);
        drop(second);
        assert_eq!(count.now(), 0);
    }
}
