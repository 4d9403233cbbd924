//! Collectors: one source or protocol a file, each in five parts.
//!
//! The parts: the manifest, asking, the source's own shape, understanding (pure), proof.
//! A collector gets one input and a [`Probe`], and reports findings. It never retries, sleeps, caches, counts or picks
//! a client: the probe does. Several inputs of a task are asked about at once, and one bad input fails alone.
//!
//! To add one: its file, `mod name;`, and its line in [`ALL`]; `cargo xtask new collector NAME` writes all of it.
//! **Invariant:** what a collector finds hangs on its input alone, never on what else was found so far.

mod asn;
mod bruteforce;
#[cfg(test)]
mod contract;
mod crawl;
mod crtsh;
mod dns;
mod dns_records;
mod extract;
mod found;
mod geoip;
mod http;
pub mod import;
mod mail_policy;
mod parts;
mod ports;
mod rdap;
mod reverse_dns;
mod reverse_sweep;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tls;
mod well_known;
mod whois;
mod zone;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use mirage_domain::entity::Entity;
use mirage_domain::id::Digest;
use mirage_domain::module::Manifest;

use parts::{
    charset, html, kept, page, presentation, questions, registries, sockets, text_records, wildcard,
};

pub(crate) use found::Room;
pub use found::{Claim, Found, Frame, Handle, Remark, Reported};

use crate::probe::Probe;

/// Every collector, sorted by name.
pub const ALL: &[&dyn Collector] = &[
    &asn::Asn,
    &bruteforce::Bruteforce,
    &crawl::Crawl,
    &crtsh::Crtsh,
    &dns::Dns,
    &dns_records::DnsRecords,
    &extract::Extract,
    &geoip::Geoip,
    &http::Http,
    &mail_policy::MailPolicy,
    &ports::Ports,
    &rdap::Rdap,
    &reverse_dns::ReverseDns,
    &reverse_sweep::ReverseSweep,
    &tls::Tls,
    &well_known::WellKnown,
    &whois::Whois,
    &zone::Zone,
];

/// Every module that a scan may name: the collectors, and the importers, which run in imports alone.
pub fn every() -> impl Iterator<Item = &'static dyn Collector> {
    let importers = import::IMPORTERS.iter().map(|own| *own as &dyn Collector);
    ALL.iter().copied().chain(importers)
}

/// A module that reads the world.
#[async_trait]
pub trait Collector: Send + Sync {
    fn manifest(&self) -> &'static Manifest;

    /// Asks about one input and reports what is found as it is found.
    async fn collect(
        &self,
        input: &Input,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError>;
}

/// One input: an entity, and what its module was set to.
#[derive(Debug, Clone)]
pub struct Input {
    pub entity: Entity,
    /// For a module that reads evidence: which.
    pub evidence: Option<Digest>,
    pub is_in_scope: bool,
    pub settings: Arc<Settings>,
}

impl Input {
    pub fn key(&self) -> &str {
        self.entity.key()
    }

    /// The value of a setting that the module's manifest declares.
    pub fn setting(&self, key: &'static str) -> &str {
        self.settings.0.get(key).map_or("", String::as_str)
    }
}

/// The settings of one module: every declared key with its value, defaults included.
#[derive(Debug, Clone, Default)]
pub struct Settings(pub BTreeMap<&'static str, String>);

impl Settings {
    /// The manifest's defaults.
    pub fn defaults(manifest: &Manifest) -> Self {
        let default =
            |setting: &mirage_domain::module::Setting| (setting.key, setting.default.to_owned());
        Self(manifest.settings.iter().map(default).collect())
    }
}

/// Why an input could not be asked about to the end. Each kind has an action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectError {
    /// The source does not answer, or says that it cannot: later.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The source wants a key, or refuses the one it got: skip, say so.
    #[error("refused: {0}")]
    Refused(String),
    /// A rate or quota of the source is used up.
    #[error("limited: {0}")]
    Limited(String),
    /// The scan's own budget is used up.
    #[error("over the scan's budget: {0}")]
    Budget(String),
    /// The answer is not in the source's form: it changed.
    #[error("malformed: {0}")]
    Malformed(String),
    /// The egress policy forbids the address; the rule's name.
    #[error("forbidden by the egress policy: {0}")]
    Forbidden(String),
}

impl CollectError {
    /// The reason as it stands in `task.finished`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Refused(_) => "refused",
            Self::Limited(_) => "limited",
            Self::Budget(_) => "budget",
            Self::Malformed(_) => "malformed",
            Self::Forbidden(_) => "forbidden",
        }
    }

    /// The sentence behind the reason.
    pub fn detail(&self) -> &str {
        match self {
            Self::Unavailable(detail)
            | Self::Refused(detail)
            | Self::Limited(detail)
            | Self::Budget(detail)
            | Self::Malformed(detail)
            | Self::Forbidden(detail) => detail,
        }
    }
}
