//! rdap: who registered a name, an address or a system, by its registry.
//!
//! Questions are those of RFC 9082, answers those of RFC 9083.
//! The bootstrap files (RFC 9224) say which server to ask; where none is listed nothing is asked, and `whois` may be.
//! Of names only the one that somebody registered is asked about. A registry that keeps no contacts refers to the
//! registrar's server, which is asked once.
//! **Never:** a value that the answer calls redacted (RFC 9537); `redacted` tells their names.

mod card;
mod contacts;
mod redacted;
mod report;

use std::net::IpAddr;

use async_trait::async_trait;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::id::Digest;
use mirage_domain::module::Manifest;
use serde_json::Value;
use url::Url;

use super::registries::{self, system_number};
use super::{CollectError, Collector, Found, Input};
use crate::probe::{HttpRequest, Probe};

pub(super) struct Rdap;

static MANIFEST: Manifest = Manifest {
    name: "rdap",
    summary: "Who registered a name, an address or a system, by its registry",
    consumes: &[Kind::Domain, Kind::Ip, Kind::AutonomousSystem],
    produces: &[
        Kind::Domain,
        Kind::Email,
        Kind::Netblock,
        Kind::Organization,
        Kind::Person,
    ],
    // Over all registries; each is asked at the pace of one host besides.
    requests_per_minute_max: 1200,
    parallel: 4,
    settings: &[registries::BOOTSTRAP],
    ..Manifest::DEFAULT
};

/// Bytes of an answer; those of registries have some ten KiB.
const BODY_BYTES_MAX: usize = 512 * 1024;
const ACCEPT: &str = "application/rdap+json, application/json;q=0.5";

#[async_trait]
impl Collector for Rdap {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn collect(
        &self,
        input: &Input,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError> {
        let entity = &input.entity;
        let object = match entity.kind() {
            Kind::Domain if entity.registrable_domain() != entity.as_domain() => return Ok(()),
            Kind::Domain => Object::Domain,
            Kind::Ip => Object::Network,
            _ => Object::System,
        };
        let server = registries::server(entity, input.setting("bootstrap"), probe).await?;
        let Some(server) = server else {
            return Ok(());
        };
        let key = entity.key().trim_start_matches("AS");
        let url = format!("{server}/{}/{key}", object.path());
        let Some(document) = ask(&url, entity, object, probe).await? else {
            found.remark("not-registered", "rdap", entity.key());
            return Ok(());
        };
        let mut documents = vec![document];
        if let Some(url) = referral(&documents[0].body, &url) {
            match ask(&url, entity, object, probe).await {
                Ok(document) => documents.extend(document),
                Err(error) => found.remark("server-unavailable", url, error.to_string()),
            }
        }
        report::report(entity, object, &documents, found)
    }
}

/// The classes of objects that are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Object {
    Domain,
    Network,
    System,
}

impl Object {
    fn path(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Network => "ip",
            Self::System => "autnum",
        }
    }

    /// The `objectClassName` of its answers.
    fn class(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Network => "ip network",
            Self::System => "autnum",
        }
    }
}

/// One server's answer about the input.
struct Document {
    body: Value,
    evidence: Digest,
}

/// The answer about the entity; none if the server has none.
async fn ask(
    url: &str,
    entity: &Entity,
    object: Object,
    probe: &dyn Probe,
) -> Result<Option<Document>, CollectError> {
    let request = HttpRequest {
        body_bytes_max: BODY_BYTES_MAX,
        headers: vec![("accept".into(), ACCEPT.into())],
        ..HttpRequest::get(url)
    };
    let page = probe.http(request).await?;
    let reason = |cause: &str| format!("{url}: {cause}");
    match page.status {
        200 if page.is_cut => return Err(CollectError::Malformed(reason("too large"))),
        200 => {}
        404 => return Ok(None),
        429 => return Err(CollectError::Limited(reason("status 429"))),
        status => {
            return Err(CollectError::Unavailable(reason(&format!(
                "status {status}"
            ))));
        }
    }
    let wrong = |cause: &str| CollectError::Malformed(reason(cause));
    let body: Value = serde_json::from_slice(&page.body).map_err(|e| wrong(&e.to_string()))?;
    if text(&body, "objectClassName") != object.class() || !is_about(&body, entity) {
        return Err(wrong("an answer about something else"));
    }
    let evidence = page.evidence;
    Ok(Some(Document { body, evidence }))
}

/// Whether an answer is about the entity that was asked about.
fn is_about(body: &Value, entity: &Entity) -> bool {
    if entity.kind() == Kind::Domain {
        let name = Entity::new(Kind::Domain, text(body, "ldhName"));
        return name.is_ok_and(|name| name == *entity);
    }
    if let Some(address) = entity.as_ip() {
        return range(body).is_some_and(|(first, last)| (first..=last).contains(&address));
    }
    let number = |name: &str| u32::try_from(body.get(name)?.as_u64()?).ok();
    match (number("startAutnum"), number("endAutnum")) {
        (Some(first), Some(last)) => {
            system_number(entity).is_some_and(|own| (first..=last).contains(&own))
        }
        // A server may leave the range out where the system is one of its own (RFC 9083 §5.5).
        _ => true,
    }
}

fn range(body: &Value) -> Option<(IpAddr, IpAddr)> {
    let address = |name: &str| text(body, name).parse::<IpAddr>().ok();
    let (first, last) = (address("startAddress")?, address("endAddress")?);
    Some((first.to_canonical(), last.to_canonical()))
}

/// Where the registry says that the registrar knows more.
fn referral(body: &Value, asked: &str) -> Option<String> {
    let is_related = |link: &&Value| {
        text(link, "rel").eq_ignore_ascii_case("related")
            && text(link, "type").eq_ignore_ascii_case("application/rdap+json")
    };
    let link = list(body, "links").iter().find(is_related)?;
    let url = Url::parse(text(link, "href")).ok()?;
    let is_web = matches!(url.scheme(), "https" | "http") && url.has_host();
    (is_web && url.as_str() != asked).then(|| url.to_string())
}

/// A member that is a string; empty if it is anything else.
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .trim()
}

/// A member that is a list; empty if it is anything else.
fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests;
