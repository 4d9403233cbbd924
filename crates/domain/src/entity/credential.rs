//! `credential`: a keyed hash of account and secret, in hexadecimal.
//!
//! **Never:** the secret, or a hash of it that is not keyed.

use super::{KeyError, characters};

const FORM: KeyError =
    KeyError::Form("a credential is a keyed hash, 64 lower-case hexadecimal digits");

/// Only Mirage makes these, so only its own form is taken.
pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let exact = characters::is_hex(text, 64) && !text.bytes().any(|byte| byte.is_ascii_uppercase());
    exact.then(|| text.to_owned()).ok_or(FORM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hash_is_a_key() {
        let key = "0123456789abcdef".repeat(4);
        assert_eq!(normalise(&key), Ok(key.clone()));
        for text in [&key.to_uppercase(), &key[..32], "alice@example.com:secret"] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
    }
}
