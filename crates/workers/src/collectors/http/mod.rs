//! http: what web servers answer at their root, and where they send their visitors.
//!
//! Redirects are followed on the same host only: another host is reported, and asked by whoever finds it in scope.
//! A port that is closed, or speaks something else, is nothing.

mod software;

use std::net::SocketAddr;

use async_trait::async_trait;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::id::Digest;
use mirage_domain::module::{Manifest, Profile, Setting};
use mirage_domain::relation::Relation;
use url::Url;

use super::{Claim, CollectError, Collector, Found, Input, page, sockets};
use crate::probe::{HOPS_MAX, HttpRequest, Page, Probe};

pub(super) struct Http;

/// Bytes of a root page that are read.
const BODY_BYTES_MAX: usize = 1024 * 1024;
const ICON_BYTES_MAX: usize = 256 * 1024;

/// Ports of a name for each scheme; shared with other modules that look at web servers.
pub(super) const PORT_SETTINGS: [Setting; 2] = [
    Setting {
        key: "plain-ports",
        help: "ports of a name that are asked by http, such as 80,8080",
        default: "80",
        is_secret: false,
        is_operators: false,
    },
    Setting {
        key: "tls-ports",
        help: "ports of a name that are asked by https, such as 443,8443",
        default: "443",
        is_secret: false,
        is_operators: false,
    },
];

static MANIFEST: Manifest = Manifest {
    name: "http",
    summary: "What web servers answer at their root: status, title, software, redirects",
    consumes: &[Kind::Domain, Kind::Service],
    produces: &[Kind::Url, Kind::Domain, Kind::Software],
    profile: Profile::Standard,
    settings: &PORT_SETTINGS,
    ..Manifest::DEFAULT
};

