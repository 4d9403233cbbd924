//! Characters: which of them a key may hold, and how written names are folded to one form.

use unicode_normalization::UnicodeNormalization as _;

use super::KeyError;

/// Longest key of a name that people write; what is longer is no name but a text.
pub(super) const NAME_BYTES_MAX: usize = 512;

/// Longest slug, as for ids.
const SLUG_BYTES_MAX: usize = 64;

/// Rounds of folding after which a text that still changes is refused; real ones settle in two.
const FOLDING_ROUNDS_MAX: usize = 6;

/// C0, DEL and C1, and what turns the direction of writing: they make a reader see another text.
pub(super) fn is_control(c: char) -> bool {
    let turns = matches!(c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

/// Shows nothing: Default_Ignorable_Code_Point of Unicode, without what `is_control` refuses.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// May stand in a word that is kept as it is written.
pub(super) fn is_visible(c: char) -> bool {
    !is_control(c) && !is_invisible(c) && !c.is_whitespace() && c != char::REPLACEMENT_CHARACTER
}

/// NFKC, case folded, without invisible characters, trimmed, inner white space single; in the main
/// the NFKC_Casefold of Unicode. `form` is the answer to control characters and to a text without
/// a letter or digit.
pub(super) fn folded(text: &str, form: &KeyError) -> Result<String, KeyError> {
    let refused = |c: char| {
        (is_control(c) && !matches!(c, '\t' | '\n' | '\r')) || c == char::REPLACEMENT_CHARACTER
    };
    if text.chars().any(refused) {
        return Err(form.clone());
    }
    let mut key = fold_once(text);
    for _ in 0..FOLDING_ROUNDS_MAX {
        let next = fold_once(&key);
        if next != key {
            key = next;
        } else if key.len() > NAME_BYTES_MAX {
            return Err(KeyError::TooLong {
                max: NAME_BYTES_MAX,
            });
        } else {
            return Some(key)
                .filter(|key| key.chars().any(char::is_alphanumeric))
                .ok_or(form.clone());
        }
    }
    Err(form.clone())
}

/// Upper case before lower case brings ß to ss and both small sigmas to one, as case folding does.
fn fold_once(text: &str) -> String {
    let upper = text
        .nfkc()
        .filter(|&c| !is_invisible(c))
        .flat_map(char::to_uppercase);
    let lower: String = upper.flat_map(char::to_lowercase).nfkc().collect();
    lower.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Lower-case letters, digits and `. _ -`, 1–64: names of sites, sources, vendors, rules.
pub(super) fn is_slug(text: &str) -> bool {
    let legal =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    matches!(text.len(), 1..=SLUG_BYTES_MAX) && text.bytes().all(legal)
}

/// `SLUG:REST` as the slug in lower case and the rest as it stands.
pub(super) fn slug_and_rest(text: &str) -> Option<(String, &str)> {
    let (slug, rest) = text.split_once(':')?;
    let slug = slug.to_ascii_lowercase();
    is_slug(&slug).then_some((slug, rest))
}

/// Exactly `count` hexadecimal digits of either case.
pub(super) fn is_hex(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: KeyError = KeyError::Form("form");

    #[test]
    fn one_name_folds_to_one_form() {
        for (text, key) in [
            ("  ACME\u{a0} \t Widgets\n", "acme widgets"),
            ("Straße", "strasse"),
            ("STRASSE", "strasse"),
            ("ΟΔΟΣ", "οδοσ"),
            ("οδος", "οδοσ"),
            ("ＡＣＭＥ", "acme"),
            ("e\u{301}", "é"),
            ("soft\u{ad}hyphen\u{200b}", "softhyphen"),
        ] {
            assert_eq!(folded(text, &FORM).as_deref(), Ok(key));
        }
    }

    #[test]
    fn what_hides_is_refused() {
        for text in [
            "a\0b",
            "a\u{1b}[31mb",
            "a\u{7f}",
            "a\u{85}b",
            "\u{202e}txt",
            "a\u{fffd}",
            "—",
        ] {
            assert_eq!(folded(text, &FORM), Err(FORM), "{text:?}");
        }
        assert_eq!(
            folded(&"a".repeat(NAME_BYTES_MAX + 1), &FORM),
            Err(KeyError::TooLong {
                max: NAME_BYTES_MAX
            })
        );
    }
}
