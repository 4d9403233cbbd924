//! Seeds: which entity a text names that says no kind.
//!
//! Only what can be read in one way is read; everything else wants `KIND:VALUE`.

use super::{Entity, KeyError, Kind, netblock};

const FORMS: KeyError = KeyError::Form(
    "not a domain, address, netblock, range, url, email, AS number or +phone; say KIND:VALUE, such \
     as organization:Example Ltd",
);

/// The one entity that `text` names: `KIND:VALUE`, a url, a netblock, an address, `ASnnn`, an email,
/// a phone with its `+`, or a domain with a dot. White space around it is ignored.
pub fn recognise(text: &str) -> Result<Entity, KeyError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    if let Some((kind, value)) = explicit(text) {
        return Entity::new(kind, value.trim());
    }
    let kind = kind_of(text).ok_or(FORMS)?;
    let entity = Entity::new(kind, text).map_err(|error| match error {
        // A wrong guess of the kind: its sentence would mislead.
        KeyError::Form(_) if matches!(kind, Kind::Domain | Kind::Netblock) => FORMS,
        error => error,
    })?;
    if kind == Kind::Domain && !entity.key().contains('.') {
        return Err(FORMS);
    }
    Ok(entity)
}

/// As `recognise`, but an address range `FIRST-LAST`, with `netblock:` or without, is split into its blocks.
pub fn recognise_all(text: &str) -> Result<Vec<Entity>, KeyError> {
    let bare = match explicit(text.trim()) {
        Some((Kind::Netblock, value)) => value,
        _ => text,
    };
    match netblock::range(bare) {
        Some((first, last)) => netblock::from_range(first, last),
        None => recognise(text).map(|entity| vec![entity]),
    }
}

/// `KIND:VALUE`. No kind is named as the scheme of a url, nor in hexadecimal digits as an address.
fn explicit(text: &str) -> Option<(Kind, &str)> {
    let (kind, value) = text.split_once(':')?;
    Some((kind.parse().ok()?, value))
}

fn kind_of(text: &str) -> Option<Kind> {
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_system = |text: &str| {
        let prefix = text
            .get(..2)
            .filter(|prefix| prefix.eq_ignore_ascii_case("as"));
        prefix.is_some() && text.len() > 2 && is_digits(&text[2..])
    };
    let kind = match text {
        text if text.contains("://") => Kind::Url,
        text if text.contains('/') || netblock::range(text).is_some() => Kind::Netblock,
        text if text.parse::<std::net::IpAddr>().is_ok() => Kind::Ip,
        text if is_system(text) => Kind::AutonomousSystem,
        text if text.contains('@') => Kind::Email,
        text if text.starts_with('+') => Kind::Phone,
        text if text.contains(['.', '。']) => Kind::Domain,
        _ => return None,
    };
    Some(kind)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::examples;
    use super::*;

    #[test]
    fn a_seed_is_what_it_looks_like() {
        for (text, entity) in [
            ("Example.COM", "domain:example.com"),
            (" bücher.example. ", "domain:xn--bcher-kva.example"),
            ("192.0.2.1", "ip:192.0.2.1"),
            ("2001:DB8::1", "ip:2001:db8::1"),
            ("192.0.2.0/24", "netblock:192.0.2.0/24"),
            ("2001:db8::/32", "netblock:2001:db8::/32"),
            ("192.0.2.0-192.0.2.255", "netblock:192.0.2.0/24"),
            ("as64500", "autonomous-system:AS64500"),
            ("as64500.example", "domain:as64500.example"),
            ("Alice@Example.com", "email:alice@example.com"),
            ("+44 20 7946 0958", "phone:+442079460958"),
            ("https://user@Example.com", "url:https://example.com/"),
            (
                "http://[2001:db8::1]:8080/",
                "url:http://[2001:db8::1]:8080/",
            ),
            ("my-site.example", "domain:my-site.example"),
        ] {
            let found = recognise(text).map(|entity| entity.to_string());
            assert_eq!(found.as_deref(), Ok(entity), "{text}");
        }
    }

    #[test]
    fn a_named_kind_is_taken_at_its_word() {
        for (text, entity) in [
            ("domain:localhost", "domain:localhost"),
            ("organization: Example  Ltd", "organization:example ltd"),
            ("url:https://example.com", "url:https://example.com/"),
            ("handle:alice", "handle:alice"),
            ("account:github:Alice", "account:github:alice"),
        ] {
            let found = recognise(text).map(|entity| entity.to_string());
            assert_eq!(found.as_deref(), Ok(entity), "{text}");
        }
        let refused = Kind::Ip.normalise("example.com").map(|_| ());
        assert_eq!(recognise("ip:example.com").map(|_| ()), refused);
    }

    #[test]
    fn what_could_be_several_things_is_refused() {
        for text in [
            "localhost",
            "com.",
            "alice",
            "Example Ltd.",
            "*.example.com",
            "example.com/login",
            "example.com:443",
            "192.0.2.1:443/tcp",
            "192.0.2.256",
            "host:example.com",
            "64500",
            "www.exa\u{202e}mple.com",
        ] {
            assert_eq!(recognise(text), Err(FORMS), "{text}");
        }
        for text in [
            "ftp://example.com/",
            "a b@example.com",
            "+44",
            "192.0.2.1-192.0.2.4",
            "  ",
        ] {
            assert!(recognise(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_range_is_its_blocks() {
        let keys = |text: &str| -> Result<Vec<String>, KeyError> {
            Ok(recognise_all(text)?
                .iter()
                .map(|entity| entity.key().to_owned())
                .collect())
        };
        let blocks = Ok(vec!["192.0.2.2/31".to_owned(), "192.0.2.4/32".to_owned()]);
        assert_eq!(keys("192.0.2.2-192.0.2.4"), blocks);
        assert_eq!(keys(" netblock:192.0.2.2 - 192.0.2.4 "), blocks);
        assert_eq!(keys("example.com"), Ok(vec!["example.com".to_owned()]));
        assert!(keys("192.0.2.4-192.0.2.2").is_err());
    }

    #[test]
    fn an_entity_as_it_is_shown_is_a_seed() {
        for (kind, key) in examples() {
            let entity = Entity::new(kind, key).unwrap();
            assert_eq!(recognise(&entity.to_string()), Ok(entity));
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC{0,24}|[a-z0-9.:/@+-]{0,24}") {
            if let Ok(entity) = recognise(&text) {
                prop_assert_eq!(Entity::new(entity.kind(), entity.key()), Ok(entity));
            }
            let _ = recognise_all(&text);
        }
    }
}
