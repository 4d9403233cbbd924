//! asn: the block that an address is announced in, by which autonomous system, and whose that is.
//!
//! From a route table if one is set, else from Team Cymru's DNS zones. Private and reserved addresses are not asked
//! about: nobody announces them, and the question would tell of them.

mod cymru;
mod table;

use std::net::IpAddr;

use async_trait::async_trait;
use ipnet::IpNet;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::id::Digest;
use mirage_domain::module::{Manifest, Setting};
use mirage_domain::relation::Relation;

use super::{Claim, CollectError, Collector, Found, Handle, Input, kept, text_records};
use crate::probe::Probe;

pub(super) struct Asn;

static MANIFEST: Manifest = Manifest {
    name: "asn",
    summary: "The announced block of an address, its autonomous system and whose that is",
    consumes: &[Kind::Ip],
    produces: &[Kind::AutonomousSystem, Kind::Netblock, Kind::Organization],
    settings: &[
        Setting {
            key: "table",
            help: "path of a route table, lines of PREFIX, tab, AS number and perhaps tab and name; in place of DNS",
            default: "",
            is_secret: false,
            is_operators: true,
        },
        Setting {
            key: "origin-zone",
            help: "zone that has the origins of IPv4 addresses",
            default: "origin.asn.cymru.com",
            is_secret: false,
            is_operators: false,
        },
        Setting {
            key: "origin6-zone",
            help: "zone that has the origins of IPv6 addresses",
            default: "origin6.asn.cymru.com",
            is_secret: false,
            is_operators: false,
        },
        Setting {
            key: "name-zone",
            help: "zone that has the names of autonomous systems",
            default: "asn.cymru.com",
            is_secret: false,
            is_operators: false,
        },
    ],
    ..Manifest::DEFAULT
};

/// Systems that announce one block; more than a handful is an error of whoever counted them.
const ORIGINS_MAX: usize = 16;
/// Names in such sources are descriptions, not entries of a register of companies.
const NAME_CONFIDENCE: u8 = 80;

/// Who announces a block, as one source says.
#[derive(Debug, Clone, PartialEq)]
struct Origin {
    block: IpNet,
    number: u32,
}

#[async_trait]
impl Collector for Asn {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn collect(
        &self,
        input: &Input,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError> {
        let Some(address) = input.entity.as_ip() else {
            return Ok(());
        };
        match input.setting("table") {
            "" => cymru::collect(address, input, probe, found).await,
            path => table::collect(address, path, found).await,
        }
    }
}

/// Reports who announces the address; the handle is that of the system.
fn announced(origin: &Origin, evidence: Digest, found: &Found) -> Option<Handle> {
    let block = Entity::new(Kind::Netblock, &origin.block.to_string()).ok()?;
    let system = Entity::new(Kind::AutonomousSystem, &origin.number.to_string()).ok()?;
    let block = found.add(Claim::out(Relation::PartOf, block, evidence));
    let claim = Claim::out(Relation::AnnouncedBy, system, evidence);
    Some(found.add_under(&block, claim))
}

/// Reports whose a system is.
fn named(name: &str, evidence: Digest, system: &Handle, found: &Found) {
    if let Ok(organization) = Entity::new(Kind::Organization, name) {
        let claim = Claim::out(Relation::RegisteredTo, organization, evidence);
        found.add_under(system, claim.confidence(NAME_CONFIDENCE));
    }
}

/// A number of a system with or without `AS`; zero announces nothing (RFC 7607).
fn number(text: &str) -> Option<u32> {
    let digits = match text.get(..2) {
        Some(prefix) if prefix.eq_ignore_ascii_case("as") => &text[2..],
        _ => text,
    };
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_plain)
}

/// The block of that length around an address.
fn around(address: IpAddr, length: u8) -> Option<IpNet> {
    IpNet::new(address, length).ok().map(|net| net.trunc())
}

#[cfg(test)]
mod tests;
