//! `mobile-app`: `store:id`, such as `google-play:com.example.app`, the id as the store writes it.

use super::{KeyError, characters};

const FORM: KeyError =
    KeyError::Form("a mobile app is STORE:ID, such as google-play:com.example.app");

/// Longest id; package names have at most 150 characters at Google's.
const ID_BYTES_MAX: usize = 255;

pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let (store, id) = characters::slug_and_rest(text).ok_or(FORM)?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !matches!(id.len(), 1..=ID_BYTES_MAX) || !id.bytes().all(legal) {
        return Err(FORM);
    }
    Ok(format!("{store}:{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_app_has_one_key() {
        // Package names have case: com.example.App is another app.
        let key = "google-play:com.example.App";
        assert_eq!(normalise("Google-Play:com.example.App").as_deref(), Ok(key));
        for text in [
            "com.example.app",
            "google-play:",
            ":1",
            "app-store:1 2",
            "app-store:1:2",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
    }
}
