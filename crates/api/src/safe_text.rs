//! Text from outside, made safe for a terminal: what would steer it is shown as a visible escape.
//!
//! **Invariant:** what comes out holds no C0, C1, DEL, or character that shows nothing or turns the direction.

use std::fmt::{self, Write as _};

/// A text that may come from anywhere. Its display form is one line.
#[derive(Debug, Clone, Copy)]
pub struct SafeText<'a>(pub &'a str);

impl fmt::Display for SafeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if !steers(c) => f.write_char(c)?,
                c if c.is_ascii() => write!(f, "\\x{:02x}", u32::from(c))?,
                c => write!(f, "\\u{{{:x}}}", u32::from(c))?,
            }
        }
        Ok(())
    }
}

/// Whether a character does something to a terminal or a reader's eye instead of showing itself.
pub fn steers(c: char) -> bool {
    let turns = matches!(c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let hides = matches!(c,
        '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2028}' | '\u{2029}'
        | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}');
    c.is_control() || turns || hides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_sequences_come_out_as_visible_text() {
        let mut hostile: Vec<String> = [
            "\u{1b}[2J\u{1b}[H",
            "\u{1b}]0;title\u{7}",
            "\u{1b}]52;c;cm0gLXJmIC8=\u{7}",
            "\u{1b}P$q\"p\u{1b}\\",
            "\u{1b}[6n",
            "\u{1b}[?1049h",
            "\u{1b}c",
            "\u{1b}(0",
            "\u{1b}[8m",
            "\u{1b}[20t",
            "\u{1b}]8;;http://evil.example\u{1b}\\x",
            "\u{9b}31m",
            "\u{9d}52;c;x\u{9c}",
            "\u{90}q\u{9c}",
            "a\rb",
            "a\nb",
            "a\u{8}\u{8}b",
            "\u{e}\u{f}",
            "\u{7f}",
            "\u{202e}gpj.exe",
            "\u{2066}a\u{2069}",
            "a\u{200b}b",
            "\u{feff}a",
            "\u{2028}",
            "\u{e0041}",
        ]
        .map(str::to_owned)
        .into();
        let controls = (0..0x20).chain(0x7f..0xa0).filter_map(char::from_u32);
        hostile.extend(controls.map(|c| format!("x{c}y")));
        assert!(hostile.len() >= 50, "{}", hostile.len());
        for text in hostile {
            let shown = SafeText(&text).to_string();
            assert!(!shown.chars().any(steers), "{shown:?}");
            assert!(shown.contains('\\'), "{shown:?}");
        }
    }

    #[test]
    fn plain_text_of_any_script_stays_as_it_is() {
        for text in ["www.example.com", "bücher", "例え", "🦀 a\\b", ""] {
            assert_eq!(SafeText(text).to_string(), text);
        }
    }

    #[test]
    fn the_escapes_tell_what_was_there() {
        assert_eq!(
            SafeText("\u{1b}[1m\n\u{9b}\u{202e}").to_string(),
            "\\x1b[1m\\n\\u{9b}\\u{202e}"
        );
    }
}
