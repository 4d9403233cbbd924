//! `domain`: a DNS name as its IDNA A-label, lower case, without the final dot.

use super::{Entity, KeyError, Kind};

const FORM: KeyError = KeyError::Form("a domain is a name such as www.example.com");

/// UTS 46, non-transitional; `_` is allowed; no wildcard, no address.
pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let ascii = idna::domain_to_ascii_cow(text.as_bytes(), idna::AsciiDenyList::EMPTY)
        .map_err(|_| FORM)?
        .to_ascii_lowercase();
    // Only now: IDNA reads the full stops of other scripts as dots too.
    let ascii = ascii.strip_suffix('.').unwrap_or(&ascii);
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| matches!(label.len(), 1..=63) && label.bytes().all(legal);
    if ascii.len() > 253 || !ascii.split('.').all(label) || is_address(ascii) {
        return Err(FORM);
    }
    Ok(ascii.to_owned())
}

/// A last label of digits makes a browser read the whole as an address.
fn is_address(ascii: &str) -> bool {
    let last = ascii.rsplit('.').next().unwrap_or(ascii);
    last.bytes().all(|byte| byte.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

impl Entity {
    /// The name of a `domain`.
    pub fn as_domain(&self) -> Option<&str> {
        (self.kind() == Kind::Domain).then_some(self.key())
    }

    /// The part of a `domain` that somebody registered, by the public suffix list that is built in;
    /// none for a suffix itself.
    pub fn registrable_domain(&self) -> Option<&str> {
        psl::domain_str(self.as_domain()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_gives_its_registrable_part() {
        for (name, registrable) in [
            ("_dmarc.www.example.co.uk", Some("example.co.uk")),
            ("example.com", Some("example.com")),
            ("a.b.example.test", Some("example.test")),
            ("alice.github.io", Some("alice.github.io")),
            ("www.食狮.公司.cn", Some("xn--85x722f.xn--55qx5d.cn")),
            ("co.uk", None),
            ("localhost", None),
        ] {
            let domain = Entity::new(Kind::Domain, name).unwrap();
            assert_eq!(domain.registrable_domain(), registrable, "{name}");
        }
        assert_eq!(
            Entity::recorded(Kind::Text, "example.com").registrable_domain(),
            None
        );
    }

    #[test]
    fn one_name_has_one_key() {
        for (text, key) in [
            ("WWW.Example.COM.", "www.example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("_dmarc.example.com", "_dmarc.example.com"),
            ("faß.de", "xn--fa-hia.de"),
            ("r3---sn-a.example。com。", "r3---sn-a.example.com"),
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
