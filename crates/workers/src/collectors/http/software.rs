//! Software that a header names: product tokens (RFC 9110, 5.6.2 and 10.2.4), read strictly.

use mirage_domain::entity::{Entity, Kind};

/// Products of one header that are reported.
const PRODUCTS_MAX: usize = 8;
/// Characters of a name or a version.
const PART_CHARS_MAX: usize = 64;

/// The products of a `Server` or `X-Powered-By` header. The first may stand without a version; a later bare word is
/// as likely prose.
pub(super) fn products(value: &str) -> Vec<Entity> {
    let plain = without_comments(value);
    let tokens = plain.split(|c: char| c.is_ascii_whitespace() || matches!(c, ',' | ';'));
    let tokens = tokens.filter(|token| !token.is_empty()).enumerate();
    let known = tokens.filter_map(|(at, token)| product(token, at == 0));
    known.take(PRODUCTS_MAX).collect()
}

fn product(token: &str, may_be_bare: bool) -> Option<Entity> {
    let (name, version) = match token.split_once('/') {
        Some((name, version)) => (name, Some(version)),
        None => (token, None),
    };
    let has = |text: &str, kind: fn(&u8) -> bool| text.as_bytes().iter().any(kind);
    let is_name = is_part(name) && has(name, u8::is_ascii_alphabetic);
    let is_fit = version.map_or(may_be_bare, |version| {
        is_part(version) && has(version, u8::is_ascii_digit)
    });
    (is_name && is_fit)
        .then(|| Entity::new(Kind::Software, token).ok())
        .flatten()
}

fn is_part(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._+~-:".contains(&byte);
    (1..=PART_CHARS_MAX).contains(&text.len())
        && text.bytes().all(legal)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// The value without what stands in brackets.
fn without_comments(value: &str) -> String {
    let mut depth = 0_u32;
    let mut plain = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_tokens_with_their_versions() {
        for (value, keys) in [
            ("nginx/1.25.3", &["nginx/1.25.3"][..]),
            (
                "Apache/2.4.58 (Unix (x)) OpenSSL/3.0.2 mod_x",
                &["apache/2.4.58", "openssl/3.0.2"],
            ),
            ("Caddy", &["caddy"]),
            ("ASP.NET", &["asp.net"]),
            ("PHP/8.2.1, Express", &["php/8.2.1"]),
            ("the best server", &["the"]),
            ("\u{1b}[2Jnginx/1", &[]),
            ("a/b/c", &[]),
            ("nginx/<script>1", &[]),
            ("1.2.3", &[]),
            ("", &[]),
        ] {
            let found = products(value);
            let found: Vec<&str> = found.iter().map(Entity::key).collect();
            assert_eq!(found, keys, "{value}");
        }
    }

    #[test]
    fn a_header_of_many_products_is_cut() {
        let value: String = (0..100).map(|n| format!("p{n}/1 ")).collect();
        assert_eq!(products(&value).len(), PRODUCTS_MAX);
    }

    proptest::proptest! {
        #[test]
        fn no_value_makes_it_panic(value in ".*") {
            let _ = products(&value);
        }
    }
}
