//! `url`: a web address in its WHATWG serialisation, without fragment and user info.

use super::{Entity, KeyError, Kind, characters};

const FORM: KeyError = KeyError::Form("a url is an http or https address");

/// Absolute only. WHATWG drops tabs and line feeds and guesses at missing slashes; here both are refused.
pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    if !text.contains("://") || text.chars().any(characters::is_control) {
        return Err(FORM);
    }
    let mut url = ::url::Url::parse(text).map_err(|_| FORM)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(FORM);
    }
    url.set_fragment(None);
    url.set_username("").map_err(|()| FORM)?;
    url.set_password(None).map_err(|()| FORM)?;
    Ok(url.into())
}

impl Entity {
    /// The host of a `url`: a name, or an address without brackets.
    pub fn host(&self) -> Option<&str> {
        let (_, rest) = self
            .key()
            .split_once("://")
            .filter(|_| self.kind() == Kind::Url)?;
        let authority = rest.split('/').next()?;
        let host = match authority.strip_prefix('[') {
            Some(address) => address.split(']').next(),
            None => authority.split(':').next(),
        };
        host.filter(|host| !host.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_its_host() {
        for (url, host) in [
            ("https://www.example.com/a:b", "www.example.com"),
            ("http://192.0.2.1:8080?q", "192.0.2.1"),
            ("https://[2001:DB8::1]:8443/", "2001:db8::1"),
        ] {
            assert_eq!(Entity::new(Kind::Url, url).unwrap().host(), Some(host));
        }
        assert_eq!(
            Entity::recorded(Kind::Domain, "https://example.com/").host(),
            None
        );
    }

    #[test]
    fn one_address_has_one_key() {
        for (text, key) in [
            (
                "HTTP://User:secret@Example.com:80/a/../b?q=1#top",
                "http://example.com/b?q=1",
            ),
            ("https://example.com:8443", "https://example.com:8443/"),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key));
        }
        for text in [
            "ftp://example.com/",
            "javascript:alert(1)",
            "/path",
            "https:example.com",
            "https://exam\nple.com/",
            "https://example.com/\u{202e}",
            "http://",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
    }
}
