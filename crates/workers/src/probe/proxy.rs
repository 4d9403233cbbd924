//! The proxy of a scan: `http://` and `socks5://`, with or without a name and password.
//!
//! Through a proxy the egress policy still judges every address that Mirage names: literals in URLs, addresses of
//! findings, and what its own resolvers answered. A host *name* in a URL goes to the proxy as it is, unresolved, so that
//! nobody but the proxy learns it; what the proxy makes of it the policy cannot judge (only `localhost` is refused by
//! name). Whoever runs the proxy must see to that. The proxy's own address is configuration, like that of a resolver.
//!
//! **Never:** the credentials in evidence, in an error, or in a debug line.

use std::fmt;

use data_encoding::BASE64;
use url::Url;

/// Where SOCKS proxies listen unless said otherwise (RFC 1928 §3).
const SOCKS_PORT: u16 = 1080;
/// Bytes of a name and of a password (RFC 1929 §2).
const CREDENTIAL_BYTES_MAX: usize = 255;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// CONNECT, and absolute URLs for plain HTTP (RFC 9110 §9.3.6, RFC 9112 §3.2.2).
    Http,
    /// RFC 1928; names are resolved by the proxy.
    Socks5,
}

/// A proxy to go through.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub(crate) kind: Kind,
    pub(crate) host: String,
    pub(crate) port: u16,
    credentials: Option<Credentials>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: Vec<u8>,
    pub(crate) password: Vec<u8>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}:{}", self.kind, self.host, self.port)
    }
}

/// A text that names no proxy; it is not repeated here, since it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnfitProxy {
    #[error("the proxy is no URL; write http://HOST:PORT or socks5://HOST:PORT")]
    NoUrl,
    #[error("a proxy of the kind `{0}` is not known; write http:// or socks5://")]
    Scheme(String),
    #[error("the proxy's URL has a path, a query or a fragment; leave it out")]
    Path,
    #[error("a proxy's name and password may have 255 bytes each")]
    Credentials,
}

impl Proxy {
    /// Reads `http://[USER:PASSWORD@]HOST[:PORT]` or the same with `socks5://`.
    pub fn parse(text: &str) -> Result<Self, UnfitProxy> {
        let url = read(text)?;
        let kind = match url.scheme() {
            "http" => Kind::Http,
            _ => Kind::Socks5,
        };
        let host = url.host_str().ok_or(UnfitProxy::NoUrl)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let proxy = Self {
            kind,
            host: host.to_owned(),
            port: url.port_or_known_default().unwrap_or(SOCKS_PORT),
            credentials: None,
        };
        match written(&url) {
            Some(credentials) => proxy.with_credentials(&credentials),
            None => Ok(proxy),
        }
    }

    /// The URL without credentials, as it may be recorded, and the credentials as they stood there (`USER:PASSWORD`).
    pub fn split(text: &str) -> Result<(String, Option<String>), UnfitProxy> {
        let mut url = read(text)?;
        let credentials = written(&url);
        // Both can only fail without a host.
        let _ = url.set_password(None);
        let _ = url.set_username("");
        Ok((url.as_str().trim_end_matches('/').to_owned(), credentials))
    }

    /// The same proxy with `USER:PASSWORD`, percent-encoded as in a URL.
    pub fn with_credentials(mut self, text: &str) -> Result<Self, UnfitProxy> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let (user, password) = (decoded(user), decoded(password));
        let is_long = |part: &[u8]| part.len() > CREDENTIAL_BYTES_MAX;
        if user.is_empty() || is_long(&user) || is_long(&password) {
            return Err(UnfitProxy::Credentials);
        }
        self.credentials = Some(Credentials { user, password });
        Ok(self)
    }

    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The value of `Proxy-Authorization` (RFC 7617).
    pub(crate) fn authorization(&self) -> Option<String> {
        let Credentials { user, password } = self.credentials.as_ref()?;
        let pair = [&user[..], b":", password].concat();
        Some(format!("Basic {}", BASE64.encode(&pair)))
    }
}

fn read(text: &str) -> Result<Url, UnfitProxy> {
    let url = Url::parse(text).map_err(|_| UnfitProxy::NoUrl)?;
    if !matches!(url.scheme(), "http" | "socks5" | "socks5h") {
        return Err(UnfitProxy::Scheme(url.scheme().to_owned()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(UnfitProxy::NoUrl);
    }
    let is_bare = matches!(url.path(), "" | "/");
    match is_bare && url.query().is_none() && url.fragment().is_none() {
        true => Ok(url),
        false => Err(UnfitProxy::Path),
    }
}

fn written(url: &Url) -> Option<String> {
    let has_any = !url.username().is_empty() || url.password().is_some();
    has_any.then(|| format!("{}:{}", url.username(), url.password().unwrap_or_default()))
}

/// Percent-decoding (RFC 3986 §2.1); what is no escape stays.
fn decoded(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
        let escaped = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() {
            &after[2..]
        } else {
            after
        };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_from_its_url() {
        for (text, expected) in [
            ("http://proxy.example:3128", "Http proxy.example:3128"),
            ("http://192.0.2.1/", "Http 192.0.2.1:80"),
            ("socks5://[2001:db8::1]", "Socks5 2001:db8::1:1080"),
            (
                "socks5h://u:p@proxy.example:9050",
                "Socks5 proxy.example:9050",
            ),
        ] {
            assert_eq!(format!("{:?}", Proxy::parse(text).unwrap()), expected);
        }
        for (text, error) in [
            (
                "proxy.example:3128",
                UnfitProxy::Scheme("proxy.example".into()),
            ),
            ("3128", UnfitProxy::NoUrl),
            ("socks5://", UnfitProxy::NoUrl),
            ("https://proxy.example", UnfitProxy::Scheme("https".into())),
            ("http://proxy.example/x", UnfitProxy::Path),
            ("http://:only@proxy.example", UnfitProxy::Credentials),
        ] {
            assert_eq!(Proxy::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let text = "http://us%3Aer:p%40ss%zz@proxy.example:8080";
        let proxy = Proxy::parse(text).unwrap();
        let pair = BASE64.encode(b"us:er:p@ss%zz");
        assert_eq!(proxy.authorization(), Some(format!("Basic {pair}")));
        assert!(!format!("{proxy:?}").contains("er"));
        let (bare, credentials) = Proxy::split(text).unwrap();
        assert_eq!(bare, "http://proxy.example:8080");
        let again = Proxy::parse(&bare).unwrap();
        assert_eq!(again.with_credentials(&credentials.unwrap()), Ok(proxy));
    }
}
