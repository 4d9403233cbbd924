//! Text from outside as each format takes it: nothing ends a string early or steers a terminal.
//!
//! Beyond ASCII only letters and digits stand for themselves; anything else may hide or turn the text around it, and is
//! written as a number that a reader turns back.

use std::fmt::{self, Write as _};

use serde_json::Value;

/// What stands where a format has no way to write a character.
const REPLACEMENT: char = '\u{fffd}';

fn is_plain(c: char) -> bool {
    match c.is_ascii() {
        true => !c.is_ascii_control(),
        false => c.is_alphanumeric(),
    }
}

/// In an attribute or between tags. XML 1.0 §2.2 has no way to write most control characters, U+FFFE and U+FFFF.
pub(super) struct Xml<'a>(pub(super) &'a str);

impl fmt::Display for Xml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\t' | '\n' | '\r' => write!(f, "&#x{:x};", u32::from(c))?,
                '\0'..' ' | '\u{fffe}' | '\u{ffff}' => f.write_char(REPLACEMENT)?,
                c if is_plain(c) => f.write_char(c)?,
                c => write!(f, "&#x{:x};", u32::from(c))?,
            }
        }
        Ok(())
    }
}

/// A quoted string of DOT. Graphviz reads `\` escapes and HTML entities in it.
pub(super) struct Dot<'a>(pub(super) &'a str);

impl fmt::Display for Dot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '&' => f.write_str("&amp;")?,
                c if c.is_ascii_control() => f.write_char(REPLACEMENT)?,
                c if is_plain(c) => f.write_char(c)?,
                c => write!(f, "&#{};", u32::from(c))?,
            }
        }
        f.write_char('"')
    }
}

/// One line of JSON. Outside strings it holds ASCII only, so an escape stands where it may.
pub(super) struct Json<'a>(pub(super) &'a Value);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.to_string().chars() {
            if is_plain(c) {
                f.write_char(c)?;
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(f, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\"]]><b>&amp;\\N\u{1b}[2J\0\u{9b}31m\u{202e}\u{fffe}\t🦀é例";

    #[test]
    fn xml_is_well_formed_whatever_the_text() {
        let text = Xml(HOSTILE).to_string();
        assert_eq!(
            text,
            "a&quot;]]&gt;&lt;b&gt;&amp;amp;\\N\u{fffd}[2J\u{fffd}&#x9b;31m&#x202e;\u{fffd}&#x9;&#x1f980;é例"
        );
    }

    #[test]
    fn a_dot_string_ends_where_it_ends() {
        let text = Dot(HOSTILE).to_string();
        assert!(
            text.starts_with("\"a\\\"]]><b>&amp;amp;\\\\N\u{fffd}[2J"),
            "{text}"
        );
        assert!(text.ends_with("&#129408;é例\""), "{text}");
        let inside = &text[1..text.len() - 1];
        assert!(
            !inside
                .replace("\\\\", "")
                .replace("\\\"", "")
                .contains(['"', '\\'])
        );
    }

    #[test]
    fn json_means_the_same_after_escaping() {
        let value = Value::from(HOSTILE);
        let text = Json(&value).to_string();
        assert!(text.chars().all(is_plain), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
