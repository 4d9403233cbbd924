//! What a whole active scan of the world must find, and what it must never find.
//!
//! Keys are in the normal form of the entity kinds. Addresses of pages carry the world's ports.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::Ports;
use crate::names::{Company, DOMAIN, Door, Host, WILDCARD};
use crate::records::dns_contact;
use crate::site::{self, Site};
use crate::tls;
use crate::traps::Trap;

/// One thing that a module finds: its entity's kind and key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Claim {
    pub module: &'static str,
    pub kind: &'static str,
    pub key: String,
}

/// The truth about a world.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Expected {
    /// What stands in one place that one collector reads: without it, it stays unknown.
    pub only: BTreeSet<Claim>,
    /// Kind and key of what exists and is off limits: behind robots.txt, under a wildcard.
    pub never: BTreeSet<(&'static str, String)>,
    /// Names of machines that a scan finds, the apex included; aliases and traps not.
    pub hosts: usize,
    /// Their addresses, each its own, and the one behind the wildcard.
    pub addresses: usize,
    /// Certificates that they show: a leaf for each (`www` shares the apex's), one for the alias
    /// between `www` and its machine, the intermediate, and the root, which is never sent, not.
    pub certificates: usize,
    /// The traps that are set; empty unless the world is hostile.
    pub traps: Vec<Trap>,
}

impl Expected {
    /// Kind and key of everything that only `module` can find.
    pub fn of(&self, module: &str) -> impl Iterator<Item = (&'static str, &str)> {
        let claims = self.only.iter().filter(move |claim| claim.module == module);
        claims.map(|claim| (claim.kind, claim.key.as_str()))
    }

    pub(crate) fn new(company: &Company, site: &Site, ports: Ports, traps: Vec<Trap>) -> Expected {
        let found = company
            .hosts
            .iter()
            .filter(|host| host.door != Door::Nobody)
            .count();
        Expected {
            only: only(company, site, ports),
            never: never(company),
            hosts: found,
            addresses: found + 1,
            certificates: found + 2,
            traps,
        }
    }
}

fn only(company: &Company, site: &Site, ports: Ports) -> BTreeSet<Claim> {
    let mut claims: BTreeSet<Claim> = company.hosts.iter().filter_map(by_its_door).collect();
    let mut add = |module, kind, key: String| claims.insert(Claim { module, kind, key });
    add("dns", "domain", company.front());
    add("dns", "ip", WILDCARD.to_string());
    for host in company
        .hosts
        .iter()
        .filter(|host| is_resolved_by_dns_alone(host))
    {
        add("dns", "ip", host.address.to_string());
    }
    add("crawl", "domain", site::promo());
    add("tls", "organization", tls::ORGANIZATION.to_lowercase());
    add("tls", "email", tls::contact());
    add("http", "software", site::SERVER.to_lowercase());
    add("http", "software", site::FRAMEWORK.to_lowercase());
    add(
        "http",
        "url",
        site.url("https", &company.name("login"), "/signin"),
    );
    add("well-known", "email", site::security_contact());
    add(
        "well-known",
        "url",
        site.url("https", &company.name("docs"), "/manual"),
    );
    add(
        "reverse-dns",
        "domain",
        "static-2.hosting.example".to_owned(),
    );
    add("extract", "email", site::press_contact());
    add("extract", "email", dns_contact());
    add("extract", "phone", site::PRESS_PHONE.to_owned());
    add("extract", "wallet", format!("bitcoin:{}", site::WALLET));
    add("extract", "bank-account", site::IBAN.to_owned());
    add(
        "extract",
        "tracker-id",
        format!("google-analytics:{}", site::TRACKER.to_lowercase()),
    );
    for owner in company.bulk().filter_map(site::owner_of) {
        add("extract", "email", owner);
    }
    let service = |label: &str, port: u16| {
        let host = company
            .host(&company.name(label))
            .expect("a machine of the table");
        format!("{}:{port}/tcp", host.address)
    };
    add("ports", "service", service("mail", ports.smtp));
    add("ports", "service", service("", ports.banner));
    add("ports", "service", service("", ports.silent));
    claims
}

fn by_its_door(host: &Host) -> Option<Claim> {
    match host.door {
        Door::Only(module) => Some(Claim {
            module,
            kind: "domain",
            key: host.name.clone(),
        }),
        Door::Seed | Door::Common | Door::Nobody => None,
    }
}

/// A zone transfer tells the addresses of the others as well.
fn is_resolved_by_dns_alone(host: &Host) -> bool {
    matches!(host.door, Door::Only(module) if module != "zone")
}

/// Guesses under the wildcard stand here for the words of every list.
fn never(company: &Company) -> BTreeSet<(&'static str, String)> {
    let guesses = ["www", "mail", "vpn", "staging", "git", "dev", "api"];
    let guesses = guesses
        .iter()
        .map(|word| ("domain", format!("{word}.wild.{DOMAIN}")));
    let hidden = company
        .hosts
        .iter()
        .filter(|host| host.door == Door::Nobody);
    guesses
        .chain(hidden.map(|host| ("domain", host.name.clone())))
        .collect()
}
