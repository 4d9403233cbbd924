//! The world: a seeded company on loopback that a scanner can scan, over real sockets.
//!
//! All servers run in this process, on a runtime of the world's own, so that a test that blocks
//! does not stall them and dropping the [`World`] stops every one of them.
//!
//! **How it is laid out.** `names` is the company: a table of machines, each with its own loopback
//! address and the one door by which it can be known. `records`, `zone` and `dns`
//! answer for it, `policy` says who may send its mail, `site` and `web` publish it, `tls` issues its
//! certificates, `crtsh` has logged them, `registries` know who registered it, `banners` greets.
//! One wildcard listener per service serves all machines: the address that a connection arrived
//! at says which one is meant. So five thousand hosts cost no more sockets than five.
//!
//! **To add a host**, add a row to the table in `names`; its DNS, its web server, its certificate
//! and its line in [`Expected`] follow. Then make it known in the one place that its door reads:
//! a link in `site`, a record in `zone`, a name in a certificate in `tls`.
//!
//! **To add a trap**, see `traps`: one function and one row.
//!
//! **Why like this.** A machine that is known in two ways proves neither collector; hence the
//! doors. The seed draws every name, key and serial number, so that two runs have the same bytes,
//! certificates included; only the ports differ.
//!
//! **Invariant:** nothing listens for anyone but loopback peers, and nothing connects anywhere.
//! **Never:** depend on another Mirage crate: what a scanner believes must not shape its test.

mod accept;
mod banners;
mod crtsh;
mod dns;
mod expected;
pub mod mmdb;
mod names;
mod page;
mod policy;
pub mod receiver;
mod records;
mod registries;
mod site;
mod start;
mod tally;
mod tls;
mod traps;
mod web;
mod wire;
mod zone;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::Ordering;

use serde::Serialize;

pub use crate::expected::{Claim, Expected};
use crate::names::HOSTS_MAX;
use crate::start::{CRTSH, Facts, Servers};
pub use crate::tally::Counts;
pub use crate::traps::Trap;

/// How large a world, which one, and whether it bites.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Numbered hosts besides the named ones, at most 50 000.
    pub hosts: usize,
    /// Draws every name, key and serial number.
    pub seed: u64,
    /// Whether the traps are set.
    pub hostile: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            hosts: 24,
            seed: 1,
            hostile: false,
        }
    }
}

/// TCP ports of the services, the same on every machine that has the service.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ports {
    /// On every machine.
    pub http: u16,
    /// On every machine.
    pub https: u16,
    /// On the mail server.
    pub smtp: u16,
    /// Greets like SSH; on the apex.
    pub banner: u16,
    /// Accepts and says nothing; on the apex.
    pub silent: u16,
    /// The stand-in for crt.sh.
    pub crtsh: u16,
}

/// A running world. Dropping it stops all its servers and closes their sockets.
pub struct World {
    facts: Facts,
    /// Only its drop matters.
    _servers: Servers,
}

impl World {
    /// Starts the servers; they answer when this returns.
    ///
    /// # Errors
    /// If `hosts` is above its bound, or sockets or the CA file cannot be made.
    pub async fn start(config: Config) -> anyhow::Result<World> {
        anyhow::ensure!(
            config.hosts <= HOSTS_MAX,
            "a world has at most {HOSTS_MAX} numbered hosts"
        );
        let servers = Servers::start()?;
        let facts = servers.run(config).await?;
        Ok(World {
            facts,
            _servers: servers,
        })
    }

    /// The registrable domain that a scan starts with.
    pub fn domain(&self) -> &str {
        names::DOMAIN
    }

    /// The DNS server to ask, UDP and TCP. The name servers listen on the same port.
    pub fn resolver(&self) -> SocketAddr {
        self.facts.resolver
    }

    pub fn ports(&self) -> Ports {
        self.facts.ports
    }

    /// The world's root certificate in PEM, for `SSL_CERT_FILE`; removed when the world is dropped.
    pub fn ca_file(&self) -> &Path {
        self.facts.ca_file.path()
    }

    /// A route table of the company's addresses: lines of prefix, tab, number, tab, name; removed with the world.
    pub fn routes_file(&self) -> &Path {
        self.facts.routes_file.path()
    }

    /// A MaxMind DB of the company's addresses; removed with the world.
    pub fn places_file(&self) -> &Path {
        self.facts.places_file.path()
    }

    /// The zone of systems' names in the form of Team Cymru's; the origins of IPv4 addresses are in `origin` below it.
    pub fn asn_zone(&self) -> &str {
        policy::ASN_ZONE
    }

    /// An address that `asn_zone` knows and nobody has.
    pub fn mailer(&self) -> &str {
        policy::MAILER
    }

    /// Where to ask for logged names; `{domain}` stands for the domain asked about.
    pub fn crtsh_url(&self) -> String {
        format!(
            "http://{CRTSH}:{}/?q=%25.{{domain}}&output=json",
            self.facts.ports.crtsh
        )
    }

    /// Where the bootstrap files of RDAP lie (RFC 9224); they lead to the world's RDAP server.
    pub fn rdap_url(&self) -> String {
        format!("http://{}/", self.facts.registries.rdap)
    }

    /// The WHOIS server that is asked first.
    pub fn whois_server(&self) -> SocketAddr {
        self.facts.registries.root
    }

    /// What a scan must find, and what not.
    pub fn expected(&self) -> &Expected {
        &self.facts.expected
    }

    /// What was served so far.
    pub fn counts(&self) -> Counts {
        self.facts.tally.counts()
    }

    /// Every address at whose web ports somebody connected.
    pub fn contacted(&self) -> BTreeSet<Ipv4Addr> {
        self.facts.tally.contacted()
    }

    /// The address of a machine of the table by its label.
    ///
    /// # Panics
    /// If the table has no such label.
    pub fn address(&self, label: &str) -> Ipv4Addr {
        let host = self.facts.company.host(&self.host(label));
        host.expect("a machine of the table").address
    }

    /// Connections that reached the canary, on any loopback address or port that is its own.
    pub fn canary(&self) -> u64 {
        self.facts.tally.canary.load(Ordering::Relaxed)
    }

    /// Where the canary sits.
    pub fn canary_address(&self) -> SocketAddr {
        self.facts.canary
    }

    /// The name of a machine of the table by its label, such as `shop` or `ns2`.
    ///
    /// # Panics
    /// If the table has no such label.
    pub fn host(&self, label: &str) -> String {
        self.facts.company.name(label)
    }

    /// The chain in DER, leaf first, that the world shows for this server name, or for none.
    pub fn chain(&self, name: Option<&str>) -> Vec<Vec<u8>> {
        self.facts
            .authority
            .certificate(name)
            .cert
            .iter()
            .map(|der| der.to_vec())
            .collect()
    }

    /// Lets the next `count` UDP queries go unanswered.
    pub fn drop_dns(&self, count: u64) {
        self.facts.tally.dns_drops.store(count, Ordering::Relaxed);
    }

    /// Answers the next `count` requests to the company's machines by 503.
    pub fn refuse_http(&self, count: u64) {
        self.facts
            .tally
            .http_refusals
            .store(count, Ordering::Relaxed);
    }
}
