//! When a delivery that failed is tried again.

use jiff::{SignedDuration, Timestamp};

use crate::id::Digest;

/// After the first failures: soon, for a receiver that restarts, then ever later.
const FIRST_S: [i64; 5] = [5, 30, 120, 600, 1800];
const HOUR_S: i64 = 3600;
/// So long after the first try it is given up.
pub const GIVE_UP_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// The hourly tries of many receivers that failed together are spread by a tenth to either side.
const SPREAD: i64 = 10;

/// The next try after the `attempt`-th, made at `at`; `None` if it is to be given up. `seed` spreads the hourly ones.
pub(super) fn next(
    attempt: u32,
    first_at: Timestamp,
    at: Timestamp,
    seed: &str,
) -> Option<Timestamp> {
    let early = FIRST_S.get((attempt as usize).saturating_sub(1));
    let wait_s = early.copied().unwrap_or_else(|| hourly(attempt, seed));
    let next = at.checked_add(SignedDuration::from_secs(wait_s)).ok()?;
    (next.duration_since(first_at) <= GIVE_UP_AFTER).then_some(next)
}

fn hourly(attempt: u32, seed: &str) -> i64 {
    let byte = Digest::of(format!("{seed} {attempt}").as_bytes()).0[0];
    // From -127 to 128 in a range of 128 each way.
    let side = i64::from(byte) - 127;
    HOUR_S + HOUR_S * side / (SPREAD * 128)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The waits in seconds, one after another, of a receiver that always fails.
    fn waits(seed: &str) -> Vec<i64> {
        let first = Timestamp::from_second(1_000).unwrap();
        let (mut at, mut waits) = (first, Vec::new());
        while let Some(next) = next(waits.len() as u32 + 1, first, at, seed) {
            waits.push(next.duration_since(at).as_secs());
            at = next;
        }
        waits
    }

    #[test]
    fn it_is_tried_soon_then_hourly_until_a_day_is_over() {
        let waits = waits("a");
        assert_eq!(waits[..5], FIRST_S);
        assert!(
            waits[5..].iter().all(|wait| (3240..=3960).contains(wait)),
            "{waits:?}"
        );
        let total: i64 = waits.iter().sum();
        assert!((24 * 3600 - 3960..=24 * 3600).contains(&total), "{total}");
    }

    #[test]
    fn receivers_that_failed_together_are_spread() {
        assert_ne!(waits("a")[5..], waits("b")[5..]);
    }
}
