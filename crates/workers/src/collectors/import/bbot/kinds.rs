//! Which entity a BBOT event names: every type has its kind here, what has none is a `text`.
//!
//! **Never:** a guess, nor an event that is dropped: data that is no key of its kind is kept as a text.

use std::net::{IpAddr, SocketAddr};

use mirage_domain::entity::{Entity, Kind, Transport};
use mirage_domain::id::Digest;

use super::super::Keyed;
use super::super::relate::host;
use super::event::Event;

/// Addresses of a name at which a port is claimed to be open.
const ADDRESSES_MAX: usize = 8;
/// Longest name of a rule that an exposure gets, in bytes.
const RULE_BYTES_MAX: usize = 60;

/// What an event names.
pub(super) struct Named {
    /// One, but for a port of a name with several addresses: then each, and which of them is not said.
    pub(super) entities: Vec<Entity>,
    /// Whether it is kept as a text for want of a kind or of a legal key.
    pub(super) is_text: bool,
}

/// The entities of an event; `root` is the file itself, for the scan.
pub(super) fn of(event: &Event, root: &Entity, keyed: Keyed<'_>) -> Named {
    let entities = match event.kind() {
        "SCAN" => vec![root.clone()],
        "OPEN_TCP_PORT" | "PROTOCOL" => services(event, Transport::Tcp),
        "OPEN_UDP_PORT" => services(event, Transport::Udp),
        kind => one(kind, event, keyed).into_iter().collect(),
    };
    match entities.is_empty() {
        true => Named {
            entities: vec![text(event, keyed)],
            is_text: true,
        },
        false => Named {
            entities,
            is_text: false,
        },
    }
}

fn one(kind: &str, event: &Event, keyed: Keyed<'_>) -> Option<Entity> {
    let new = |kind: Kind, text: Option<&str>| Entity::new(kind, text?).ok();
    let text = event.text();
    let part = |name: &str| event.part(name).or(event.text());
    match kind {
        "DNS_NAME" | "DNS_NAME_UNRESOLVED" | "DNS_NAME_UNVERIFIED" => new(Kind::Domain, text),
        "VHOST" | "VIRTUAL_HOST" => {
            let name = event.part("vhost").or(event.part("virtual_host"));
            new(Kind::Domain, name.or(text))
        }
        "IP_ADDRESS" => new(Kind::Ip, text),
        "IP_RANGE" => new(Kind::Netblock, text),
        "ASN" => system(event),
        "URL" | "URL_UNVERIFIED" | "HTTP_RESPONSE" | "WEBSCREENSHOT" => new(Kind::Url, part("url")),
        "EMAIL_ADDRESS" => new(Kind::Email, part("email")),
        "ORG_STUB" => new(Kind::Organization, text),
        "AZURE_TENANT" => new(Kind::Organization, part("tenant-name")),
        "USERNAME" => new(Kind::Handle, text),
        "SOCIAL" => {
            let (site, name) = (event.part("platform")?, event.part("profile_name")?);
            new(Kind::Account, Some(&format!("{site}:{name}")))
        }
        "CODE_REPOSITORY" => {
            let url = part("url")?;
            new(Kind::CodeRepository, Some(after_scheme(url)))
        }
        "STORAGE_BUCKET" => bucket(event),
        "MOBILE_APP" => app(event),
        "TECHNOLOGY" => software(part("technology")?),
        "WAF" => software(part("waf")?),
        "FINDING" | "VULNERABILITY" => exposure(event),
        "GEOLOCATION" => location(event),
        "RAW_DNS_RECORD" => {
            let (host, of, answer) = (
                event.part("host")?,
                event.part("type")?,
                event.part("answer")?,
            );
            new(Kind::DnsRecord, Some(&format!("{host} {of} {answer}")))
        }
        "PASSWORD" | "HASHED_PASSWORD" => {
            let secret = keyed(&format!("{}\0{}", event.host()?, content(event)));
            new(Kind::Credential, Some(&secret))
        }
        _ => None,
    }
}

/// The port at each address of its host; where the module says at which one it looked, at that one.
fn services(event: &Event, transport: Transport) -> Vec<Entity> {
    let Some((host, port)) = socket(event) else {
        return Vec::new();
    };
    let mut addresses: Vec<IpAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => event
            .resolved()
            .filter_map(|text| text.parse().ok())
            .collect(),
    };
    addresses.sort_unstable();
    addresses.dedup();
    let is_named = |address: &IpAddr| event.context().contains(&format!("({address})"));
    if let Some(named) = addresses.iter().copied().find(is_named) {
        addresses = vec![named];
    }
    let at = |address| Entity::service(SocketAddr::new(address, port), transport).ok();
    addresses
        .into_iter()
        .take(ADDRESSES_MAX)
        .filter_map(at)
        .collect()
}

