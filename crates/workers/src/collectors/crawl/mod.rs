//! crawl: fetches a page of a site that is in scope, and reports every address it links to.
//!
//! robots.txt is obeyed. Which links are followed is the scope's decision, not ours; how many is bounded here: pages and
//! query strings per host, links per page, segments of a path. What a bound cut is remarked.

mod links;
mod robots;

use async_trait::async_trait;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::module::{Manifest, Profile, Setting};
use mirage_domain::relation::Relation;
use url::Url;

use super::{Claim, CollectError, Collector, Found, Input, page};
use crate::probe::{HttpRequest, Page, Probe};
use links::{Links, URL_BYTES_MAX};
use robots::Verdict;

pub(super) struct Crawl;

/// Bytes of a page that are read.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Segments of a path; deeper ones are mostly made by a machine for a machine.
const SEGMENTS_MAX: usize = 16;
/// Endings of what holds no links, and would cost most of the bytes.
const SKIPPED: [&str; 28] = [
    "7z", "avi", "avif", "bmp", "bz2", "eot", "exe", "flac", "gif", "gz", "ico", "iso", "jpeg",
    "jpg", "mov", "mp3", "mp4", "ogg", "otf", "png", "rar", "tar", "tiff", "ttf", "webm", "webp",
    "woff", "woff2",
];

static MANIFEST: Manifest = Manifest {
    name: "crawl",
    summary: "Links of pages in scope, as far as robots.txt allows",
    consumes: &[Kind::Url],
    produces: &[Kind::Url, Kind::Domain],
    profile: Profile::Standard,
    settings: &[
        Setting {
            key: "links-max",
            help: "links of one page that are reported",
            default: "500",
            is_secret: false,
            is_operators: false,
        },
        Setting {
            key: "pages-max",
            help: "pages of one host that are fetched",
            default: "200",
            is_secret: false,
            is_operators: false,
        },
        Setting {
            key: "queries-max",
            help: "pages of one path that are fetched with different query strings",
            default: "10",
            is_secret: false,
            is_operators: false,
        },
    ],
    ..Manifest::DEFAULT
};

#[async_trait]
impl Collector for Crawl {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn collect(
        &self,
        input: &Input,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError> {
        let links_max = number(input, "links-max")?;
        let wrong = |error| CollectError::Malformed(format!("`{}`: {error}", input.key()));
        let url = Url::parse(input.key()).map_err(wrong)?;
        if is_left_out(&url, found) || !may_fetch(&url, input, probe, found).await? {
            return Ok(());
        }
        let request = HttpRequest {
            follow: false,
            body_bytes_max: BODY_BYTES_MAX,
            ..HttpRequest::get(url.as_str())
        };
        let page = probe.http(request).await?;
        let own = Claim::out(Relation::About, input.entity.clone(), page.evidence);
        found.add(page::describe(own, &page));
        match page::target(&page, &url) {
            Some(target) => redirect(&page, &url, &target, found),
            None => report(&page, &url, links_max as usize, found),
        }
        Ok(())
    }
}

fn number(input: &Input, key: &'static str) -> Result<u32, CollectError> {
    let text = input.setting(key);
    let wrong = |_| CollectError::Malformed(format!("{key} is a number, not `{text}`"));
    text.trim().parse().map_err(wrong)
}

/// Whether the address alone says that it is not worth a request.
fn is_left_out(url: &Url, found: &Found) -> bool {
    let segments = url.path_segments().map_or(0, Iterator::count);
    let (_, ending) = url.path().rsplit_once('.').unwrap_or_default();
    let ending = ending.to_ascii_lowercase();
    let rule = match () {
        () if url.as_str().len() > URL_BYTES_MAX => "url-bytes",
        () if segments > SEGMENTS_MAX => "path-segments",
        () => return SKIPPED.contains(&ending.as_str()),
    };
    found.remark("cap-reached", rule, url.host_str().unwrap_or_default());
    true
}

/// Asks robots.txt, then spends one page of the host.
async fn may_fetch(
    url: &Url,
    input: &Input,
    probe: &dyn Probe,
    found: &Found,
) -> Result<bool, CollectError> {
    let (pages_max, queries_max) = (number(input, "pages-max")?, number(input, "queries-max")?);
    let host = url.host_str().unwrap_or_default();
    match robots::ask(url, probe).await? {
        Verdict::Allowed => {}
        Verdict::Disallowed => {
            found.remark("robots", "disallowed", url.as_str());
            return Ok(false);
        }
        Verdict::Unreachable => {
            found.remark("robots", "unreachable", host);
            return Ok(false);
        }
    }
    let place = format!("{host}{}", url.path());
    let is_fit = url.query().is_none() || probe.spend("crawl-queries", &place, queries_max).is_ok();
    if !is_fit {
        found.remark("cap-reached", "queries-max", place);
        return Ok(false);
    }
    if probe.spend("crawl-pages", host, pages_max).is_err() {
        found.remark("cap-reached", "pages-max", host);
        return Ok(false);
    }
    Ok(true)
}

fn redirect(page: &Page, from: &Url, to: &Url, found: &Found) {
    let Ok(target) = Entity::new(Kind::Url, to.as_str()) else {
        return;
    };
    if let Some(domain) = page::domain_of(&target).filter(|_| from.host() != to.host()) {
        found.add(Claim::out(Relation::LinksTo, domain, page.evidence));
    }
    let claim = Claim::out(Relation::RedirectsTo, target, page.evidence);
    found.add(claim.with("status", page.status));
}

fn report(page: &Page, url: &Url, links_max: usize, found: &Found) {
    let links = Links::of(page, url, links_max);
    if links.is_cut {
        found.remark("cap-reached", "links-max", url.as_str());
    }
    let own = found.input().entity();
    let others = links.urls.into_iter().filter(|entity| entity != own);
    let host = url.host_str().unwrap_or_default();
    let domains = links
        .domains
        .into_iter()
        .filter(|domain| domain.key() != host);
    for entity in others.chain(domains) {
        found.add(Claim::out(Relation::LinksTo, entity, page.evidence));
    }
}

#[cfg(test)]
mod tests;
