//! Pages: what an answer of a web server says about its URL, for every collector that fetches one.
//!
//! Values are kept as they were sent, control characters included, and bounded; whoever shows them escapes them.

use mirage_domain::entity::{Entity, Kind};
use url::Url;

use crate::collectors::html::{Piece, pieces, unescape};
use crate::collectors::{Claim, CollectError, charset};
use crate::probe::{HOPS_MAX, HttpRequest, Page, Probe};

/// Characters of a title that are kept.
const TITLE_CHARS_MAX: usize = 300;
/// Characters of a header's value that are kept.
const VALUE_CHARS_MAX: usize = 512;
/// Bytes of a page in which its title is looked for.
const TITLE_WITHIN_BYTES: usize = 256 * 1024;
/// Headers that say how a site is defended or built.
const KEPT: [&str; 12] = [
    "access-control-allow-origin",
    "content-security-policy",
    "cross-origin-opener-policy",
    "permissions-policy",
    "referrer-policy",
    "strict-transport-security",
    "via",
    "www-authenticate",
    "x-content-type-options",
    "x-frame-options",
    "x-generator",
    "x-powered-by",
];

/// The first value of a header.
pub(in crate::collectors) fn header<'a>(page: &'a Page, name: &str) -> Option<&'a str> {
    headers(page, name).next()
}

/// All values of a header, in wire order.
pub(in crate::collectors) fn headers<'a>(
    page: &'a Page,
    name: &str,
) -> impl Iterator<Item = &'a str> {
    let own = page.headers.iter().filter(move |(own, _)| own == name);
    own.map(|(_, value)| value.as_str())
}

pub(in crate::collectors) fn content_type(page: &Page) -> &str {
    header(page, "content-type").unwrap_or_default()
}

/// The body as text.
pub(in crate::collectors) fn text(page: &Page) -> String {
    charset::text(&page.body, content_type(page))
}

/// Whether the page is HTML by its header, or by its look if that says nothing.
pub(in crate::collectors) fn is_html(page: &Page) -> bool {
    let kind = content_type(page).to_ascii_lowercase();
    match kind.split(';').next().unwrap_or_default().trim() {
        "" => page.body.trim_ascii_start().starts_with(b"<"),
        kind => kind.ends_with("html") || kind.ends_with("xhtml+xml"),
    }
}

/// Where a redirect sends its visitor.
pub(in crate::collectors) fn target(page: &Page, at: &Url) -> Option<Url> {
    let is_redirect = matches!(page.status, 301 | 302 | 303 | 307 | 308);
    let target = at
        .join(header(page, "location").filter(|_| is_redirect)?)
        .ok()?;
    matches!(target.scheme(), "http" | "https").then_some(target)
}

/// Fetches `url`, following redirects on its own host only: another one may be out of scope. The last page and its
/// address; nothing if the server does not answer.
pub(in crate::collectors) async fn fetch(
    url: &Url,
    body_bytes_max: usize,
    probe: &dyn Probe,
) -> Result<Option<(Url, Page)>, CollectError> {
    let mut at = url.clone();
    for hop in 0.. {
        let request = HttpRequest {
            follow: false,
            body_bytes_max,
            ..HttpRequest::get(at.as_str())
        };
        let page = match probe.http(request).await {
            Ok(page) => page,
            Err(CollectError::Unavailable(_) | CollectError::Malformed(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        match target(&page, &at).filter(|next| is_onward(&at, next)) {
            Some(next) if hop < HOPS_MAX => at = next,
            _ => return Ok(Some((at, page))),
        }
    }
    Ok(None)
}

/// Whether a redirect stays on its host, and does not lead from https to http.
pub(in crate::collectors) fn is_onward(from: &Url, to: &Url) -> bool {
    from.host() == to.host() && (from.scheme() == "http" || to.scheme() == "https")
}

/// Status, type, length, title and what is kept of the headers, as attributes of the URL.
pub(in crate::collectors) fn describe(mut claim: Claim, page: &Page) -> Claim {
    claim = claim
        .with("status", page.status)
        .with("http_version", page.version)
        .with("length", page.body.len());
    if page.is_cut {
        claim = claim.with("is_cut", true);
    }
    for name in ["content-type", "server"].into_iter().chain(KEPT) {
        if let Some(value) = header(page, name) {
            let name = name.replace('-', "_");
            claim = claim.with(&name, bounded(value, VALUE_CHARS_MAX));
        }
    }
    match title(page) {
        Some(title) => claim.with("title", title),
        None => claim,
    }
}

fn title(page: &Page) -> Option<String> {
    if !is_html(page) {
        return None;
    }
    let head = &page.body[..page.body.len().min(TITLE_WITHIN_BYTES)];
    title_in(&charset::text(head, content_type(page)))
}

/// The text of the first title, white space collapsed.
fn title_in(html: &str) -> Option<String> {
    let raw = pieces(html).find_map(|piece| match piece {
        Piece::Raw(name, text) if name.eq_ignore_ascii_case("title") => Some(text),
        _ => None,
    })?;
    let words = unescape(raw);
    let words: Vec<&str> = words.split_whitespace().collect();
    Some(bounded(&words.join(" "), TITLE_CHARS_MAX)).filter(|title| !title.is_empty())
}

fn bounded(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}

/// The host of a URL as an entity, if it is a name with a dot.
pub(in crate::collectors) fn domain_of(url: &Entity) -> Option<Entity> {
    let host = url.host().filter(|host| host.contains('.'))?;
    Entity::new(Kind::Domain, host).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_one_line_and_bounded_and_otherwise_as_it_was() {
        for (html, title) in [
            (
                "<title> Mirage\n\tCorp &amp; Co </title><title>no</title>",
                Some("Mirage Corp & Co"),
            ),
            (
                "<TITLE>\u{1b}]0;owned\u{7}&lt;b></TITLE>",
                Some("\u{1b}]0;owned\u{7}<b>"),
            ),
            ("<title> </title>", None),
            ("<p>none", None),
        ] {
            assert_eq!(title_in(html).as_deref(), title, "{html}");
        }
        let long = format!("<title>{}</title>", "ü".repeat(1000));
        assert_eq!(
            title_in(&long).map(|title| title.chars().count()),
            Some(TITLE_CHARS_MAX)
        );
    }

    proptest::proptest! {
        #[test]
        fn no_page_makes_it_panic(html in ".*") {
            let _ = title_in(&html);
        }
    }
}