/// Host and port, from their members or from `HOST:PORT`.
fn socket(event: &Event) -> Option<(&str, u16)> {
    if let (Some(host), Some(port)) = (event.host(), event.port()) {
        return Some((host.trim_matches(['[', ']']), port));
    }
    let (host, port) = event.text()?.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']), port.parse().ok()?))
}

fn system(event: &Event) -> Option<Entity> {
    let number = event.data().get("asn").unwrap_or(event.data());
    let text = number
        .as_str()
        .map_or_else(|| number.to_string(), str::to_owned);
    let digits = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    Entity::new(Kind::AutonomousSystem, &format!("AS{digits}")).ok()
}

/// A CPE names product and version; a plain text is the name.
fn software(text: &str) -> Option<Entity> {
    let fields = match (text.strip_prefix("cpe:/"), text.strip_prefix("cpe:2.3:")) {
        (Some(old), _) => old,
        (None, Some(new)) => new,
        (None, None) => return Entity::new(Kind::Software, text).ok(),
    };
    let mut fields = fields.split(':').skip(2);
    let product = fields.next()?.replace(['_', '\\'], " ");
    let version = fields
        .next()
        .filter(|text| !matches!(*text, "" | "*" | "-"));
    let text = match version {
        Some(version) => format!("{product}/{version}"),
        None => product,
    };
    Entity::new(Kind::Software, &text).ok()
}

fn after_scheme(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

/// The provider stands in the module's name: `bucket_amazon`.
fn bucket(event: &Event) -> Option<Entity> {
    let tag = |tag: &str| Some(tag.strip_prefix("cloud-")?.to_owned());
    let provider = match event.module().strip_prefix("bucket_") {
        Some(provider) => provider.to_owned(),
        None => event.tags().find_map(tag)?,
    };
    let provider = match provider.as_str() {
        "amazon" => "s3",
        "google" => "gcs",
        "microsoft" => "azure",
        other => other,
    };
    let name = event.part("name").or(event.text())?;
    Entity::new(Kind::StorageBucket, &format!("{provider}:{name}")).ok()
}

fn app(event: &Event) -> Option<Entity> {
    let (url, id) = (event.part("url")?, event.part("id")?);
    let store = match host(url)? {
        "play.google.com" => "google-play",
        "apps.apple.com" | "itunes.apple.com" => "app-store",
        _ => return None,
    };
    Entity::new(Kind::MobileApp, &format!("{store}:{id}")).ok()
}

fn location(event: &Event) -> Option<Entity> {
    let number = |names: [&str; 2]| {
        let found = names.iter().find_map(|name| event.data().get(name))?;
        found.as_f64().or_else(|| found.as_str()?.parse().ok())
    };
    let (latitude, longitude) = (number(["latitude", "lat"])?, number(["longitude", "lon"])?);
    Entity::new(Kind::Location, &format!("geo:{latitude},{longitude}")).ok()
}

/// `RULE KIND KEY`: the finding's name and what it is about, its URL or its host.
fn exposure(event: &Event) -> Option<Entity> {
    let url = event
        .part("url")
        .and_then(|url| Entity::new(Kind::Url, url).ok());
    let of_host = || {
        let host = event.host()?;
        let kinds = [Kind::Ip, Kind::Domain].into_iter();
        kinds.flat_map(|kind| Entity::new(kind, host)).next()
    };
    let about = url.or_else(of_host)?;
    let named = event.part("name").or(event.part("description"));
    let rule = slug(&format!("bbot {}", named.or(event.text())?));
    let key = format!("{rule} {} {}", about.kind(), about.key());
    Entity::new(Kind::Exposure, &key).ok()
}

/// The words of a text in lower case, joined by `-`.
fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let mut slug = String::new();
    for word in words.filter(|word| !word.is_empty()) {
        if slug.len() + 1 + word.len() > RULE_BYTES_MAX {
            break;
        }
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(&word.to_ascii_lowercase());
    }
    slug
}

/// The data as one text.
fn content(event: &Event) -> String {
    match event.text() {
        Some(text) => text.to_owned(),
        None => event.data().to_string(),
    }
}

/// What has no kind: a text under the hash of its data, a secret under its keyed hash.
fn text(event: &Event, keyed: Keyed<'_>) -> Entity {
    let hash = match event.is_secret() {
        true => keyed(&content(event)),
        false => Digest::of(content(event).as_bytes()).to_string(),
    };
    Entity::new(Kind::Text, &hash).expect("64 hexadecimal digits are the key of a text")
}
