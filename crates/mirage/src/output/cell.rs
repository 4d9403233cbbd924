//! One value in a table or a CSV file, as text.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use mirage_api::csv::plain;
use serde_json::Value;

/// What a field holds, where that changes how a table shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Text,
    /// Aligned to the right.
    Number,
    /// RFC 3339 UTC in machine forms, local time in tables.
    Time,
}

/// The value as a person reads it.
pub(super) fn human(value: &Value, shape: Shape) -> String {
    let text = match value {
        Value::Object(members)
            if members
                .values()
                .all(|value| !value.is_object() && !value.is_array()) =>
        {
            let member = |(name, value): (&String, &Value)| format!("{name} {}", plain(value, " "));
            members.iter().map(member).collect::<Vec<_>>().join(", ")
        }
        value => plain(value, ", "),
    };
    match (shape, text.parse::<Timestamp>()) {
        (Shape::Time, Ok(time)) => local(time),
        _ => text,
    }
}

/// A time in the zone of whoever looks.
pub(crate) fn local(time: Timestamp) -> String {
    let zoned = time.to_zoned_datetime(TimeZone::system());
    zoned.strftime("%Y-%m-%d %H:%M:%S").to_string()
}
