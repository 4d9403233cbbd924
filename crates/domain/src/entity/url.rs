//! `url`: a web address in its WHATWG serialisation, without fragment and user info.

use super::KeyError;

const FORM: KeyError = KeyError::Form("a url is an http or https address");

pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let mut url = ::url::Url::parse(text).map_err(|_| FORM)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(FORM);
    }
    url.set_fragment(None);
    url.set_username("").map_err(|()| FORM)?;
    url.set_password(None).map_err(|()| FORM)?;
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "http://",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
    }
}
