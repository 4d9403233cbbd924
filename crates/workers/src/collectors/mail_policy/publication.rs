//! What a name publishes in TXT records: asking, and reading lists of tags (RFC 6376 §3.2).

use hickory_proto::rr::RecordType;
use mirage_domain::id::Digest;

use crate::collectors::{CollectError, text_records};
use crate::probe::Probe;

/// Of a name without its final dot (RFC 1035 §2.3.4).
const NAME_CHARACTERS_MAX: usize = 253;
/// Tags of one record that are read; the formats have about ten.
const TAGS_MAX: usize = 32;

/// Texts of a name, each with its strings joined.
pub(super) struct Texts {
    pub(super) texts: Vec<String>,
    pub(super) evidence: Digest,
}

/// The texts of a name that are records of one kind.
pub(super) async fn texts(
    name: &str,
    is_record: fn(&str) -> bool,
    probe: &dyn Probe,
) -> Result<Texts, CollectError> {
    let answer = text_records::ask(name, RecordType::TXT, probe).await?;
    let texts = text_records::all(&answer).filter(|text| is_record(text));
    Ok(Texts {
        texts: texts.collect(),
        evidence: answer.evidence,
    })
}

/// Whether a list of tags begins with this version. White space may stand around the sign, and letters may be of either
/// case: mail servers take both.
pub(super) fn has_version(text: &str, version: &str) -> bool {
    let first = text.split(';').next().and_then(|tag| tag.split_once('='));
    first.is_some_and(|(name, value)| {
        name.trim().eq_ignore_ascii_case("v") && value.trim().eq_ignore_ascii_case(version)
    })
}

/// `LABEL.DOMAIN`; none if that is too long for a name.
pub(super) fn below(label: &str, domain: &str) -> Option<String> {
    let name = format!("{label}.{domain}");
    (name.len() <= NAME_CHARACTERS_MAX).then_some(name)
}

/// The tags of a list such as `v=DMARC1; p=none`, names in lower case, in their order.
pub(super) fn tags(text: &str) -> Vec<(String, &str)> {
    let tag = |part: &'_ str| -> Option<(String, usize)> {
        let (name, _) = part.split_once('=')?;
        Some((name.trim().to_ascii_lowercase(), name.len() + 1))
    };
    let parts = text.split(';').take(TAGS_MAX);
    parts
        .filter_map(|part| tag(part).map(|(name, at)| (name, part[at..].trim())))
        .collect()
}

/// The value of the first tag of that name.
pub(super) fn value<'a>(tags: &[(String, &'a str)], name: &str) -> Option<&'a str> {
    let tag = tags.iter().find(|(own, _)| own == name);
    tag.map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_whole_value_at_the_beginning() {
        for (text, is_it) in [
            ("v=DMARC1", true),
            ("V = dmarc1 ;p=none", true),
            ("v=DMARC1;p=none", true),
            ("v=DMARC10; p=none", false),
            ("v=DMARC1 p=none", false),
            ("p=none; v=DMARC1", false),
            ("", false),
        ] {
            assert_eq!(has_version(text, "DMARC1"), is_it, "{text}");
        }
    }

    #[test]
    fn tags_keep_their_order_and_values_may_hold_signs() {
        let text = "v=DMARC1; P = none;;rua=mailto:a@b.example?x=1 ; broken; p=reject";
        let tags = tags(text);
        assert_eq!(value(&tags, "p"), Some("none"));
        assert_eq!(value(&tags, "rua"), Some("mailto:a@b.example?x=1"));
        assert_eq!(value(&tags, "broken"), None);
        assert_eq!(super::tags(&"a=b;".repeat(100)).len(), TAGS_MAX);
    }

    #[test]
    fn a_name_that_is_too_long_has_nothing_below() {
        let long = format!("{}com", "a.".repeat(122));
        assert!(below("_dmarc", &long).is_none());
        assert_eq!(
            below("_dmarc", "a.example").as_deref(),
            Some("_dmarc.a.example")
        );
    }
}
