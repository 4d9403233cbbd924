//! Times and spans as people write them.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use mirage_api::error::Problem;
use mirage_domain::id::Position;

/// What `--at` and `--since` take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Position(Position),
    Time(Timestamp),
}

impl At {
    /// A bare number is a position, anything else a time.
    pub(crate) fn read(text: &str) -> Result<Self, Problem> {
        match text.parse() {
            Ok(position) => Ok(Self::Position(Position(position))),
            Err(_) => time(text, &now()).map(Self::Time),
        }
    }

    /// As a server reads it: a position, or a time in RFC 3339.
    pub(crate) fn sent(text: &str) -> Result<String, Problem> {
        Ok(match Self::read(text)? {
            Self::Position(position) => position.to_string(),
            Self::Time(time) => time.to_string(),
        })
    }
}

/// The clock of the edge, in the zone of whoever looks.
pub(crate) fn now() -> ZonedDateTime {
    Timestamp::now().to_zoned_datetime(TimeZone::system())
}

/// RFC 3339, `2026-11-03` and `yesterday` (the day's beginning where one sits), `-2h` (before now), `now`.
fn time(text: &str, now: &ZonedDateTime) -> Result<Timestamp, Problem> {
    let wrong = || {
        Problem::new("bad_time", format!("`{text}`"))
            .try_this("write 2026-11-03T10:00:00Z, 2026-11-03, yesterday, -2h, or a position")
    };
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Some(span) = text.strip_prefix('-') {
        let before = span_of(span).and_then(|span| SignedDuration::try_from(span).ok());
        return before
            .and_then(|before| now.timestamp().checked_sub(before).ok())
            .ok_or_else(wrong);
    }
    let day = match text {
        "now" => return Ok(now.timestamp()),
        "today" => Some(now.date()),
        "yesterday" => now.date().yesterday().ok(),
        _ => text
            .parse::<Date>()
            .ok()
            .filter(|_| text.len() == "2026-11-03".len()),
    };
    day.and_then(|day| day.to_zoned_datetime(now.time_zone().clone()).ok())
        .map(|midnight| midnight.timestamp())
        .ok_or_else(wrong)
}

/// `30s`, `10m`, `2h`, `1d`, `1w`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    span_of(text).ok_or_else(|| format!("`{text}` is no span of time: write 30s, 10m, 2h or 1d"))
}

fn span_of(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    // A sign would parse as well.
    let count: u64 = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())??;
    Some(Duration::from_secs(count.checked_mul(seconds)?))
}

/// A span for people: `2h 5m`, `3.2 s`.
pub(crate) fn shown(span: Duration) -> String {
    match span.as_secs() {
        0..60 => format!("{:.1} s", span.as_secs_f64()),
        seconds @ 60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        seconds => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<String> {
        let now: ZonedDateTime = "2026-11-03T15:30:00+01:00[+01:00]".parse().unwrap();
        time(text, &now).ok().map(|time| time.to_string())
    }

    #[test]
    fn each_form_is_read() {
        assert_eq!(
            at("2026-11-03T10:00:00Z").as_deref(),
            Some("2026-11-03T10:00:00Z")
        );
        assert_eq!(
            at("2026-11-03T10:00:00+02:00").as_deref(),
            Some("2026-11-03T08:00:00Z")
        );
        assert_eq!(at("2026-11-02").as_deref(), Some("2026-11-01T23:00:00Z"));
        assert_eq!(at("yesterday").as_deref(), Some("2026-11-01T23:00:00Z"));
        assert_eq!(at("-2h").as_deref(), Some("2026-11-03T12:30:00Z"));
        assert_eq!(at("now").as_deref(), Some("2026-11-03T14:30:00Z"));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2h",
            "--2h",
            "-2x",
            "-",
            "2026-13-01",
            "2026-11-03T10:00",
            "-999999999999999w",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn spans_have_one_unit() {
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("2h"), Ok(Duration::from_secs(7200)));
        for text in ["", "5", "s", "+5s", "1h30m", "5ms", "1.5h", "5é"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_a_position() {
        assert_eq!(At::read("42"), Ok(At::Position(Position(42))));
    }
}
