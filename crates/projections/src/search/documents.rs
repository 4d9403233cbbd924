//! What a commit becomes: one document per claim.

use std::fmt::{self, Write as _};

use mirage_domain::finding::Written;
use mirage_log::Recorded;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
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
    let attributes = finding.attributes.open();
    let text = attributes.map(text).transpose();
    let text = text.map_err(|_| Error::unfit(claim.cursor, "the attributes cannot be read"))?;
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
fn text(attributes: &Written) -> serde_json::Result<String> {
    let mut text = String::new();
    let mut json = serde_json::Deserializer::from_str(attributes.text());
    let lines = Lines {
        name: "",
        text: &mut text,
    };
    lines.deserialize(&mut json)?;
    Ok(text)
}

/// Writes the lines of a value as it is read: no value is kept, of which there may be millions.
struct Lines<'a> {
    name: &'a str,
    text: &'a mut String,
}

impl<'de> DeserializeSeed<'de> for Lines<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Lines<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        line(self.name, if value { "true" } else { "false" }, self.text);
        Ok(())
    }
    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        line(self.name, &value.to_string(), self.text);
        Ok(())
    }
    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        line(self.name, &value.to_string(), self.text);
        Ok(())
    }
    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        line(self.name, &Json::from(value).to_string(), self.text);
        Ok(())
    }
    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        line(self.name, value, self.text);
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { name, text } = self;
        while items.next_element_seed(Lines { name, text })?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            let (name, text) = (&name, &mut *self.text);
            members.next_value_seed(Lines { name, text })?;
        }
        Ok(())
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
        text(&json.as_object().unwrap().clone().into()).unwrap()
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
