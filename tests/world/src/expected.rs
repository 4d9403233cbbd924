//! What a whole active scan of the world must find, and what it must never find.
//!
//! Keys are in the normal form of the entity kinds. Addresses of pages carry the world's ports.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::Ports;
use crate::names::{Company, DOMAIN, Door, Host, WILDCARD};
use crate::policy;
use crate::records::{HOSTED, dns_contact};
use crate::site::{self, Site};
use crate::traps::Trap;
use crate::{registries, tls};

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
    /// Kind and key of what exists and is off limits: behind robots.txt, under a wildcard, redacted.
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
    let doors = company.hosts.iter().filter_map(by_its_door);
    doors
        .chain(seen_on_the_wire(company, ports))
        .chain(published(company, site))
        .chain(policy::expected(company))
        .chain(registries::expected())
        .collect()
}

/// What DNS, TLS and open ports tell.
fn seen_on_the_wire(company: &Company, ports: Ports) -> Vec<Claim> {
    let resolved = company
        .hosts
        .iter()
        .filter(|host| is_resolved_by_dns_alone(host));
    let addresses = resolved.map(|host| claim("dns", "ip", host.address.to_string()));
    let mut claims = vec![
        claim("dns", "domain", company.front()),
        claim("dns", "ip", WILDCARD.to_string()),
        claim("extract", "email", dns_contact()),
        claim("ports", "service", service_key(company, "mail", ports.smtp)),
        claim("ports", "service", service_key(company, "", ports.banner)),
        claim("ports", "service", service_key(company, "", ports.silent)),
        claim("reverse-dns", "domain", HOSTED.to_owned()),
        claim("tls", "email", tls::contact()),
        claim("tls", "organization", tls::ORGANIZATION.to_lowercase()),
    ];
    claims.extend(addresses);
    claims
}

/// What the web servers' pages and headers tell.
fn published(company: &Company, site: &Site) -> Vec<Claim> {
    let url = |label: &str, path: &str| site.url("https", &company.name(label), path);
    let mut claims = vec![
        claim("crawl", "domain", site::promo()),
        claim("extract", "bank-account", site::IBAN.to_owned()),
        claim("extract", "email", site::press_contact()),
        claim("extract", "phone", site::PRESS_PHONE.to_owned()),
        claim(
            "extract",
            "tracker-id",
            format!("google-analytics:{}", site::TRACKER.to_lowercase()),
        ),
        claim("extract", "wallet", format!("bitcoin:{}", site::WALLET)),
        claim("http", "software", site::FRAMEWORK.to_lowercase()),
        claim("http", "software", site::SERVER.to_lowercase()),
        claim("http", "url", url("login", "/signin")),
        claim("well-known", "email", site::security_contact()),
        claim("well-known", "url", url("docs", "/manual")),
    ];
    let owners = company.bulk().filter_map(site::owner_of);
    claims.extend(owners.map(|owner| claim("extract", "email", owner)));
    claims
}

pub(crate) fn claim(module: &'static str, kind: &'static str, key: String) -> Claim {
    Claim { module, kind, key }
}

fn service_key(company: &Company, label: &str, port: u16) -> String {
    let host = company
        .host(&company.name(label))
        .expect("a machine of the table");
    format!("{}:{port}/tcp", host.address)
}

fn by_its_door(host: &Host) -> Option<Claim> {
    match host.door {
        Door::Only(module) => Some(claim(module, "domain", host.name.clone())),
        Door::Seed | Door::Common | Door::Nobody => None,
    }
}

/// A zone transfer tells the addresses of the others as well.
fn is_resolved_by_dns_alone(host: &Host) -> bool {
    matches!(host.door, Door::Only(module) if module != "zone")
}

/// Guesses under the wildcard stand here for the words of every list; what is redacted is no mail box of anybody's.
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
        .chain([("email", registries::rdap::REDACTED.to_owned())])
        .collect()
}
