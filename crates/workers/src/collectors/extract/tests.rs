//! Stored texts, hostile ones too, and what is found in them.

use std::time::Instant;

use super::*;
use crate::collectors::testing::{Tape, replay};

const PAGE: &str = "https://www.example.com/team";
const HTML: (&str, &str) = ("Content-Type", "text/html");

#[tokio::test]
async fn a_page_tells_whom_it_mentions() {
    let html = "<!-- intranet.example.com --><p>a&#64;example.com or +493023125042, IBAN DE89370400440532013000</p>\
        <script>gtag('config', 'G-MIRAGE0042');</script> <a href=https://example.org/>4111111111111111</a>";
    let tape = Tape::new().http(PAGE, 200, &[HTML], html);
    let outcome = replay(&Extract, &[PAGE], tape).await;
    let card = outcome
        .findings()
        .iter()
        .find(|f| f.kind == Kind::PaymentCard)
        .unwrap();
    let card = format!("url:{PAGE} mentions {}", card.entity().unwrap());
    assert!(!format!("{outcome:?}").contains("4111111111111111"));
    outcome.claims(&[
        &card,
        "url:https://www.example.com/team mentions domain:intranet.example.com",
        "url:https://www.example.com/team mentions domain:example.com",
        "url:https://www.example.com/team mentions email:a@example.com",
        "url:https://www.example.com/team mentions phone:+493023125042",
        "url:https://www.example.com/team mentions bank-account:DE89370400440532013000",
        "url:https://www.example.com/team mentions url:https://example.org/",
        "url:https://www.example.com/team uses tracker-id:google-analytics:g-mirage0042",
    ]);
}

#[tokio::test]
async fn encoded_and_wide_texts_are_read_and_images_are_not() {
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(b"a@example.com").unwrap();
    let wide: Vec<u8> = "\u{feff}b@example.com"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let tape = Tape::new()
        .http(
            "https://192.0.2.1/a",
            200,
            &[("Content-Encoding", "gzip")],
            gzip.finish().unwrap(),
        )
        .http(
            "https://192.0.2.1/b",
            404,
            &[("Content-Type", "text/plain")],
            wide,
        )
        .http(
            "https://192.0.2.1/c",
            200,
            &[("Content-Type", "image/png")],
            "c@example.com",
        );
    let outcome = replay(&Extract, &["https://192.0.2.1/"], tape).await;
    outcome.finds(&["email:a@example.com", "email:b@example.com"]);
}

#[tokio::test]
async fn a_record_is_its_own_text() {
    let tape = Tape::new().dns(
        "example.com",
        "TXT",
        &["\"contact=dns@example.com\"", "\"no@example.com\""],
    );
    let record = "dns-record:example.com TXT \"contact=dns@example.com\"";
    let outcome = replay(&Extract, &[record], tape).await;
    outcome.finds(&["email:dns@example.com", "domain:example.com"]);
}

#[tokio::test]
async fn the_list_of_seeds_says_nothing_about_a_seed() {
    let document = |name: &str| Frame::Document { name: name.into() };
    let tape = Tape::new().with(document("seeds"), b"0123\nemail:a@example.com");
    replay(&Extract, &[PAGE], tape).await.finds(&[]);
    let tape = Tape::new().with(document("notes"), b"a@example.org");
    replay(&Extract, &[PAGE], tape)
        .await
        .finds(&["email:a@example.org"]);
}

#[tokio::test]
async fn evidence_that_is_missing_or_wrong_is_a_failure() {
    let probe = crate::probe::replay::Replay::new(Vec::new());
    let missing = probe.evidence(Digest::EMPTY).await.unwrap_err();
    assert_eq!(missing.reason(), "unavailable");
    let tape = Tape::new().tcp("192.0.2.1:22", "a@example.com");
    let outcome = replay(&Extract, &[PAGE], tape).await;
    outcome.fails("malformed").finds(&[]);
}

#[tokio::test]
async fn bounds_are_remarked_where_they_cut() {
    let many: String = (0..600).map(|n| format!("a{n}@example.org ")).collect();
    let outcome = replay(&Extract, &[PAGE], many.as_str()).await;
    outcome.finds(&[]);
    let tape = Tape::new().http(PAGE, 200, &[], &many);
    let outcome = replay(&Extract, &[PAGE], tape).await;
    assert_eq!(outcome.findings().len(), MENTIONS_MAX);
    outcome.remarks("cap-reached");
    let tape = Tape::new().http(PAGE, 200, &[], " ".repeat(TEXT_BYTES_MAX + 1));
    replay(&Extract, &[PAGE], tape)
        .await
        .remarks("cap-reached")
        .finds(&[]);
}

#[test]
fn hostile_texts_take_linear_time() {
    let place = Entity::new(Kind::Url, PAGE).unwrap();
    let begun = Instant::now();
    for unit in [
        "a",
        "a@",
        "a@a.",
        "@a.a",
        "+1",
        "1 ",
        "https://",
        "G-",
        "AAAA",
        "DE89 ",
        "1",
        "bc1",
        "example.com",
        "a.example.com",
        "%2",
        "&#",
        "0x",
        "ssh-rsa AAAA",
        ".",
        "-",
    ] {
        let text = unit.repeat(TEXT_BYTES_MAX / unit.len() / 16);
        let keyed = |_: &str| String::new();
        let count = trackers::of(&text).count()
            + contacts::of(&text).count()
            + money::of(&text, &keyed).count()
            + keys::of(&text).count()
            + names::of(&text, &place).count();
        assert!(count <= text.len(), "{unit}");
        assert!(
            begun.elapsed().as_secs() < 60,
            "{unit}: {:?}",
            begun.elapsed()
        );
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(
        any in ".*",
        near in "(a|1|@|[.]|[+]|-|%|\\\\|u00|example[.]com|https://|DE89|4111|ssh-rsa AAAA|\u{fc}| )*",
    ) {
        let place = Entity::new(Kind::Url, PAGE).unwrap();
        for text in [&any, &near] {
            let keyed = |_: &str| String::new();
            let _ = trackers::of(text).count();
            let _ = contacts::of(text).count();
            let _ = money::of(text, &keyed).count();
            let _ = keys::of(text).count();
            let _ = names::of(text, &place).count();
        }
    }
}
