//! `email`: the local part as written but in lower case, the domain as a `domain`.

use unicode_normalization::UnicodeNormalization as _;

use super::{KeyError, characters, domain};

const FORM: KeyError = KeyError::Form("an email is an address such as alice@example.com");

/// Longest local part and longest address (RFC 5321 §4.5.3.1).
const LOCAL_BYTES_MAX: usize = 64;
const ADDRESS_BYTES_MAX: usize = 254;

/// Quoted local parts, comments and address literals are refused.
pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let (local, host) = text.rsplit_once('@').ok_or(FORM)?;
    let local = local_part(local).ok_or(FORM)?;
    let host = domain::normalise(host).map_err(|_| FORM)?;
    if local.len() + 1 + host.len() > ADDRESS_BYTES_MAX {
        return Err(FORM);
    }
    Ok(format!("{local}@{host}"))
}

/// A dot-atom (RFC 5322), beyond ASCII too (RFC 6531).
fn local_part(text: &str) -> Option<String> {
    let local: String = text.nfc().flat_map(char::to_lowercase).nfc().collect();
    let legal = |c: char| match c {
        'a'..='z' | '0'..='9' => true,
        c if c.is_ascii() => "!#$%&'*+-/=?^_`{|}~".contains(c),
        c => characters::is_visible(c),
    };
    let atom = |atom: &str| !atom.is_empty() && atom.chars().all(legal);
    (local.len() <= LOCAL_BYTES_MAX && local.split('.').all(atom)).then_some(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mailbox_has_one_key() {
        for (text, key) in [
            ("Alice.B+Tag@Example.COM.", "alice.b+tag@example.com"),
            ("info@bücher.example", "info@xn--bcher-kva.example"),
            ("Jo\u{308}rg@example.com", "jörg@example.com"),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key));
        }
        for text in [
            "alice",
            "@example.com",
            "alice@",
            "a..b@example.com",
            ".a@example.com",
            "a b@example.com",
            "\"a b\"@example.com",
            "alice@[192.0.2.1]",
            "alice@192.0.2.1",
            "a@b@example.com",
            "al\u{200b}ice@example.com",
            "al\0ice@example.com",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text:?}");
        }
    }
}
