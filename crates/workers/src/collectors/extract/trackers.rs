//! Ids of trackers: sites that send to one account belong to one owner.

use std::sync::LazyLock;

use mirage_domain::entity::{Entity, Kind};
use regex::Regex;

use super::{Mention, pattern};

/// Vendor, and what its ids look like; the id is the first group.
static VENDORS: LazyLock<[(&str, Regex); 6]> = LazyLock::new(|| {
    [
        (
            "google-analytics",
            pattern(r"\b(UA-[0-9]{4,10}-[0-9]{1,4})\b"),
        ),
        ("google-analytics", pattern(r"\b(G-[A-Z0-9]{10})\b")),
        ("google-tag-manager", pattern(r"\b(GTM-[A-Z0-9]{4,9})\b")),
        ("google-ads", pattern(r"\b(AW-[0-9]{8,12})\b")),
        ("google-adsense", pattern(r"\b(?:ca-)?(pub-[0-9]{16})\b")),
        (
            "facebook-pixel",
            pattern(r#"\bfbq\(\s*['"]init['"]\s*,\s*['"]?([0-9]{10,20})\b"#),
        ),
    ]
});

pub(super) fn of(text: &str) -> impl Iterator<Item = Mention> {
    VENDORS.iter().flat_map(move |(vendor, ids)| {
        let found = ids.captures_iter(text);
        found.filter_map(move |found| {
            let entity = Entity::new(Kind::TrackerId, &format!("{vendor}:{}", &found[1]));
            entity.ok().map(Mention::new)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_by_vendor() {
        for (text, keys) in [
            (
                "gtag('config', 'G-MIRAGE0042');",
                &["google-analytics:g-mirage0042"][..],
            ),
            (
                "UA-12345-1 GTM-ABC123",
                &[
                    "google-analytics:ua-12345-1",
                    "google-tag-manager:gtm-abc123",
                ],
            ),
            (
                "google_ad_client=\"ca-pub-1234567890123456\"",
                &["google-adsense:pub-1234567890123456"],
            ),
            ("fbq('init', '1234567890');", &["facebook-pixel:1234567890"]),
            ("AW-123456789", &["google-ads:aw-123456789"]),
            (
                "UA-1-1 G-SHORT G-mirage0042 GTM- pub-1 LUA-12345-1 fbq('track')",
                &[],
            ),
        ] {
            let found: Vec<String> = of(text)
                .map(|mention| mention.entity.key().to_owned())
                .collect();
            assert_eq!(found, keys, "{text}");
        }
    }
}