#[async_trait]
impl Collector for Http {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn collect(
        &self,
        input: &Input,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError> {
        let doors = doors(input, probe).await?;
        let visits = doors.iter().map(|door| door.visit(probe, found));
        let mut outcome = Ok(());
        for visited in futures::future::join_all(visits).await {
            match visited {
                Ok(answers) => answers.iter().for_each(|answer| answer.report(found)),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }
}

/// A socket and the schemes to try there, in order, until one is answered.
struct Door {
    socket: SocketAddr,
    host: String,
    schemes: &'static [&'static str],
}

/// One page of a visit.
struct Answer {
    url: Url,
    page: Page,
    icon: Option<(Digest, Digest)>,
}

/// A service is tried by the scheme of its port first, then by the other.
async fn doors(input: &Input, probe: &dyn Probe) -> Result<Vec<Door>, CollectError> {
    let tls_ports = sockets::ports(input.setting("tls-ports"))?;
    if input.entity.kind() == Kind::Service {
        let door = |socket: SocketAddr| Door {
            host: host_of(socket),
            schemes: match tls_ports.contains(&socket.port()) {
                true => &["https", "http"],
                false => &["http", "https"],
            },
            socket,
        };
        let own = sockets::of(input, "", probe).await?;
        return Ok(own.into_iter().map(door).collect());
    }
    let mut doors = Vec::new();
    for (setting, schemes) in [("plain-ports", &["http"]), ("tls-ports", &["https"])] {
        let sockets = sockets::of(input, input.setting(setting), probe).await?;
        doors.extend(sockets.into_iter().map(|socket| Door {
            socket,
            host: input.key().to_owned(),
            schemes,
        }));
    }
    Ok(doors)
}

fn host_of(socket: SocketAddr) -> String {
    match socket {
        SocketAddr::V4(socket) => socket.ip().to_string(),
        SocketAddr::V6(socket) => format!("[{}]", socket.ip()),
    }
}

impl Door {
    /// The pages from the root to the end of the redirects on this host.
    async fn visit(&self, probe: &dyn Probe, found: &Found) -> Result<Vec<Answer>, CollectError> {
        let mut answers = Vec::new();
        for scheme in self.schemes {
            let url = Url::parse(&format!("{scheme}://{}:{}/", self.host, self.socket.port()));
            // A name of a kind that no URL may have, such as one that looks like an address.
            let Ok(url) = url else { return Ok(answers) };
            answers.extend(self.follow(url, probe, found).await?);
            // 400 is also how a server of TLS answers to plain text.
            if answers
                .last()
                .is_some_and(|answer| answer.page.status != 400)
            {
                break;
            }
        }
        Ok(answers)
    }

    async fn follow(
        &self,
        mut url: Url,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<Vec<Answer>, CollectError> {
        let mut answers: Vec<Answer> = Vec::new();
        while answers.len() <= HOPS_MAX && answers.iter().all(|answer| answer.url != url) {
            let request = HttpRequest {
                connect: Some(self.socket.ip()),
                follow: false,
                body_bytes_max: BODY_BYTES_MAX,
                ..HttpRequest::get(url.as_str())
            };
            let page = match probe.http(request).await {
                Ok(page) => page,
                Err(CollectError::Unavailable(reason) | CollectError::Malformed(reason)) => {
                    unanswered(&url, &reason, found);
                    break;
                }
                Err(error) => return Err(error),
            };
            let next = page::target(&page, &url).filter(|next| page::is_onward(&url, next));
            let icon = icon(&url, &page, probe).await;
            answers.push(Answer { url, page, icon });
            match next {
                Some(next) => url = next,
                None => break,
            }
        }
        Ok(answers)
    }
}

/// A closed port is nothing to speak of; one that is open and does not answer must not pass for one without a server.
fn unanswered(url: &Url, reason: &str, found: &Found) {
    if !sockets::is_closed(reason) {
        found.remark("no-answer", url.scheme(), reason);
    }
}

/// SHA-256 of the origin's icon, and its evidence; asked once per origin in a scan.
async fn icon(url: &Url, page: &Page, probe: &dyn Probe) -> Option<(Digest, Digest)> {
    if page.status != 200 || !page::is_html(page) {
        return None;
    }
    let request = HttpRequest {
        follow: false,
        body_bytes_max: ICON_BYTES_MAX,
        ..HttpRequest::get(url.join("/favicon.ico").ok()?)
    };
    let icon = probe.http(request).await.ok()?;
    let is_image = page::content_type(&icon)
        .to_ascii_lowercase()
        .starts_with("image/");
    let is_whole = icon.status == 200 && !icon.is_cut && !icon.body.is_empty();
    (is_image && is_whole).then(|| (Digest::of(&icon.body), icon.evidence))
}

impl Answer {
    fn report(&self, found: &Found) {
        let Ok(entity) = Entity::new(Kind::Url, self.url.as_str()) else {
            return;
        };
        let page = &self.page;
        let target = page::target(page, &self.url);
        let mut claim = Claim::out(Relation::Serves, entity, page.evidence);
        claim = page::describe(claim, page);
        if let Some((hash, evidence)) = self.icon {
            claim = claim.with("favicon_sha256", hash.to_string());
            claim = claim.and_evidence(evidence);
        }
        let own = found.add(claim);
        for name in ["server", "x-powered-by"] {
            let values = page::headers(page, name).flat_map(software::products);
            for software in values {
                found.add_under(&own, Claim::out(Relation::Uses, software, page.evidence));
            }
        }
        let Some(target) = target.and_then(|url| Entity::new(Kind::Url, url.as_str()).ok()) else {
            return;
        };
        if target.host() != self.url.host_str()
            && let Some(domain) = page::domain_of(&target)
        {
            let claim = Claim::out(Relation::LinksTo, domain, page.evidence);
            found.add_under(&own, claim);
        }
        let claim = Claim::out(Relation::RedirectsTo, target, page.evidence);
        found.add_under(&own, claim.with("status", page.status));
    }
}

#[cfg(test)]
mod tests;
