//! CSV: RFC 4180, and no cell that a spreadsheet would run as a formula.

use std::io::{self, Write};

use serde_json::Value;

use crate::safe_text::SafeText;

/// Writes one record.
pub fn record(values: &[Value], out: &mut dyn Write) -> io::Result<()> {
    let cells: Vec<String> = values.iter().map(cell).collect();
    write!(out, "{}\r\n", cells.join(","))
}

/// The value as plain text: lists joined by `separator`, objects as JSON.
pub fn plain(value: &Value, separator: &str) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Number(number) => number.to_string(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| plain(item, separator)).collect();
            items.join(separator)
        }
        Value::Object(_) => value.to_string(),
    }
}

fn cell(value: &Value) -> String {
    let text = plain(value, " ");
    // A number is no formula, whatever its sign.
    let runs = !value.is_number() && text.starts_with(['=', '+', '-', '@', '\t', '\r', '\0']);
    let shown = SafeText(&text).to_string();
    let guarded = if runs { format!("'{shown}") } else { shown };
    match guarded.contains(['"', ',']) || guarded != guarded.trim() {
        true => format!("\"{}\"", guarded.replace('"', "\"\"")),
        false => guarded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_run_in_a_spreadsheet_is_text() {
        for text in ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\0x"] {
            assert!(
                cell(&text.into()).trim_start_matches('"').starts_with('\''),
                "{text:?}"
            );
        }
        assert_eq!(cell(&(-5).into()), "-5");
        assert_eq!(cell(&"a=b".into()), "a=b");
    }

    #[test]
    fn quotes_commas_and_line_ends_stay_in_their_cell() {
        assert_eq!(cell(&"a,\"b\"".into()), "\"a,\"\"b\"\"\"");
        assert_eq!(cell(&"a\nb".into()), "a\\nb");
        let mut out = Vec::new();
        record(&["a".into(), Value::Null, 3.into()], &mut out).unwrap();
        assert_eq!(out, b"a,,3\r\n");
    }
}
