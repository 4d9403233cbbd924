//! How long to wait between two commits of a replay.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

/// The longest wait, unless the scan's own time is asked for.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// So many times as fast as it was; positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed(f64);

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix(['x', '×']).unwrap_or(text).parse();
        let is_speed = |speed: &f64| speed.is_finite() && *speed > 0.0;
        let speed = number.ok().filter(is_speed);
        speed
            .map(Self)
            .ok_or_else(|| "a number above 0, like 10 or 0.5".to_owned())
    }
}

/// The clock of a replay.
pub struct Pace {
    speed: Speed,
    wait_max: Duration,
    /// The latest time so far: a clock that went back has no say until it is there again.
    latest: Option<Timestamp>,
}

impl Pace {
    pub fn new(speed: Option<Speed>) -> Self {
        let own = Speed(1.0);
        Self {
            speed: speed.unwrap_or(own),
            wait_max: if speed == Some(own) {
                Duration::MAX
            } else {
                WAIT_MAX
            },
            latest: None,
        }
    }

    /// How long to wait before what was recorded at this time.
    pub fn until(&mut self, at: Timestamp) -> Duration {
        let latest = self.latest.map_or(at, |latest| latest.max(at));
        let before = self.latest.replace(latest).unwrap_or(at);
        let gap = Duration::try_from(latest.duration_since(before)).unwrap_or_default();
        let wait = Duration::try_from_secs_f64(gap.as_secs_f64() / self.speed.0);
        wait.unwrap_or(Duration::MAX).min(self.wait_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The waits, in milliseconds, before commits that were recorded at these milliseconds.
    fn waits(speed: Option<&str>, recorded: &[i64]) -> Vec<u128> {
        let mut pace = Pace::new(speed.map(|text| text.parse().unwrap()));
        let at = |ms: &i64| Timestamp::from_millisecond(*ms).unwrap();
        recorded
            .iter()
            .map(|ms| pace.until(at(ms)).as_millis())
            .collect()
    }

    #[test]
    fn its_own_time_is_kept_and_a_long_gap_is_cut() {
        assert_eq!(waits(None, &[7, 7, 507, 90_507]), [0, 0, 500, 5000]);
    }

    #[test]
    fn a_speed_divides_and_its_own_speed_in_so_many_words_cuts_nothing() {
        assert_eq!(waits(Some("10"), &[0, 500, 90_500]), [0, 50, 5000]);
        assert_eq!(waits(Some("0.5x"), &[0, 500]), [0, 1000]);
        assert_eq!(waits(Some("1"), &[0, 90_000]), [0, 90_000]);
    }

    #[test]
    fn a_clock_that_went_back_waits_for_nothing_until_it_is_there_again() {
        assert_eq!(waits(None, &[1000, 400, 900, 1200]), [0, 0, 0, 200]);
    }

    #[test]
    fn a_speed_is_a_positive_number() {
        for text in ["0", "-1", "nan", "inf", "fast", ""] {
            assert!(text.parse::<Speed>().is_err(), "{text}");
        }
        assert_eq!(waits(Some("1e-300"), &[0, 1000]), [0, 5000]);
    }
}
