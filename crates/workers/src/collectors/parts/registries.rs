//! Registries: which RDAP server is listed for what (RFC 9224), and what their texts withhold.
//!
//! **Invariant:** where a registry lists a server, `rdap` asks it; where none is listed, `whois` may.

use std::net::IpAddr;

use ipnet::IpNet;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::module::Setting;
use serde_json::Value;
use url::Url;

use crate::collectors::CollectError;
use crate::probe::{HttpRequest, Probe};

/// The setting that says where the bootstrap files lie.
pub(in crate::collectors) const BOOTSTRAP: Setting = Setting {
    key: "bootstrap",
    help: "where dns.json, ipv4.json, ipv6.json and asn.json lie (RFC 9224)",
    default: "https://data.iana.org/rdap/",
    is_secret: false,
    is_operators: true,
};

/// Bytes of a bootstrap file; the largest, of top-level domains, has about 100 KiB.
const FILE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Characters of a registry's text that become an attribute.
const SHOWN_CHARS_MAX: usize = 200;

/// What stands where a registry withholds something, in lower case. A privacy service's name is a value as any.
const WITHHELD: &[&str] = &[
    "redacted",
    "not disclosed",
    "non-public data",
    "data protected",
    "gdpr masked",
    "statutory mask",
    "hidden upon user request",
    "select request email form",
    "query the rdds",
];

/// The base URL, without its last slash, of the RDAP server that is listed for an entity; none if none is listed.
pub(in crate::collectors) async fn server(
    entity: &Entity,
    bootstrap: &str,
    probe: &dyn Probe,
) -> Result<Option<String>, CollectError> {
    let file = match (entity.kind(), entity.as_ip()) {
        (Kind::Domain, _) => "dns",
        (_, Some(IpAddr::V4(_))) => "ipv4",
        (_, Some(IpAddr::V6(_))) => "ipv6",
        _ => "asn",
    };
    let url = format!("{}/{file}.json", bootstrap.trim_end_matches('/'));
    let request = HttpRequest {
        body_bytes_max: FILE_BYTES_MAX,
        ..HttpRequest::get(&url)
    };
    let page = probe.http(request).await?;
    if page.status != 200 {
        let reason = format!("{url}: status {}", page.status);
        return Err(CollectError::Unavailable(reason));
    }
    let wrong = |cause: &str| CollectError::Malformed(format!("{url}: {cause}"));
    let file: Value = serde_json::from_slice(&page.body).map_err(|e| wrong(&e.to_string()))?;
    let services = file.get("services").and_then(Value::as_array);
    Ok(best(
        entity,
        services.ok_or_else(|| wrong("has no services"))?,
    ))
}

/// The server of the narrowest entry that covers the entity; of equal ones the first.
fn best(entity: &Entity, services: &[Value]) -> Option<String> {
    let (mut narrowest, mut urls) = (0, None);
    for service in services {
        let strings = |at: usize| service.get(at)?.as_array();
        let (Some(entries), Some(own)) = (strings(0), strings(1)) else {
            continue;
        };
        let entries = entries.iter().filter_map(Value::as_str);
        let width = entries.filter_map(|entry| narrowness(entity, entry)).max();
        if width.is_some_and(|width| width > narrowest) {
            narrowest = width.unwrap_or_default();
            urls = Some(own);
        }
    }
    let urls = urls?.iter().filter_map(Value::as_str);
    let urls = urls.filter_map(|url| Url::parse(url).ok());
    let urls: Vec<Url> = urls.filter(|url| url.has_host()).collect();
    let of = |scheme| urls.iter().find(|url| url.scheme() == scheme);
    let url = of("https").or_else(|| of("http"))?;
    Some(url.as_str().trim_end_matches('/').to_owned())
}

/// How closely a bootstrap entry covers an entity, from 1; none if it does not.
fn narrowness(entity: &Entity, entry: &str) -> Option<u64> {
    if let Some(name) = entity.as_domain() {
        let zone = Entity::new(Kind::Domain, entry).ok()?;
        let rest = name.strip_suffix(zone.key())?;
        let is_covered = rest.is_empty() || rest.ends_with('.');
        return is_covered.then_some(zone.key().len() as u64);
    }
    if let Some(address) = entity.as_ip() {
        let net: IpNet = entry.parse().ok()?;
        return net
            .contains(&address)
            .then_some(u64::from(net.prefix_len()) + 1);
    }
    let (first, last) = entry.split_once('-').unwrap_or((entry, entry));
    let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let is_covered = (first..=last).contains(&system_number(entity)?);
    is_covered.then(|| u64::from(u32::MAX - (last - first)) + 1)
}

/// The number of an `autonomous-system`.
pub(in crate::collectors) fn system_number(entity: &Entity) -> Option<u32> {
    entity.key().strip_prefix("AS")?.parse().ok()
}

/// Whether a text stands where a registry withholds the value.
pub(in crate::collectors) fn is_withheld(text: &str) -> bool {
    let lower = text.to_lowercase();
    WITHHELD.iter().any(|phrase| lower.contains(phrase))
}

/// A registry's text as an attribute shows it: one line, bounded; none if nothing is left or it is withheld.
pub(in crate::collectors) fn shown(text: &str) -> Option<String> {
    let plain = text.chars().filter(|c| !c.is_control());
    let plain: String = plain.take(SHOWN_CHARS_MAX).collect();
    let plain = plain.trim();
    (!plain.is_empty() && !is_withheld(plain)).then(|| plain.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_narrowest_entry_names_the_server() {
        let services = json!([
            [["com", "uk", "net"], ["http://a.test/plain/", "https://a.test/rdap/"]],
            [["co.uk"], ["https://couk.test"]],
            [["203.0.113.0/24", "2001:db8::/32"], ["https://wide.test/"]],
            [["203.0.113.128/25"], ["https://narrow.test/"]],
            [["203.0.113.0/28"], ["ftp://no.test/", 7, "no url"]],
            [["64496-64511", "64500"], ["https://as.test/"]],
            [[7, null], 8], "x", {"a": 1}, [["org"]],
        ]);
        for (kind, key, server) in [
            (Kind::Domain, "example.com", Some("https://a.test/rdap")),
            (Kind::Domain, "example.uk", Some("https://a.test/rdap")),
            (Kind::Domain, "example.co.uk", Some("https://couk.test")),
            (Kind::Domain, "example.xcom", None),
            (Kind::Domain, "example.org", None),
            (Kind::Ip, "203.0.113.77", Some("https://wide.test")),
            (Kind::Ip, "203.0.113.200", Some("https://narrow.test")),
            (Kind::Ip, "203.0.113.3", None),
            (Kind::Ip, "2001:db8::7", Some("https://wide.test")),
            (Kind::Ip, "198.51.100.1", None),
            (Kind::AutonomousSystem, "AS64500", Some("https://as.test")),
            (Kind::AutonomousSystem, "AS64512", None),
        ] {
            let entity = Entity::new(kind, key).unwrap();
            let found = best(&entity, services.as_array().unwrap());
            assert_eq!(found.as_deref(), server, "{key}");
        }
    }

    #[test]
    fn what_is_withheld_is_no_text() {
        for text in [
            "REDACTED FOR PRIVACY",
            "Data Redacted",
            " \u{7}",
            "Not Disclosed",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
        assert_eq!(
            shown(" Domains By Proxy,\u{1b} LLC").as_deref(),
            Some("Domains By Proxy, LLC")
        );
        assert_eq!(
            shown(&"ä".repeat(900)).map(|text| text.chars().count()),
            Some(200)
        );
    }
}
