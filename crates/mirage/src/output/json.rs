//! JSON that is safe on a terminal too.
//!
//! What would steer it is written as `\u` escapes, which mean the same.

use std::fmt::Write as _;

use mirage_api::safe_text::steers;
use serde_json::Value;

/// One line of JSON.
pub(crate) fn line(value: &Value) -> String {
    escaped(value.to_string())
}

/// JSON over several lines, for one thing.
pub(crate) fn pretty(value: &Value) -> String {
    escaped(serde_json::to_string_pretty(value).expect("a value is JSON"))
}

/// The fields of one thing as an object over several lines, in the order of the fields.
pub(super) fn document(names: &[&'static str], values: &[Value]) -> String {
    let member = |(name, value): (&&str, &Value)| {
        let value = pretty(value).replace('\n', "\n  ");
        format!("  {name:?}: {value}")
    };
    let members: Vec<String> = names.iter().zip(values).map(member).collect();
    format!("{{\n{}\n}}", members.join(",\n"))
}

/// The fields of a row as an object, in the order of the fields.
pub(super) fn object(names: &[&'static str], values: &[Value]) -> String {
    let member = |(name, value): (&&str, &Value)| format!("{:?}:{value}", name);
    let members: Vec<String> = names.iter().zip(values).map(member).collect();
    escaped(format!("{{{}}}", members.join(",")))
}

/// Outside strings JSON holds none of these characters but line ends, so an escape stands where it may.
fn escaped(json: String) -> String {
    let harmful = |c: char| c != '\n' && steers(c);
    if !json.contains(harmful) {
        return json;
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match harmful(c) {
            false => safe.push(c),
            true => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(safe, "\\u{unit:04x}");
                }
            }
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_change_the_text_and_not_the_value() {
        let value: Value = "a\u{9b}31m\u{202e}\u{7f}\u{e0041}\u{1b}b".into();
        for text in [line(&value), pretty(&value)] {
            assert!(!text.chars().any(steers), "{text:?}");
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
    }

    #[test]
    fn an_object_keeps_the_order_of_its_fields() {
        assert_eq!(
            object(&["b", "a"], &[1.into(), "x".into()]),
            r#"{"b":1,"a":"x"}"#
        );
    }
}
