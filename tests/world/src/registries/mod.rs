//! The registries: who registered the company's name and its addresses, by RDAP and by WHOIS.
//!
//! The bootstrap files list an RDAP server for `.example`, for systems, and for all of the company's addresses but one
//! range, which only WHOIS knows. Under `.test` no RDAP server is listed.
//! Some names and, in a hostile world, the addresses of the traps get answers that mean harm.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::banners;
use crate::expected::{Claim, claim};
use crate::tally::Tally;

pub(crate) mod rdap;
mod whois;

const RDAP: Ipv4Addr = Ipv4Addr::new(127, 20, 0, 91);
/// The server that knows all others, and the one that knows who registered what.
const ROOT: Ipv4Addr = Ipv4Addr::new(127, 20, 0, 92);
const REGISTRY: Ipv4Addr = Ipv4Addr::new(127, 20, 0, 93);

/// Everything that listens.
pub(crate) struct Registries {
    rdap: TcpListener,
    root: TcpListener,
    registry: TcpListener,
    pub(crate) at: At,
}

/// Where they listen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) rdap: SocketAddr,
    pub(crate) root: SocketAddr,
    registry: SocketAddr,
}

pub(crate) async fn bind() -> anyhow::Result<Registries> {
    let (rdap, rdap_port) = banners::bind(RDAP).await?;
    let (root, root_port) = banners::bind(ROOT).await?;
    let (registry, registry_port) = banners::bind(REGISTRY).await?;
    let at = At {
        rdap: (RDAP, rdap_port).into(),
        root: (ROOT, root_port).into(),
        registry: (REGISTRY, registry_port).into(),
    };
    Ok(Registries {
        rdap,
        root,
        registry,
        at,
    })
}

/// Starts every server on the current runtime, whose end is theirs.
pub(crate) fn spawn(registries: Registries, canary: SocketAddr, tally: &Arc<Tally>) {
    let at = registries.at;
    let root = move |question: &str| whois::root(question, at.registry, canary);
    let registry = move |question: &str| whois::registry(question, at.root);
    tokio::spawn(rdap::serve(registries.rdap, at.rdap, Arc::clone(tally)));
    tokio::spawn(whois::serve(registries.root, root, Arc::clone(tally)));
    tokio::spawn(whois::serve(
        registries.registry,
        registry,
        Arc::clone(tally),
    ));
}

/// What only they tell.
pub(crate) fn expected() -> impl Iterator<Item = Claim> {
    let of = |module, claims: &'static [(&'static str, &'static str)]| {
        let claims = claims.iter();
        claims.map(move |(kind, key)| claim(module, kind, (*key).to_owned()))
    };
    of("rdap", rdap::EXPECTED).chain(of("whois", whois::EXPECTED))
}
