//! `file`: the SHA-256 of its content in hexadecimal.

use super::{KeyError, characters};

const FORM: KeyError =
    KeyError::Form("a file is the SHA-256 of its content, 64 hexadecimal digits");

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
    fn one_file_has_one_key() {
        let key = "0123456789abcdef".repeat(4);
        assert_eq!(normalise(&key.to_uppercase()), Ok(key.clone()));
        for text in [&key[1..], &format!("{key}0"), &key.replace('a', "g")] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
    }
}
