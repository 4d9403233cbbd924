//! `certificate`: the SHA-256 of its DER in hexadecimal.

use super::{KeyError, characters};

const FORM: KeyError =
    KeyError::Form("a certificate is the SHA-256 of its DER, 64 hexadecimal digits");

pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    if !characters::is_hex(text, 64) {
        return Err(FORM);
    }
    Ok(text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_certificate_has_one_key() {
        let key = "0123456789abcdef".repeat(4);
        assert_eq!(normalise(&key.to_uppercase()), Ok(key.clone()));
        for text in [&key[1..], &format!("{key}0"), &key.replace('a', "g")] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
    }
}
