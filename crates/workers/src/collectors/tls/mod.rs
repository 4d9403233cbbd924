//! tls: certificates that a name's or a service's TLS shows, and whom they name.
//!
//! A name is asked for by SNI at each of its addresses, a service without SNI: so each finding hangs on its input alone.
//! **Never:** a judgement. What was presented is recorded, expired or not; whether it is trusted is for a rule to say.

mod certificate;

use std::net::SocketAddr;

use async_trait::async_trait;
use mirage_domain::entity::{Entity, Kind, Transport};
use mirage_domain::id::Digest;
use mirage_domain::module::{Manifest, Profile, Setting};
use mirage_domain::relation::Relation;

use super::{Claim, CollectError, Collector, Found, Handle, Input, sockets};
use crate::probe::{Handshake, Probe};
use certificate::Certificate;

pub(super) struct Tls;

static MANIFEST: Manifest = Manifest {
    name: "tls",
    summary: "Certificates that names and services present, and whom they name",
    consumes: &[Kind::Domain, Kind::Service],
    produces: &[
        Kind::Service,
        Kind::Certificate,
        Kind::Domain,
        Kind::Ip,
        Kind::Email,
        Kind::Organization,
    ],
    profile: Profile::Standard,
    settings: &[Setting {
        key: "ports",
        help: "TCP ports of a name that are asked for TLS, such as 443,8443",
        default: "443",
        is_secret: false,
        is_operators: false,
    }],
    ..Manifest::DEFAULT
};

#[async_trait]
impl Collector for Tls {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn collect(
        &self,
        input: &Input,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError> {
        let sockets = sockets::of(input, input.setting("ports"), probe).await?;
        let name = input.entity.as_domain();
        let asked = sockets.into_iter().map(|socket| async move {
            let handshake = probe.tls(socket, name).await;
            (socket, handshake)
        });
        let mut outcome = Ok(());
        for (socket, handshake) in futures::future::join_all(asked).await {
            let reported = match handshake {
                Ok(handshake) => report(socket, &handshake, found),
                Err(CollectError::Unavailable(reason)) => {
                    unshaken(&reason, found);
                    Ok(())
                }
                Err(error) => Err(error),
            };
            outcome = outcome.and(reported);
        }
        outcome
    }
}

/// A closed port is nothing to speak of; one that is open and fails at TLS is.
fn unshaken(reason: &str, found: &Found) {
    if reason.starts_with("TLS with ") {
        found.remark("no-handshake", "tls", reason);
    }
}

/// The service, under it the leaf, under that what it names and the certificates that lead to its root.
fn report(socket: SocketAddr, handshake: &Handshake, found: &Found) -> Result<(), CollectError> {
    let Some((leaf, issuers)) = handshake.chain.split_first() else {
        return Ok(());
    };
    let certificate = Certificate::parse(leaf)?;
    let service = service(socket, handshake, found)?;
    let claim = Claim::out(Relation::Presents, entity(leaf)?, handshake.evidence)
        .with("version", handshake.version.as_str())
        .with("cipher", handshake.cipher.as_str());
    let claim = match handshake.protocol.as_deref() {
        Some(protocol) => claim.with("alpn", protocol),
        None => claim,
    };
    let leaf = found.add_under(&service, described(claim, &certificate));
    names(&certificate, &leaf, handshake.evidence, found);
    issuers_of(certificate, &leaf, issuers, handshake.evidence, found)
}

fn service(
    socket: SocketAddr,
    handshake: &Handshake,
    found: &Found,
) -> Result<Handle, CollectError> {
    let entity = Entity::service(socket, Transport::Tcp);
    let entity = entity.map_err(|error| CollectError::Malformed(error.to_string()))?;
    Ok(match handshake.server_name {
        Some(_) => found.add(Claim::out(Relation::Offers, entity, handshake.evidence)),
        None => found.input().clone(),
    })
}

fn entity(der: &[u8]) -> Result<Entity, CollectError> {
    let key = Digest::of(der).to_string();
    Entity::new(Kind::Certificate, &key).map_err(|e| CollectError::Malformed(e.to_string()))
}

fn described(mut claim: Claim, certificate: &Certificate) -> Claim {
    for (name, value) in certificate.attributes() {
        claim = claim.with(name, value);
    }
    claim
}

fn names(certificate: &Certificate, leaf: &Handle, evidence: Digest, found: &Found) {
    if certificate.is_cut {
        let detail = format!("more than {} names", certificate::NAMES_MAX);
        found.remark("cap-reached", "names", detail);
    }
    for entity in certificate.names.iter().chain(&certificate.organization) {
        let claim = Claim::out(Relation::Names, entity.clone(), evidence);
        found.add_under(leaf, claim);
    }
}

/// The firm that issued the leaf, and the chain as far as each certificate is issued by the next.
fn issuers_of(
    mut below: Certificate,
    leaf: &Handle,
    issuers: &[bytes::Bytes],
    evidence: Digest,
    found: &Found,
) -> Result<(), CollectError> {
    if let Some(firm) = &below.issuer_organization {
        let claim = Claim::out(Relation::IssuedBy, firm.clone(), evidence);
        found.add_under(leaf, claim);
    }
    let mut parent = leaf.clone();
    for der in issuers {
        let issuer = Certificate::parse(der)?;
        if !below.is_issued_by(&issuer) {
            found.remark("chain-broken", "tls", Digest::of(der).to_string());
            return Ok(());
        }
        let claim = Claim::out(Relation::IssuedBy, entity(der)?, evidence);
        parent = found.add_under(&parent, described(claim, &issuer));
        below = issuer;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
