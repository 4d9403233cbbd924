//! What messages say in other words than the gateway: moments, times, pages, words, JSON.

use std::fmt::Display;
use std::str::FromStr;

use jiff::Timestamp;
use mirage_domain::id::{Digest, Position};
use prost::Message;
use serde_json::{Map, Number, Value};

use super::v1::{Moment as AskedMoment, moment};
use crate::error::Problem;
use crate::rest::moment::{At, Moment};
use crate::rest::query::{Limit, List};

/// Largest page, in bytes: clients take four times that, and one row may be large.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// The moment of a read; none is now.
pub(super) fn moment(asked: Option<&AskedMoment>) -> Result<Moment, Problem> {
    let Some(asked) = asked else {
        return Ok(Moment::default());
    };
    let at = match asked.at {
        None => None,
        Some(moment::At::Position(at)) => Some(At::Position(Position(at))),
        Some(moment::At::Time(time)) => Some(At::Time(time_of(&time)?)),
    };
    let min_position = Some(Position(asked.min_position)).filter(|least| *least != Position(0));
    Ok(Moment { at, min_position })
}

/// A time of a request.
pub(super) fn time_of(time: &prost_types::Timestamp) -> Result<Timestamp, Problem> {
    let read = Timestamp::new(time.seconds, time.nanos);
    read.map_err(|error| Problem::new("bad_time", error))
}

/// A time of an answer.
pub(super) fn told_time(time: Timestamp) -> prost_types::Timestamp {
    // The nanoseconds of a message count forwards, also before 1970.
    let nanos = time.as_nanosecond();
    let second = nanos.div_euclid(1_000_000_000);
    prost_types::Timestamp {
        seconds: i64::try_from(second).expect("a timestamp of four-digit years"),
        nanos: i32::try_from(nanos.rem_euclid(1_000_000_000)).expect("below a second"),
    }
}

/// A list as it was asked for, and the most rows of a page; `question` is the request without its page.
pub(super) fn list(question: &impl Message, size: u32) -> Result<(List, Option<Limit>), Problem> {
    let limit = match size {
        0 => None,
        size => Some(
            Limit::try_from(size)
                .map_err(|error| Problem::new("bad_query", format!("page_size: {error}")))?,
        ),
    };
    Ok((List::of(&question.encode_to_vec()), limit))
}

/// How many rows fit, where so many make an answer that clients do not take by default.
pub(super) fn fewer(answer: &impl Message, rows: usize) -> Option<u32> {
    let bytes = answer.encoded_len();
    if bytes <= ANSWER_BYTES_MAX || rows <= 1 {
        return None;
    }
    let fit = (rows * ANSWER_BYTES_MAX / bytes).clamp(1, rows - 1);
    u32::try_from(fit).ok()
}

/// The text of a field that is empty where it is not set.
pub(super) fn set(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// Words, each of which can be read.
pub(super) fn words<T: FromStr<Err: Display>>(
    field: &str,
    words: &[String],
) -> Result<Vec<T>, Problem> {
    let wrong = |error| Problem::new("bad_query", format!("{field}: {error}"));
    let read = words.iter().map(|word| word.parse::<T>());
    read.map(|read| read.map_err(wrong)).collect()
}

pub(super) fn hex(digest: &Digest) -> String {
    digest.to_string()
}

/// An object of JSON.
pub(super) fn object(map: Map<String, Value>) -> prost_types::Struct {
    let fields = map.into_iter().map(|(name, value)| (name, json(value)));
    prost_types::Struct {
        fields: fields.collect(),
    }
}

fn json(value: Value) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        Value::Number(number) => self::number(&number),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(items) => Kind::ListValue(prost_types::ListValue {
            values: items.into_iter().map(json).collect(),
        }),
        Value::Object(map) => Kind::StructValue(object(map)),
    };
    prost_types::Value { kind: Some(kind) }
}

/// Largest integer up to which a double holds each one.
const EXACT_MAX: u64 = 1 << 53;

/// A number, as text where a double would change it.
fn number(number: &Number) -> prost_types::value::Kind {
    use prost_types::value::Kind;
    let whole = number.as_u64().or(number.as_i64().map(i64::unsigned_abs));
    match (whole, number.as_f64()) {
        (Some(whole), _) if whole > EXACT_MAX => Kind::StringValue(number.to_string()),
        (_, Some(number)) => Kind::NumberValue(number),
        (_, None) => Kind::StringValue(number.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use prost_types::value::Kind;
    use serde_json::json;

    use super::*;

    #[test]
    fn times_go_there_and_back_before_1970_too() {
        for text in [
            "2026-11-03T10:00:00.25Z",
            "1969-12-31T23:59:58.75Z",
            "-009999-01-02T01:59:59Z",
        ] {
            let time: Timestamp = text.parse().unwrap();
            let told = told_time(time);
            assert!((0..1_000_000_000).contains(&told.nanos), "{told:?}");
            assert_eq!(time_of(&told).unwrap(), time);
        }
        let wrong = prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        };
        assert_eq!(time_of(&wrong).unwrap_err().row.code, "bad_time");
    }

    #[test]
    fn a_page_that_is_too_large_has_fewer_rows_and_at_least_one() {
        let sized = |bytes: usize| vec![0_u8; bytes];
        assert_eq!(fewer(&sized(ANSWER_BYTES_MAX / 2), 1000), None);
        assert_eq!(fewer(&sized(2 * ANSWER_BYTES_MAX), 1000), Some(499));
        assert_eq!(fewer(&sized(ANSWER_BYTES_MAX), 1000), Some(999));
        assert_eq!(fewer(&sized(9 * ANSWER_BYTES_MAX), 3), Some(1));
        assert_eq!(fewer(&sized(9 * ANSWER_BYTES_MAX), 1), None);
    }

    #[test]
    fn no_number_is_told_as_another_one() {
        let kind = |value| json(value).kind.unwrap();
        assert_eq!(kind(json!(3)), Kind::NumberValue(3.0));
        assert_eq!(kind(json!(-2.5)), Kind::NumberValue(-2.5));
        let large = u64::MAX.to_string();
        assert_eq!(kind(json!(u64::MAX)), Kind::StringValue(large));
        let small = i64::MIN.to_string();
        assert_eq!(kind(json!(i64::MIN)), Kind::StringValue(small));
    }
}
