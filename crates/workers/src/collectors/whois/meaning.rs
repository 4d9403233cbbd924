//! Meaning: which fields of an answer are about the input, and what they claim.
//!
//! **Never:** a handle for a name, a value that is withheld.

use std::collections::BTreeMap;
use std::net::IpAddr;

use mirage_domain::entity::{Entity, Kind, netblock};
use mirage_domain::relation::Relation;

use super::Answer;
use super::fields::Field;
use crate::collectors::registries::{is_withheld, shown};
use crate::collectors::{Claim, Found, Handle};

/// In percent. Any server's form is read alike, and the form is only known by its looks.
const CONFIDENCE: u8 = 40;
/// Of fields that hold an organization or a person.
const CONFIDENCE_OF_HOLDER: u8 = 30;
/// Claims of one answer.
const CLAIMS_MAX: usize = 64;

const NAMES: &[&str] = &[
    "domain name",
    "domain",
    "domainname",
    "domain-name",
    "nom de domaine",
];
const RANGES: &[&str] = &["inetnum", "inet6num", "netrange", "cidr", "ip-network"];
const ORGANIZATIONS: &[&str] = &[
    "registrant organization",
    "registrant organisation",
    "registrant org",
    "organization",
    "organisation",
    "organization name",
    "org-name",
    "orgname",
    "custname",
];
/// They may name a person or give a handle.
const HOLDERS: &[&str] = &["registrant", "owner", "holder", "registrant name"];
const REGISTRARS: &[&str] = &[
    "registrar",
    "registrar name",
    "registrar organization",
    "sponsoring registrar",
];
const EMAILS: &[&str] = &[
    "email",
    "e-mail",
    "email address",
    "mailbox",
    "orgabuseemail",
    "orgtechemail",
];
/// What stands where nothing stands.
const EMPTY: &[&str] = &[
    "n/a",
    "none",
    "not applicable",
    "not available",
    "null",
    "unknown",
    "private",
];

/// Whether an answer is about the entity itself.
pub(super) fn is_about(fields: &[Field], entity: &Entity) -> bool {
    match entity.as_ip() {
        Some(address) => block(fields, address).is_some(),
        None => values(fields, NAMES).any(|field| {
            let word = field.value.split_whitespace().next().unwrap_or_default();
            Entity::new(Kind::Domain, word).is_ok_and(|name| name == *entity)
        }),
    }
}

fn values<'a>(fields: &'a [Field], keys: &[&str]) -> impl Iterator<Item = &'a Field> {
    fields
        .iter()
        .filter(move |field| keys.contains(&&*field.key))
}

/// The narrowest block of the answer that holds the address.
fn block(fields: &[Field], address: IpAddr) -> Option<Entity> {
    let ranges = values(fields, RANGES).flat_map(|field| field.value.split(','));
    let blocks = ranges.flat_map(|range| match range.split_once('-') {
        Some((first, last)) => match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) => netblock::from_range(first, last).unwrap_or_default(),
            _ => Vec::new(),
        },
        None => Entity::new(Kind::Netblock, range.trim())
            .into_iter()
            .collect(),
    });
    let width = |block: &Entity| {
        let net = block.as_netblock()?;
        // All addresses are what a registry says that does not manage the one.
        (net.contains(&address) && net.prefix_len() > 0).then_some(net.prefix_len())
    };
    let blocks = blocks.filter_map(|block| Some((width(&block)?, block)));
    blocks.max().map(|(_, block)| block)
}

pub(super) fn report(entity: &Entity, answer: &Answer, found: &Found) {
    let holder = match entity.as_ip() {
        None => found.input().clone(),
        Some(address) => match block(&answer.fields, address) {
            Some(block) => found.add(described(block, answer)),
            None => return,
        },
    };
    let claims = claims(&holder, answer);
    if claims.len() > CLAIMS_MAX {
        found.remark("cap-reached", "contacts", entity.key());
    }
    for claim in claims.into_values().take(CLAIMS_MAX) {
        found.add_under(&holder, claim);
    }
}

fn described(block: Entity, answer: &Answer) -> Claim {
    let mut claim = Claim::out(Relation::PartOf, block, answer.evidence).confidence(CONFIDENCE);
    for (keys, attribute) in [(&["netname"][..], "name"), (&["country"], "country")] {
        let value = values(&answer.fields, keys).find_map(|field| shown(&field.value));
        if let Some(value) = value {
            claim = claim.with(attribute, value);
        }
    }
    claim
}

/// One claim for each relation and entity: of several fields the first.
fn claims(holder: &Handle, answer: &Answer) -> BTreeMap<(Relation, Entity), Claim> {
    let mut claims = BTreeMap::new();
    for field in &answer.fields {
        let Some((relation, entity, confidence)) = understood(field, holder.entity().kind()) else {
            continue;
        };
        let claim = Claim::out(relation, entity.clone(), answer.evidence)
            .with("field", field.key.as_str())
            .confidence(confidence);
        let claim = match (entity.kind(), shown(&field.value)) {
            (Kind::Organization, Some(name)) => claim.with("name", name),
            _ => claim,
        };
        claims.entry((relation, entity)).or_insert(claim);
    }
    claims
}

/// What a field says of a name or of a block.
fn understood(field: &Field, subject: Kind) -> Option<(Relation, Entity, u8)> {
    let key = field.key.as_str();
    let is_name = subject == Kind::Domain;
    if ORGANIZATIONS.contains(&key) {
        return Some((
            Relation::RegisteredTo,
            organization(&field.value)?,
            CONFIDENCE,
        ));
    }
    if HOLDERS.contains(&key) {
        // A handle is one word.
        let value = Some(&*field.value).filter(|value| value.contains(char::is_whitespace));
        return Some((
            Relation::RegisteredTo,
            organization(value?)?,
            CONFIDENCE_OF_HOLDER,
        ));
    }
    if REGISTRARS.contains(&key) && is_name {
        return Some((
            Relation::RegisteredThrough,
            organization(&field.value)?,
            CONFIDENCE,
        ));
    }
    let last = |word: &&str| {
        key.strip_suffix(*word)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with([' ', '-']))
    };
    EMAILS.iter().find(|word| last(word))?;
    let entity = Entity::new(Kind::Email, field.value.trim()).ok()?;
    let is_holder = HOLDERS.iter().any(|holder| key.starts_with(holder));
    let relation = match is_name && !is_holder {
        true => Relation::Mentions,
        false => Relation::RegisteredTo,
    };
    (!is_withheld(&field.value)).then_some((relation, entity, CONFIDENCE))
}

fn organization(value: &str) -> Option<Entity> {
    // Nominet adds `[Tag = X]`, ARIN a handle in parentheses.
    let value = value.split(" [").next().unwrap_or(value);
    let handle = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-')
    };
    let value = match value
        .strip_suffix(')')
        .and_then(|rest| rest.rsplit_once(" ("))
    {
        Some((name, inside)) if handle(inside) => name,
        _ => value,
    };
    let lower = value.trim().to_lowercase();
    // `ORG-EX1-RIPE` is where an organization stands in the registry's database.
    let is_no_name = EMPTY.contains(&&*lower) || lower.starts_with("org-") || lower.contains("://");
    (!is_no_name && !is_withheld(value)).then_some(())?;
    Entity::new(Kind::Organization, value).ok()
}
