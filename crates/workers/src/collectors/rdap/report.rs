//! Report: what answers claim about their input, its block, its name servers and its contacts.

use std::collections::BTreeSet;

use jiff::Timestamp;
use mirage_domain::entity::{Entity, Kind, netblock};
use mirage_domain::relation::Relation;
use serde_json::Value;

use super::contacts::Contacts;
use super::{Document, Object, list, range, redacted, text};
use crate::collectors::registries::shown;
use crate::collectors::{Claim, CollectError, Found, Handle};

/// Name servers of one domain; the parent zone's answer has room for 13.
pub(super) const SERVERS_MAX: usize = 32;
/// Values of a list that become an attribute.
const LIST_MAX: usize = 32;

/// The first answer is the registry's and describes the input; all of them name contacts.
pub(super) fn report(
    entity: &Entity,
    object: Object,
    documents: &[Document],
    found: &Found,
) -> Result<(), CollectError> {
    let [first, ..] = documents else {
        return Ok(());
    };
    let claim = match object {
        Object::Network => {
            let wrong = || CollectError::Malformed("rdap: no block holds the address".into());
            let block = block(entity, &first.body).ok_or_else(wrong)?;
            Claim::out(Relation::PartOf, block, first.evidence)
        }
        _ => Claim::out(Relation::About, entity.clone(), first.evidence),
    };
    let claim = described(claim, &first.body);
    let holder = found.add(with_redacted(claim, documents));
    // An entity that is about the input has its claims under the input.
    let holder = match object {
        Object::Network => holder,
        _ => found.input().clone(),
    };
    if object == Object::Domain {
        name_servers(first, found);
    }
    contacts(&holder, documents, found);
    Ok(())
}

/// The one block of the answer's range that holds the address.
fn block(entity: &Entity, body: &Value) -> Option<Entity> {
    let ((first, last), address) = (range(body)?, entity.as_ip()?);
    let blocks = netblock::from_range(first, last).ok()?;
    let holds = |block: &Entity| {
        block
            .as_netblock()
            .is_some_and(|net| net.contains(&address))
    };
    blocks.into_iter().find(holds)
}

fn described(mut claim: Claim, body: &Value) -> Claim {
    for (member, attribute) in [
        ("handle", "handle"),
        ("name", "name"),
        ("country", "country"),
        ("type", "type"),
    ] {
        if let Some(shown) = shown(text(body, member)) {
            claim = claim.with(attribute, shown);
        }
    }
    if let Some((first, last)) = range(body) {
        claim = claim.with("range", format!("{first} - {last}"));
    }
    for event in list(body, "events").iter().take(LIST_MAX) {
        let attribute = match text(event, "eventAction") {
            "registration" => "registered",
            "expiration" => "expires",
            "last changed" => "changed",
            "transfer" => "transferred",
            _ => continue,
        };
        if let Ok(at) = text(event, "eventDate").parse::<Timestamp>() {
            claim = claim.with(attribute, at.to_string());
        }
    }
    let status = list(body, "status").iter().filter_map(Value::as_str);
    let status: BTreeSet<String> = status.filter_map(shown).take(LIST_MAX).collect();
    if !status.is_empty() {
        claim = claim.with("status", Vec::from_iter(status));
    }
    let signed = body.pointer("/secureDNS/delegationSigned");
    match signed.and_then(Value::as_bool) {
        Some(signed) => claim.with("dnssec", signed),
        None => claim,
    }
}

/// Says what the servers withhold, and counts the further answers as evidence.
fn with_redacted(mut claim: Claim, documents: &[Document]) -> Claim {
    for document in &documents[1..] {
        claim = claim.and_evidence(document.evidence);
    }
    let names = documents.iter().flat_map(|own| redacted::names(&own.body));
    let names: BTreeSet<String> = names.take(LIST_MAX).collect();
    match names.is_empty() {
        true => claim,
        false => claim.with("redacted", Vec::from_iter(names)),
    }
}

fn name_servers(document: &Document, found: &Found) {
    let servers = list(&document.body, "nameservers");
    if servers.len() > SERVERS_MAX {
        found.remark("cap-reached", "nameservers", servers.len().to_string());
    }
    for server in servers.iter().take(SERVERS_MAX) {
        if let Ok(entity) = Entity::new(Kind::Domain, text(server, "ldhName")) {
            found.add(Claim::out(Relation::ServedBy, entity, document.evidence));
        }
    }
}

fn contacts(holder: &Handle, documents: &[Document], found: &Found) {
    let mut contacts = Contacts::of(holder.entity().kind());
    for document in documents {
        contacts.read(&document.body, document.evidence);
    }
    for cap in &contacts.caps {
        found.remark("cap-reached", *cap, found.input().entity().key());
    }
    for claim in contacts.claims() {
        found.add_under(holder, claim);
    }
}
