//! `storage-bucket`: `provider:name` in lower case, such as `s3:example-assets`.

use super::{KeyError, characters};

const FORM: KeyError =
    KeyError::Form("a storage bucket is PROVIDER:NAME, such as s3:example-assets");

/// Longest name: Google's with dots have 222, an Azure account and container 88 characters.
const NAME_BYTES_MAX: usize = 222;

/// A container below an account is `azure:account/container`; Azure's own begin with `$`.
pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let (provider, name) = characters::slug_and_rest(text).ok_or(FORM)?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.$".contains(&byte);
    let part = |part: &str| {
        let first = part.bytes().next().unwrap_or(b'.');
        part.bytes().all(legal) && first != b'.' && first != b'-'
    };
    if name.len() > NAME_BYTES_MAX || name.split('/').count() > 2 || !name.split('/').all(part) {
        return Err(FORM);
    }
    Ok(format!("{provider}:{}", name.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bucket_has_one_key() {
        for (text, key) in [
            ("S3:Example-Assets", "s3:example-assets"),
            ("azure:example/$web", "azure:example/$web"),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key));
        }
        for text in [
            "example", "s3:", "s3:a b", "s3:../a", "s3:a//b", "s3:a/b/c", "s3:a\0",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text:?}");
        }
    }
}
