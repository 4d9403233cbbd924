//! Redirects: where a page sends us, and whether we go (RFC 9110 §15.4, RFC 3986 §5).
//!
//! **Invariant:** at most [`HOPS_MAX`], only to http and https, never from https to http.
//! **Never:** a secret, a cookie or any header that may hold one taken along to another origin.

use url::Url;

use super::{HOPS_MAX, Hop, HttpRequest, Page};
use crate::collectors::CollectError;

/// A request and the hops that led to it.
pub(crate) struct Trail {
    pub(crate) request: HttpRequest,
    pub(crate) url: Url,
    /// Whether this is still the origin that was asked first; only it gets secrets.
    pub(crate) is_home: bool,
    home: url::Origin,
    hops: Vec<Hop>,
}

/// What to do with a page.
pub(crate) enum Step {
    Arrived(Page),
    Onward(Trail),
}

impl Trail {
    pub(crate) fn new(request: HttpRequest) -> Result<Self, CollectError> {
        let wrong = || CollectError::Malformed(format!("`{}` is no web address", request.url));
        let mut url = Url::parse(&request.url).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong());
        }
        strip(&mut url);
        Ok(Self {
            is_home: true,
            home: url.origin(),
            hops: Vec::new(),
            url,
            request,
        })
    }

    /// Takes the page at the trail's URL and says whether it is the end.
    pub(crate) fn step(mut self, mut page: Page) -> Step {
        let Some(url) = self.target(&page) else {
            page.hops = self.hops;
            return Step::Arrived(page);
        };
        self.hops.push(Hop {
            status: page.status,
            from: page.url,
            to: url.to_string(),
            evidence: page.evidence,
        });
        if url.host() != self.url.host() {
            self.request.connect = None;
        }
        if url.origin() != self.home {
            self.is_home = false;
            self.request.headers.retain(is_harmless);
        }
        self.url = url;
        Step::Onward(self)
    }

    fn target(&self, page: &Page) -> Option<Url> {
        let is_redirect = matches!(page.status, 301 | 302 | 303 | 307 | 308);
        if !is_redirect || !self.request.follow || self.hops.len() >= HOPS_MAX {
            return None;
        }
        let location = page.headers.iter().find(|(name, _)| name == "location");
        let mut url = self.url.join(&location?.1).ok()?;
        let is_allowed = match (self.url.scheme(), url.scheme()) {
            (_, "https") | ("http", "http") => url.has_host(),
            _ => false,
        };
        strip(&mut url);
        is_allowed.then_some(url)
    }
}

/// Drops what is no part of a request: the fragment, and a name and password that a stranger could have put there.
fn strip(url: &mut Url) {
    url.set_fragment(None);
    // Both can only fail without a host, and then there is nothing to drop.
    let _ = url.set_username("");
    let _ = url.set_password(None);
}

/// Whether a header may be shown to a stranger: anything else may be or hold a key.
fn is_harmless((name, value): &(String, String)) -> bool {
    let names = ["accept", "accept-language", "user-agent"];
    !value.contains("{secret:") && names.iter().any(|own| name.eq_ignore_ascii_case(own))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use mirage_domain::id::Digest;

    use super::*;

    fn page(url: &str, location: &str) -> Page {
        Page {
            url: url.into(),
            hops: Vec::new(),
            status: 307,
            version: "HTTP/1.1",
            headers: vec![("location".into(), location.into())],
            body: Bytes::new(),
            is_cut: false,
            remote: None,
            evidence: Digest::EMPTY,
        }
    }

    fn step(from: &str, location: &str) -> Option<Trail> {
        let mut request = HttpRequest::get(from);
        request.connect = Some([192, 0, 2, 1].into());
        request.headers = vec![
            ("x-key".into(), "{secret:x.key}".into()),
            ("Cookie".into(), "a=b".into()),
            ("accept".into(), "text/html".into()),
        ];
        match Trail::new(request).unwrap().step(page(from, location)) {
            Step::Onward(trail) => Some(trail),
            Step::Arrived(_) => None,
        }
    }

    #[test]
    fn a_redirect_leads_where_a_browser_would_go() {
        for (from, location, to) in [
            ("http://a.example/x/y", "z", "http://a.example/x/z"),
            ("http://a.example/x", "/z?q#f", "http://a.example/z?q"),
            ("https://a.example/", "//b.example/", "https://b.example/"),
            (
                "http://a.example/",
                "https://a.example/",
                "https://a.example/",
            ),
            ("http://a.example/", "http://0x7f.1/", "http://127.0.0.1/"),
            ("http://a.example/", "\\\\b.example", "http://b.example/"),
            (
                "http://a.example/",
                "http://u:p@b.example/",
                "http://b.example/",
            ),
        ] {
            let trail = step(from, location).unwrap();
            assert_eq!(trail.url.as_str(), to, "{from} {location}");
        }
    }

    #[test]
    fn a_downgrade_and_other_schemes_end_the_trail() {
        for location in [
            "http://a.example/",
            "data:text/html,x",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "ftp://a.example/",
            "gopher://a.example/",
            "https://",
            "https://[::",
        ] {
            assert!(step("https://a.example/", location).is_none(), "{location}");
        }
    }

    #[test]
    fn secrets_cookies_and_the_address_stay_at_home() {
        let home = step("https://a.example/", "/b").unwrap();
        assert!(home.is_home && home.request.connect.is_some());
        assert_eq!(home.request.headers.len(), 3);
        let away = step("https://a.example/", "https://b.example/").unwrap();
        assert!(!away.is_home && away.request.connect.is_none());
        assert_eq!(away.request.headers.len(), 1);
        let port = step("https://a.example/", "https://a.example:8443/").unwrap();
        assert!(!port.is_home && port.request.connect.is_some());
    }

    #[test]
    fn a_loop_ends_after_the_last_allowed_hop() {
        let url = "http://a.example/";
        let mut trail = Trail::new(HttpRequest::get(url)).unwrap();
        let mut hops = 0;
        let last = loop {
            match trail.step(page(url, "/")) {
                Step::Onward(next) => (trail, hops) = (next, hops + 1),
                Step::Arrived(page) => break page,
            }
        };
        assert_eq!((hops, last.hops.len()), (HOPS_MAX, HOPS_MAX));
    }
}
