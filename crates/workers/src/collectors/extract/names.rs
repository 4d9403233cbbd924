//! Addresses of pages, and names of hosts that belong to the same owner as the text's own.

use std::sync::LazyLock;

use mirage_domain::entity::{Entity, Kind};
use regex::Regex;

use super::{Mention, pattern};

/// Bytes of one address; longer ones carry data, not places.
const URL_BYTES_MAX: usize = 2048;
const NAME_BYTES_MAX: usize = 253;

static URL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?i)\bhttps?://[^\s"'<>\\`{}|^()\[\]]+"#));

/// `place`: the entity whose text it is.
pub(super) fn of(text: &str, place: &Entity) -> impl Iterator<Item = Mention> {
    domains(text, place)
        .into_iter()
        .chain(urls(text))
        .map(Mention::new)
}

fn urls(text: &str) -> impl Iterator<Item = Entity> {
    URL.find_iter(text).filter_map(|found| {
        let text = found
            .as_str()
            .trim_end_matches(['.', ',', ';', ':', '!', '?', '*']);
        let is_fit = text.len() <= URL_BYTES_MAX;
        is_fit.then(|| Entity::new(Kind::Url, text).ok()).flatten()
    })
}

/// Every name below the registrable domain of the place: other names in running text are mostly noise.
fn domains(text: &str, place: &Entity) -> Vec<Entity> {
    let Some(top) = registrable(place) else {
        return Vec::new();
    };
    let text = text.to_ascii_lowercase();
    let ends = text.match_indices(&top).map(|(at, _)| (at, at + top.len()));
    let names = ends.filter_map(|(at, end)| {
        let after = text[end..].chars().next();
        let goes_on = after.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        let name = below(&text[..at], &text[at..end])?;
        (!goes_on)
            .then(|| Entity::new(Kind::Domain, &name).ok())
            .flatten()
    });
    let own = place.host().map(str::to_owned);
    names
        .filter(|name| own.as_deref() != Some(name.key()))
        .collect()
}

fn registrable(place: &Entity) -> Option<String> {
    let host = match place.kind() {
        Kind::DnsRecord => place.key().split(' ').next(),
        _ => place.host(),
    };
    let host = Entity::new(Kind::Domain, host?).ok()?;
    host.registrable_domain().map(str::to_owned)
}

/// The labels before `top` with it, if it stands there as a name of its own.
fn below(before: &str, top: &str) -> Option<String> {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let labels = before
        .bytes()
        .rev()
        .take(NAME_BYTES_MAX)
        .take_while(legal)
        .count();
    let (rest, labels) = before.split_at(before.len() - labels);
    // `%2Fwww` and `\u002fwww` are a slash and a name.
    let labels = match rest.chars().next_back() {
        Some('%') => labels.get(2..)?,
        Some('\\') => labels
            .strip_prefix('u')
            .and_then(|hex| hex.get(4..))
            .unwrap_or_else(|| &labels[labels.len().min(1)..]),
        _ => labels,
    };
    let labels = labels.trim_start_matches(['.', '-']);
    (labels.is_empty() || labels.ends_with('.')).then(|| format!("{labels}{top}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        let place = Entity::new(Kind::Url, "https://www.example.com/team").unwrap();
        of(text, &place)
            .map(|mention| mention.entity.key().to_owned())
            .collect()
    }

    #[test]
    fn names_of_the_same_owner_are_found_and_others_are_not() {
        for (text, key) in [
            (
                "<!-- old intranet: Intranet-x.Example.com ; -->",
                "intranet-x.example.com",
            ),
            ("u=https%3A%2F%2Fapi.example.com%2F", "api.example.com"),
            ("\"\\u002f\\u002fa.example.com\"", "a.example.com"),
            ("(..dev.example.com.)", "dev.example.com"),
            ("bob@mail.example.com", "mail.example.com"),
            ("see example.com", "example.com"),
        ] {
            assert_eq!(keys(text), [key], "{text}");
        }
        for text in [
            "www.example.com",
            "badexample.com",
            "a.example.community",
            "a.example.org",
            "a..example.com",
        ] {
            assert_eq!(keys(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn addresses_end_where_the_sentence_goes_on() {
        for (text, key) in [
            (
                "see https://a.example.org/x?y=1#z.",
                "https://a.example.org/x?y=1",
            ),
            ("('http://b.example.org')", "http://b.example.org/"),
            ("[x](https://c.example.org/)", "https://c.example.org/"),
        ] {
            assert_eq!(keys(text), [key], "{text}");
        }
        for text in [
            "ftp://a.example.org/",
            "xhttps://",
            "https://",
            "https:// a",
        ] {
            assert_eq!(keys(text), [""; 0], "{text}");
        }
    }
}
