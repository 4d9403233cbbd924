//! well-known: the files that a site puts where everybody looks, and the addresses in them.
//!
//! Asked over https, and over http only where https is not answered. Redirects are followed on the same host.

mod files;

use async_trait::async_trait;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::module::{Manifest, Profile};
use mirage_domain::relation::Relation;
use url::Url;

use super::http::PORT_SETTINGS;
use super::{Claim, CollectError, Collector, Found, Input, page, sockets};
use crate::probe::{Page, Probe};
use files::{FILES, Reader, Said};

pub(super) struct WellKnown;

/// Bytes of a file; a site map may have 50 MB, and is cut.
const FILE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Parts of a site map that are fetched.
const PARTS_MAX: usize = 10;
const CHANGE_PASSWORD: &str = "/.well-known/change-password";

static MANIFEST: Manifest = Manifest {
    name: "well-known",
    summary: "security.txt, robots.txt, site maps and other files in known places",
    consumes: &[Kind::Domain],
    produces: &[Kind::Url, Kind::Domain, Kind::Email, Kind::Phone],
    profile: Profile::Standard,
    settings: &PORT_SETTINGS,
    ..Manifest::DEFAULT
};

#[async_trait]
impl Collector for WellKnown {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn collect(
        &self,
        input: &Input,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError> {
        let tls = sockets::ports(input.setting("tls-ports"))?;
        let plain = sockets::ports(input.setting("plain-ports"))?;
        if sockets::addresses(input.key(), probe).await?.is_empty() {
            return Ok(());
        }
        let mut is_answered = false;
        for (scheme, ports) in [("https", tls), ("http", plain)] {
            for port in ports {
                let origin = Url::parse(&format!("{scheme}://{}:{port}/", input.key()));
                let Ok(origin) = origin else { continue };
                is_answered |= visit(&origin, probe, found).await?;
            }
            if is_answered {
                break;
            }
        }
        Ok(())
    }
}

/// Asks one origin for every file; whether it answers at all.
async fn visit(origin: &Url, probe: &dyn Probe, found: &Found) -> Result<bool, CollectError> {
    for (at, (path, read)) in FILES.into_iter().enumerate() {
        let Ok(url) = origin.join(path) else { continue };
        match page::fetch(&url, FILE_BYTES_MAX, probe).await? {
            Some((url, page)) => {
                let parts = file(&url, &page, read, found);
                further(parts, probe, found).await?;
            }
            None if at == 0 => return Ok(false),
            None => {}
        }
    }
    let Ok(url) = origin.join(CHANGE_PASSWORD) else {
        return Ok(true);
    };
    if let Some((url, page)) = page::fetch(&url, FILE_BYTES_MAX, probe).await? {
        change_password(origin, &url, &page, found);
    }
    Ok(true)
}

/// Reports a file if it is one, and answers the parts that it lists.
fn file(url: &Url, page: &Page, read: Reader, found: &Found) -> Vec<Url> {
    let said = match page.status {
        200 => read(&page::text(page), url),
        _ => None,
    };
    let (Some(said), Ok(entity)) = (said, Entity::new(Kind::Url, url.as_str())) else {
        return Vec::new();
    };
    report(&said, entity, page, found);
    said.parts
}

fn report(said: &Said, entity: Entity, page: &Page, found: &Found) {
    let mut claim = Claim::out(Relation::Serves, entity, page.evidence);
    claim = page::describe(claim, page);
    for (name, value) in &said.attributes {
        claim = claim.with(name, value.clone());
    }
    if said.is_cut || page.is_cut {
        found.remark("cap-reached", "mentions", &*page.url);
    }
    let own = found.add(claim);
    for entity in said
        .mentions
        .iter()
        .filter(|entity| *entity != own.entity())
    {
        let claim = Claim::out(Relation::Mentions, entity.clone(), page.evidence);
        found.add_under(&own, claim);
        let domain = (entity.kind() == Kind::Url)
            .then(|| page::domain_of(entity))
            .flatten();
        if let Some(domain) = domain.filter(|domain| domain != found.input().entity()) {
            let claim = Claim::out(Relation::Mentions, domain, page.evidence);
            found.add_under(&own, claim);
        }
    }
}

/// The parts of a site map's index; one level, as the format has it.
async fn further(parts: Vec<Url>, probe: &dyn Probe, found: &Found) -> Result<(), CollectError> {
    if parts.len() > PARTS_MAX {
        found.remark("cap-reached", "sitemap-parts", parts.len().to_string());
    }
    for part in parts.into_iter().take(PARTS_MAX) {
        if let Some((url, page)) = page::fetch(&part, FILE_BYTES_MAX, probe).await? {
            file(&url, &page, files::sitemap, found);
        }
    }
    Ok(())
}

/// `url` is where redirects on the host ended: at the form itself, or at a page that leads to another host.
fn change_password(origin: &Url, url: &Url, page: &Page, found: &Found) {
    let target = page::target(page, url).or_else(|| (page.status == 200).then(|| url.clone()));
    let Ok(asked) = origin.join(CHANGE_PASSWORD) else {
        return;
    };
    let target = target.and_then(|target| files::change_password(&asked, &target));
    let (Some(target), Ok(own)) = (target, Entity::new(Kind::Url, asked.as_str())) else {
        return;
    };
    let own = found.add(Claim::out(Relation::Serves, own, page.evidence));
    found.add_under(
        &own,
        Claim::out(Relation::RedirectsTo, target, page.evidence),
    );
}

#[cfg(test)]
mod tests;
