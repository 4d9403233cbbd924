//! What holds for the keys of every kind, whatever the text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// Texts near a key: examples that are cut, joined, put in another case, and spoilt.
fn text_near_a_key() -> impl Strategy<Value = String> {
    let spoilers = [
        "\0",
        "\u{1b}[31m",
        "\u{7f}",
        "\u{9b}",
        "\u{202e}",
        "\u{200b}",
        " ",
        "  ",
        "\t",
        "\n",
        ".",
        "/",
        ":",
        "@",
        "-",
        "%00",
        "%2e",
        "\\",
        "\"",
        "é",
        "e\u{301}",
        "ß",
        "İ",
        "ſ",
        "Σ",
        "。",
        "¨",
        "\u{fdfa}",
        "１",
        "[",
        "]",
        "(0)",
        ";",
        "#",
        "?",
        "+",
        "0",
        "x",
        ".git",
        "www.",
        "\u{85}",
        "：",
        "／",
        "＠",
        "﹕",
    ];
    let spoil = (any::<prop::sample::Index>(), select(spoilers.to_vec()));
    let start = select(examples().map(|(_, key)| key).collect::<Vec<_>>());
    (
        start,
        prop::collection::vec(spoil, 0..4),
        any::<bool>(),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(start, spoils, is_upper, cut)| {
            let mut text = if is_upper {
                start.to_uppercase()
            } else {
                start.to_owned()
            };
            for (at, spoiler) in spoils {
                let places: Vec<_> = text.char_indices().map(|(place, _)| place).collect();
                text.insert_str(places[at.index(places.len())], spoiler);
            }
            // One text in sixteen or so is cut short.
            let places: Vec<_> = text.char_indices().map(|(place, _)| place).collect();
            match cut.index(16) {
                0 => text[..places[cut.index(places.len())]].to_owned(),
                _ => text,
            }
        })
}

/// Addresses of both families, small ones and v4-mapped ones too, as blocks, ranges and services.
fn text_with_addresses() -> impl Strategy<Value = String> {
    let address = prop_oneof![
        any::<Ipv4Addr>().prop_map(IpAddr::V4),
        any::<Ipv6Addr>().prop_map(IpAddr::V6),
        any::<Ipv4Addr>().prop_map(|four| IpAddr::V6(four.to_ipv6_mapped())),
        (0..70_000u128).prop_map(|six| IpAddr::V6(six.into())),
    ];
    (address, any::<u8>(), any::<u16>(), 0..6).prop_map(|(address, bits, port, form)| match form {
        0 => address.to_string(),
        1 => format!("{address}/{}", bits % 33),
        2 => format!("{address}/{}", bits % 129),
        3 => format!("{}/TCP", SocketAddr::new(address, port)),
        4 => format!("{address} - {address}"),
        _ => format!("listed ip {}", address.to_string().to_uppercase()),
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => text_near_a_key(),
        1 => text_with_addresses(),
        1 => any::<String>(),
        1 => "(AS|as|)[0-9]{1,11}|(cve|CVE)-[12][0-9]{3}-[0-9]{3,8}|ghsa(-[2-9c-x]{4}){3}",
        1 => "([0-9A-F]{2}[:-]){5}[0-9A-F]{2}|([0-9a-f]{4}\\.){2}[0-9a-f]{4}|[0-9a-fA-F]{12}",
        1 => "[a-zA-Z0-9._-]{1,12}[:@/ ][ -~]{0,40}",
        1 => r"\+[0-9 ()./-]{1,20}|\+[1-9][0-9]{6,14}",
        1 => "(geo:)?-?[0-9]{1,3}\\.[0-9]{0,7},-?[0-9]{1,3}\\.[0-9]{0,7}",
        1 => "[0-9a-f:.]{2,24}(/[0-9]{1,3})?",
        1 => "https?://[^/]{1,20}/\\PC{0,40}",
        1 => "[a-z.]{1,8} [A-Z]{1,5} [ -~]{1,30}",
        1 => "\\PC{1,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_key_is_its_own_normalised_form(text in text()) {
        for &kind in Kind::ALL {
            let Ok(key) = kind.normalise(&text) else { continue };
            prop_assert_eq!(kind.normalise(&key), Ok(key.clone()), "{} of {:?}", kind, text);
            prop_assert!(key.len() <= KEY_BYTES_MAX && !key.is_empty());
            prop_assert!(!key.chars().any(characters::is_control), "{:?}", key);
        }
    }

    #[test]
    fn an_entity_answers_whatever_its_key(text in text()) {
        for &kind in Kind::ALL {
            let entity = Entity::recorded(kind, &text);
            let _ = (entity.as_ip(), entity.as_netblock(), entity.as_domain(), entity.host());
            let _ = (entity.registrable_domain(), entity.service_socket(), entity.subject());
        }
    }
}

#[test]
fn every_kind_has_an_example_that_is_its_own_key() {
    for (kind, key) in examples() {
        assert_eq!(kind.normalise(key).as_deref(), Ok(key), "{kind}");
        assert_eq!(kind.as_str().parse(), Ok(kind));
    }
    assert_eq!(examples().count(), 32);
}

#[test]
fn no_kind_takes_what_hides_in_a_text() {
    for (kind, key) in examples() {
        for hidden in [
            '\0', '\u{1b}', '\u{7f}', '\u{80}', '\u{9f}', '\u{200f}', '\u{202e}', '\u{2066}',
        ] {
            let text = format!("{}{hidden}{}", &key[..4], &key[4..]);
            assert!(kind.normalise(&text).is_err(), "{kind} took {text:?}");
        }
    }
}

#[test]
fn a_text_that_is_too_long_is_refused_before_and_after() {
    let too_long = Err(KeyError::TooLong { max: KEY_BYTES_MAX });
    for &kind in Kind::ALL {
        assert_eq!(kind.normalise(&"a".repeat(KEY_BYTES_MAX + 1)), too_long);
        assert_eq!(kind.normalise(""), Err(KeyError::Empty));
    }
    let grows = format!("https://example.com/{}", "ü".repeat(KEY_BYTES_MAX / 4));
    assert_eq!(Kind::Url.normalise(&grows), too_long);
}
