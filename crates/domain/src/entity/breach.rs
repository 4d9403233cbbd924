//! `breach`: `source:name`, the name folded as names are.

use super::{KeyError, characters};

const FORM: KeyError = KeyError::Form("a breach is SOURCE:NAME, such as hibp:adobe");

pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let (source, name) = characters::slug_and_rest(text).ok_or(FORM)?;
    let name = characters::folded(name, &FORM)?;
    Ok(format!("{source}:{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_breach_has_one_key() {
        for (text, key) in [
            ("HIBP:Adobe", "hibp:adobe"),
            ("hibp: Collection  #1", "hibp:collection #1"),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key));
        }
        for text in [
            "adobe",
            "hibp:",
            ":adobe",
            "h ibp:adobe",
            "hibp:a\u{1b}b",
            "hibp:a\u{202d}b",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text:?}");
        }
    }
}
