//! What a commit becomes: one document per claim.

use std::fmt::Write as _;

use mirage_domain::finding::Attributes;
use mirage_log::Recorded;
use serde_json::Value as Json;

use crate::claims::{self, Claim};
use crate::{Error, Operations, Table};

pub(crate) static DOCUMENTS: Table = Table {
    name: "documents",
    columns: &[
        "cursor",
        "finding",
        "entity",
        "workspace",
        "scan",
        "module",
        "kind",
        "key",
        "text",
        "unspaced",
    ],
};

pub(super) fn of_commit(recorded: &Recorded, operations: &mut Operations) -> Result<(), Error> {
    for claim in claims::of_commit(recorded) {
        document(claim?, operations)?;
    }
    Ok(())
}

fn document(claim: Claim<'_>, operations: &mut Operations) -> Result<(), Error> {
    let finding = claim.finding;
    let key = claim.key()?;
    let text = finding.attributes.open().map(text);
    let unspaced = text.as_deref().and_then(unspaced);
    operations.insert(
        &DOCUMENTS,
        [
            claim.cursor(),
            finding.id.0.into(),
            finding.entity.0.into(),
            claim.workspace(),
            claim.scan(),
            claims::module(claim.commit),
            finding.kind.as_str().into(),
            key,
            text.filter(|text| !text.is_empty()).into(),
            unspaced.into(),
        ],
    );
    Ok(())
}

/// Attributes as lines `name: value`, a line per plain value; it is no longer than their JSON, or twice that in arrays.
fn text(attributes: &Attributes) -> String {
    let mut text = String::new();
    for (name, value) in attributes {
        lines(name, value, &mut text);
    }
    text
}

fn lines(name: &str, value: &Json, text: &mut String) {
    match value {
        Json::Null => {}
        Json::Array(items) => items.iter().for_each(|item| lines(name, item, text)),
        Json::Object(members) => members
            .iter()
            .for_each(|(name, member)| lines(name, member, text)),
        Json::String(value) => line(name, value, text),
        Json::Bool(_) | Json::Number(_) => line(name, &value.to_string(), text),
    }
}

/// What would break the line, or is a NUL, becomes a space or the replacement character.
fn line(name: &str, value: &str, text: &mut String) {
    if !text.is_empty() {
        text.push('\n');
    }
    let plain = |c: char| match c {
        '\0' => '\u{fffd}',
        c if c.is_control() => ' ',
        c => c,
    };
    text.extend(name.chars().map(plain));
    let _ = write!(text, ": ");
    text.extend(value.chars().map(plain));
}

/// The words of a text that are written in a script without spaces, of which a reader looks for parts.
fn unspaced(text: &str) -> Option<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let words: Vec<&str> = words.filter(|word| word.contains(is_unspaced)).collect();
    (!words.is_empty()).then(|| words.join("\n"))
}

/// Blocks of Unicode: Thai, Lao, Myanmar, Khmer, Kana, Han, and Hangul, whose words take their particles along.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(json: Json) -> String {
        text(json.as_object().unwrap())
    }

    #[test]
    fn a_text_has_a_line_per_plain_value_whatever_its_depth() {
        let json = serde_json::json!({
            "names": ["a", "b"], "server": {"name": "nginx", "none": null}, "port": 80, "title": "two\nlines\0"
        });
        assert_eq!(
            text_of(json),
            "names: a\nnames: b\nport: 80\nname: nginx\ntitle: two lines\u{fffd}"
        );
    }

    #[test]
    fn only_words_without_spaces_are_kept_for_their_parts() {
        assert_eq!(unspaced("title: Straße nginx"), None);
        assert_eq!(
            unspaced("title: 東京都庁 nginx ภาษาไทย").as_deref(),
            Some("東京都庁\nภาษาไทย")
        );
    }
}
