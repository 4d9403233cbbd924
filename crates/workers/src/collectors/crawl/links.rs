//! Links: every address that a page, a style sheet, a script or a header names.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use mirage_domain::entity::{Entity, Kind};
use regex::Regex;
use url::Url;

use crate::collectors::html::{Piece, pieces, unescape};
use crate::collectors::page;
use crate::probe::Page;

/// Bytes of one address; longer ones carry data, not places.
pub(super) const URL_BYTES_MAX: usize = 2048;
/// Attributes that hold one address.
const ONE: [&str; 14] = [
    "action",
    "background",
    "cite",
    "data",
    "data-href",
    "data-src",
    "data-url",
    "formaction",
    "href",
    "longdesc",
    "manifest",
    "poster",
    "src",
    "xlink:href",
];
/// Attributes that hold several, with descriptors or white space between them.
const SEVERAL: [&str; 4] = ["data-srcset", "imagesrcset", "ping", "srcset"];

static STYLE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?i)(?:url\(\s*|@import\s+)['"]?([^'"()\s;]+)"#));
static ABSOLUTE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?i)\bhttps?://[^\s"'<>\\`{}|^()]+"#));
static BRACKETS: LazyLock<Regex> = LazyLock::new(|| pattern("<([^<>]+)>"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a literal that is tested")
}

/// What a page links to.
#[derive(Debug)]
pub(super) struct Links {
    pub(super) urls: BTreeSet<Entity>,
    pub(super) domains: BTreeSet<Entity>,
    /// Whether there were more.
    pub(super) is_cut: bool,
    base: Url,
    max: usize,
}

impl Links {
    /// The links of a page at `url`: at most `max` addresses, and as many names.
    pub(super) fn of(page: &Page, url: &Url, max: usize) -> Self {
        let mut links = Self {
            urls: BTreeSet::new(),
            domains: BTreeSet::new(),
            is_cut: false,
            base: url.clone(),
            max,
        };
        links.read_headers(page);
        let kind = page::content_type(page).to_ascii_lowercase();
        if page::is_html(page) {
            links.read_html(&page::text(page));
        } else if kind.starts_with("text/css") {
            links.read_style(&page::text(page));
        } else if kind.contains("javascript") || kind.contains("ecmascript") {
            links.read_script(&page::text(page));
        }
        links
            .domains
            .extend(links.urls.iter().filter_map(page::domain_of).take(max));
        links
    }

    fn read_headers(&mut self, page: &Page) {
        for value in page::headers(page, "link") {
            for link in BRACKETS.captures_iter(value) {
                self.add(&link[1]);
            }
        }
        for name in [
            "content-security-policy",
            "content-security-policy-report-only",
        ] {
            for value in page::headers(page, name) {
                self.read_policy(value);
            }
        }
    }

    fn read_html(&mut self, html: &str) {
        let mut has_base = false;
        for piece in pieces(html) {
            match piece {
                Piece::Tag(name, attributes) if name.eq_ignore_ascii_case("base") && !has_base => {
                    has_base = self.rebase(&attributes);
                }
                Piece::Tag(name, attributes) => {
                    if name.eq_ignore_ascii_case("meta") {
                        self.read_meta(&attributes);
                    }
                    for (name, value) in attributes.iter().filter(|(_, value)| !value.is_empty()) {
                        self.read_attribute(name, value);
                    }
                }
                Piece::Raw(name, text) if name.eq_ignore_ascii_case("script") => {
                    self.read_script(text);
                }
                Piece::Raw(name, text) if name.eq_ignore_ascii_case("style") => {
                    self.read_style(text);
                }
                Piece::Raw(..) => {}
            }
        }
    }

    fn rebase(&mut self, attributes: &[(&str, &str)]) -> bool {
        let Some(href) = value_of(attributes, "href") else {
            return false;
        };
        let base = self.base.join(&unescape(href)).ok();
        let base = base.filter(|base| base.as_str().len() <= URL_BYTES_MAX);
        if let Some(base) = base.filter(|base| matches!(base.scheme(), "http" | "https")) {
            self.base = base;
        }
        true
    }

    /// A refresh (`5; url=/next`) or a policy.
    fn read_meta(&mut self, attributes: &[(&str, &str)]) {
        let content = value_of(attributes, "content").unwrap_or_default();
        match value_of(attributes, "http-equiv")
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            Some("refresh") => {
                if let Some((_, target)) = content.split_once('=') {
                    self.add(unescape(target).trim().trim_matches(['"', '\'']));
                }
            }
            Some("content-security-policy") => self.read_policy(&unescape(content)),
            _ => {}
        }
    }

    fn read_attribute(&mut self, name: &str, value: &str) {
        let is = |own: &&'static str| own.eq_ignore_ascii_case(name);
        if ONE.iter().any(is) {
            self.add(unescape(value).trim());
        } else if SEVERAL.iter().any(is) {
            let value = unescape(value);
            let parts = value
                .split(',')
                .flat_map(|part| part.split_whitespace().next());
            parts.for_each(|part| self.add(part));
        } else if name.eq_ignore_ascii_case("style") {
            self.read_style(&unescape(value));
        }
    }

    fn read_style(&mut self, css: &str) {
        for link in STYLE.captures_iter(css) {
            self.add(&link[1]);
        }
    }

    /// Absolute addresses in strings; JSON may write a slash as `\/`.
    fn read_script(&mut self, script: &str) {
        let script = script.replace("\\/", "/");
        for link in ABSOLUTE.find_iter(&script) {
            self.add(
                link.as_str()
                    .trim_end_matches(['.', ',', ';', ':', '!', '?', '*']),
            );
        }
    }

    /// Host sources (CSP 3, 2.3.1). A wildcard names no host.
    fn read_policy(&mut self, policy: &str) {
        for source in policy.split([' ', '\t', ';', ',']) {
            let host = source.split_once("://").map_or(source, |(_, rest)| rest);
            let host = host.split(['/', ':']).next().unwrap_or_default();
            if host.contains('.')
                && let Ok(domain) = Entity::new(Kind::Domain, host)
            {
                self.keep_domain(domain);
            }
        }
    }

    fn keep_domain(&mut self, domain: Entity) {
        if self.domains.len() < self.max {
            self.domains.insert(domain);
        } else {
            self.is_cut |= !self.domains.contains(&domain);
        }
    }

    fn add(&mut self, link: &str) {
        if link.len() > URL_BYTES_MAX || link.starts_with('#') {
            return;
        }
        let url = self.base.join(link).ok();
        let is_web = |url: &Url| matches!(url.scheme(), "http" | "https");
        let url = url.filter(|url| is_web(url) && url.as_str().len() <= URL_BYTES_MAX);
        let Some(Ok(entity)) = url.map(|url| Entity::new(Kind::Url, url.as_str())) else {
            return;
        };
        if self.urls.len() < self.max {
            self.urls.insert(entity);
        } else {
            self.is_cut |= !self.urls.contains(&entity);
        }
    }
}

fn value_of<'a>(attributes: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    let mut own = attributes
        .iter()
        .filter(|(own, _)| own.eq_ignore_ascii_case(name));
    own.next().map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use mirage_domain::id::Digest;

    use super::*;

    fn page(content_type: &str, headers: &[(&str, &str)], body: &str) -> Page {
        let mut all = vec![("content-type".to_owned(), content_type.to_owned())];
        all.extend(
            headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        Page {
            url: String::new(),
            hops: Vec::new(),
            status: 200,
            version: "HTTP/1.1",
            headers: all,
            body: Bytes::copy_from_slice(body.as_bytes()),
            is_cut: false,
            remote: None,
            evidence: Digest::EMPTY,
        }
    }

    fn links(page: &Page) -> Links {
        Links::of(
            page,
            &Url::parse("https://example.com/dir/page").unwrap(),
            500,
        )
    }

    fn urls(page: &Page) -> Vec<String> {
        links(page)
            .urls
            .iter()
            .map(|url| url.key().to_owned())
            .collect()
    }

    #[test]
    fn each_way_of_linking_is_read() {
        for (html, url) in [
            ("<a href=sub>", "https://example.com/dir/sub"),
            (
                "<A HREF=' /abs?a=1&amp;b=2#x '>",
                "https://example.com/abs?a=1&b=2",
            ),
            (
                "<form action=\"//forms.example.net/x\">",
                "https://forms.example.net/x",
            ),
            (
                "<img srcset='/small.jpg 1x'>",
                "https://example.com/small.jpg",
            ),
            (
                "<p style=\"background:URL( 'bg.png' )\">",
                "https://example.com/dir/bg.png",
            ),
            (
                "<style>@import '/a.css';</style>",
                "https://example.com/a.css",
            ),
            (
                "<script>x = \"https:\\/\\/api.example.com\\/v1\";</script>",
                "https://api.example.com/v1",
            ),
            (
                "<meta http-equiv=Refresh content='0; URL=/next'>",
                "https://example.com/next",
            ),
            (
                "<base href=/other/><a href=x>",
                "https://example.com/other/x",
            ),
        ] {
            assert_eq!(urls(&page("text/html", &[], html)), [url], "{html}");
        }
        for html in [
            "<a href=mailto:a@b.c>",
            "<a href=javascript:x>",
            "<a href=#top>",
            "<!-- <a href=/x> -->",
        ] {
            assert_eq!(urls(&page("text/html", &[], html)), [""; 0], "{html}");
        }
    }

    #[test]
    fn styles_scripts_and_headers_link_too() {
        let css = page(
            "text/css",
            &[],
            "body { background: url(//static.example.com/bg.png) }",
        );
        assert_eq!(urls(&css), ["https://static.example.com/bg.png"]);
        let script = page(
            "application/javascript",
            &[],
            "fetch('https://api.example.com/a')",
        );
        assert_eq!(urls(&script), ["https://api.example.com/a"]);
        let policy = "default-src 'self' https://cdn.example.com:8443 *.wild.example.com data:; img-src img.example.com/x";
        let headers = [
            ("link", "</next>; rel=next, <https://l.example.com/>"),
            ("content-security-policy", policy),
        ];
        let found = links(&page("text/plain", &headers, "<a href=/no>"));
        let domains: Vec<&str> = found.domains.iter().map(Entity::key).collect();
        assert_eq!(
            domains,
            [
                "cdn.example.com",
                "example.com",
                "img.example.com",
                "l.example.com"
            ]
        );
        assert_eq!(found.urls.len(), 2);
    }

    #[test]
    fn links_beyond_the_cap_are_cut() {
        let html: String = (0..1000).map(|n| format!("<a href=/{n}>")).collect();
        let found = links(&page("text/html", &[], &html));
        assert_eq!((found.urls.len(), found.is_cut), (500, true));
    }

    #[test]
    fn hostile_pages_take_linear_time_and_little_memory() {
        let size = 512 * 1024;
        let begun = Instant::now();
        let many: String = (0..100_000).map(|n| format!(" a{n}=1")).collect();
        for html in [
            "<div>".repeat(size / 5),
            format!("<p{many}>"),
            "<a href=x>".repeat(size / 10),
            format!("<script>{}</script>", "https://".repeat(size / 8)),
            format!("<style>{}</style>", "url(".repeat(size / 4)),
            format!("<img srcset='{}'>", "a,".repeat(size / 2)),
            format!(
                "<base href='/{}'>{}",
                "x".repeat(2000),
                "<a href=y>".repeat(size / 10)
            ),
        ] {
            let found = links(&page("text/html", &[], &html));
            assert!(found.urls.len() <= 500);
        }
        assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_it_panic(body in ".*", html in "(<|>|a|href|=|base|'|\"|/|:|&|#|meta|style|url\\(|http://|\\[|\u{fc})*") {
            for kind in ["text/html", "text/css", "text/javascript"] {
                let _ = links(&page(kind, &[("link", &body), ("content-security-policy", &html)], &body));
                let _ = links(&page(kind, &[], &html));
            }
        }
    }
}
