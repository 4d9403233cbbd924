//! `tracker-id`: `vendor:id` in lower case, such as `google-analytics:g-abc123`.

use super::{KeyError, characters};

const FORM: KeyError =
    KeyError::Form("a tracker id is VENDOR:ID, such as google-analytics:g-abc123");

/// Longest id of a tracker; those of today's vendors have at most 40 characters.
const ID_BYTES_MAX: usize = 128;

pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let (vendor, id) = characters::slug_and_rest(text).ok_or(FORM)?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    if !matches!(id.len(), 1..=ID_BYTES_MAX) || !id.bytes().all(legal) {
        return Err(FORM);
    }
    Ok(format!("{vendor}:{}", id.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tracker_has_one_key() {
        let key = "google-analytics:g-abc123";
        assert_eq!(normalise("Google-Analytics:G-ABC123").as_deref(), Ok(key));
        for text in [
            "g-abc123",
            "google:",
            ":g-abc123",
            "google analytics:1",
            "google:a b",
            "a:b:c",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
    }
}
