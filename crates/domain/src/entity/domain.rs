//! `domain`: a DNS name as its IDNA A-label, lower case, without the final dot.

use super::KeyError;

const FORM: KeyError = KeyError::Form("a domain is a name such as www.example.com");

/// UTS 46, non-transitional; `_` is allowed; no wildcard, no address.
pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let ascii = idna::domain_to_ascii_cow(text.as_bytes(), idna::AsciiDenyList::EMPTY)
        .map_err(|_| FORM)?
        .to_ascii_lowercase();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| matches!(label.len(), 1..=63) && label.bytes().all(legal);
    if ascii.len() > 253 || !ascii.split('.').all(label) || is_address(&ascii) {
        return Err(FORM);
    }
    Ok(ascii)
}

/// A last label of digits makes a browser read the whole as an address.
fn is_address(ascii: &str) -> bool {
    let last = ascii.rsplit('.').next().unwrap_or(ascii);
    last.bytes().all(|byte| byte.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_has_one_key() {
        for (text, key) in [
            ("WWW.Example.COM.", "www.example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("_dmarc.example.com", "_dmarc.example.com"),
            ("faß.de", "xn--fa-hia.de"),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key));
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "*.example.com",
            "127.0.0.1",
            "a..b",
            "",
            ".",
            "a b.c",
            "1.2.3.0x7f",
            "::1",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
    }
}
