//! `handle`: a bare user name as written, 1–64 characters.

use unicode_normalization::UnicodeNormalization as _;

use super::{KeyError, characters};

const FORM: KeyError =
    KeyError::Form("a handle is a user name of 1 to 64 characters without white space, @ : /");

const CHARACTERS_MAX: usize = 64;

/// The `@` before a name is how it is called, not part of it.
pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let key: String = text.strip_prefix('@').unwrap_or(text).nfc().collect();
    let legal = |c: char| characters::is_visible(c) && !matches!(c, '@' | ':' | '/');
    if !matches!(key.chars().count(), 1..=CHARACTERS_MAX) || !key.chars().all(legal) {
        return Err(FORM);
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_has_one_key() {
        for (text, key) in [
            ("@Alice_1", "Alice_1"),
            ("Jo\u{308}rg", "Jörg"),
            ("a#1234", "a#1234"),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key));
        }
        let long = "a".repeat(65);
        for text in [
            "@",
            "@@a",
            "a b",
            "a@b",
            "a:b",
            "a/b",
            "a\0",
            "a\u{200e}",
            "a\u{200b}",
            &long,
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text:?}");
        }
    }
}
