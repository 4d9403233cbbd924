//! Every machine is known by its own door and by no other, or the scan of it proves nothing.

use std::sync::Arc;

use crate::names::{Company, Door};
use crate::records;
use crate::site::{Site, WebPorts};
use crate::tls::Authority;
use crate::wire::Data;
use crate::{crtsh, names};

/// What one kind of collector reads, all in one text.
type Source = (&'static str, String);

/// The sources that a machine of this door may stand in; its own pages and certificate apart.
fn source_of(door: Door) -> Option<&'static str> {
    match door {
        Door::Only("crawl" | "extract" | "http" | "well-known") | Door::Nobody => Some("web"),
        // Guessed, or asked for at the name that its standard gives.
        Door::Only("bruteforce" | "mail-policy") => None,
        Door::Only(module) => Some(module),
        Door::Seed | Door::Common => unreachable!("known by several"),
    }
}

fn sources(company: &Arc<Company>) -> Vec<Source> {
    let site = Site::new(
        company,
        WebPorts {
            http: 80,
            https: 443,
        },
    );
    let pages = site.pages.values();
    let mut sources: Vec<Source> = pages
        .map(|page| {
            (
                "web",
                format!("{:?}{}", page.headers, String::from_utf8_lossy(&page.body)),
            )
        })
        .collect();
    let logged = crtsh::answer(company, &[]);
    sources.push((
        "crtsh",
        String::from_utf8_lossy(&logged).replace("\\n", " "),
    ));
    let transferred = records::stale_copy(company);
    sources.extend(transferred.into_iter().map(|(owner, _)| ("zone", owner)));
    for (_, data) in records::published(company, 1) {
        match data {
            Data::Ns(target) | Data::Mx(_, target) | Data::Srv { target, .. } => {
                sources.push(("dns-records", target));
            }
            Data::Cname(target) => sources.push(("dns", target)),
            Data::Ptr(target) => sources.push(("reverse-dns", target)),
            _ => {}
        }
    }
    let authority = Authority::new(Arc::clone(company)).unwrap();
    for name in [None, Some(names::DOMAIN)] {
        let der = &authority.certificate(name).cert[0];
        sources.push(("tls", String::from_utf8_lossy(der).into_owned()));
    }
    sources
}

/// Whether `text` has `name` as a whole name, not as the end of a longer one.
fn has_name(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        !text[..at]
            .ends_with(|before: char| before.is_ascii_alphanumeric() || "-.".contains(before))
    })
}

#[test]
fn every_machine_stands_behind_its_own_door_and_no_other() {
    let company = Arc::new(Company::new(1, 30));
    let sources = sources(&company);
    for host in company
        .hosts
        .iter()
        .filter(|host| !matches!(host.door, Door::Seed | Door::Common))
    {
        let mut found: Vec<&str> = sources
            .iter()
            .filter(|(_, text)| has_name(text, &host.name))
            .map(|(source, _)| *source)
            .collect();
        found.dedup();
        assert_eq!(found, Vec::from_iter(source_of(host.door)), "{host:?}");
    }
}
