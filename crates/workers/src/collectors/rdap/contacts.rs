//! Contacts: whom an answer names, in which role, with the relation that this makes.
//!
//! Of a name the registrant is registered-to and the registrar registered-through; who only serves it is mentioned.
//! A block and a system know one relation to people, so there the attribute `roles` tells them apart.
//! **Invariant:** an entity without a role of RFC 9083 §10.2.4 is not read, nor what is nested in it.

use std::collections::{BTreeMap, BTreeSet};

use mirage_domain::entity::{Entity, Kind};
use mirage_domain::id::Digest;
use mirage_domain::relation::Relation;
use serde_json::Value;

use super::card::Card;
use super::redacted::Redacted;
use super::{list, text};
use crate::collectors::Claim;
use crate::collectors::registries::shown;

pub(super) const ROLES: &[&str] = &[
    "abuse",
    "administrative",
    "billing",
    "noc",
    "notifications",
    "proxy",
    "registrant",
    "registrar",
    "reseller",
    "sponsor",
    "technical",
];

/// How deep entities are read in entities; registries nest once, the abuse desk in the registrar.
const DEPTH_MAX: usize = 3;
/// Entities of one answer that are read.
const ENTITIES_MAX: usize = 64;
/// Claims about contacts of one input.
const CLAIMS_MAX: usize = 128;

/// In percent: the registry says so; and the other roles are often a service's.
const CONFIDENCE: u8 = 90;
const CONFIDENCE_OF_OTHERS: u8 = 70;

/// Who was read.
pub(super) struct Contacts {
    subject: Kind,
    claims: BTreeMap<(Relation, Entity), Seen>,
    /// The caps that were reached.
    pub(super) caps: BTreeSet<&'static str>,
}

/// One claim, as several cards may make it.
struct Seen {
    roles: BTreeSet<String>,
    name: String,
    country: Option<String>,
    /// The registrar's number at IANA.
    number: Option<String>,
    evidence: BTreeSet<Digest>,
}

/// An answer that is being read.
struct Reading<'a> {
    redacted: Redacted<'a>,
    evidence: Digest,
    entities: usize,
}

impl Contacts {
    /// Contacts of an entity of this kind.
    pub(super) fn of(subject: Kind) -> Self {
        Self {
            subject,
            claims: BTreeMap::new(),
            caps: BTreeSet::new(),
        }
    }

    pub(super) fn read(&mut self, body: &Value, evidence: Digest) {
        let mut reading = Reading {
            redacted: Redacted::of(body),
            evidence,
            entities: 0,
        };
        self.walk(body, &[], &mut reading);
    }

    /// Reads the entities of an object that stands below contacts of the `above` roles.
    fn walk(&mut self, body: &Value, above: &[&str], reading: &mut Reading<'_>) {
        let entities = list(body, "entities");
        if !entities.is_empty() && above.len() >= DEPTH_MAX {
            self.caps.insert("depth");
            return;
        }
        for entity in entities {
            reading.entities += 1;
            if reading.entities > ENTITIES_MAX {
                self.caps.insert("entities");
                return;
            }
            let roles: BTreeSet<&str> = list(entity, "roles")
                .iter()
                .filter_map(Value::as_str)
                .filter_map(|role| {
                    ROLES
                        .iter()
                        .copied()
                        .find(|own| role.eq_ignore_ascii_case(own))
                })
                .collect();
            let roles = Vec::from_iter(roles);
            self.card(entity, above, &roles, reading);
            if let Some(role) = roles.first() {
                self.walk(entity, &[above, &[role]].concat(), reading);
            }
        }
    }

    fn card(&mut self, entity: &Value, above: &[&str], roles: &[&str], reading: &Reading<'_>) {
        let own = entity.get("vcardArray").unwrap_or(&Value::Null);
        let is_hidden = |property: &str| reading.redacted.hides(roles, property);
        let card = Card::read(own, roles.contains(&"registrar"), &is_hidden);
        for role in roles {
            for (named, name) in &card.named {
                let relation = self.relation(above, role, named.kind());
                let key = (relation, named.clone());
                if self.claims.len() >= CLAIMS_MAX && !self.claims.contains_key(&key) {
                    self.caps.insert("contacts");
                    return;
                }
                let seen = self.claims.entry(key).or_insert_with(|| Seen {
                    roles: BTreeSet::new(),
                    name: name.clone(),
                    country: card.country.clone(),
                    number: None,
                    evidence: BTreeSet::new(),
                });
                seen.roles.insert([above, &[*role]].concat().join(" "));
                seen.evidence.insert(reading.evidence);
                if relation == Relation::RegisteredThrough {
                    seen.number = number(entity);
                }
            }
        }
    }

    fn relation(&self, above: &[&str], role: &str, named: Kind) -> Relation {
        match (self.subject, above, role) {
            (Kind::Domain, [], "registrant") => Relation::RegisteredTo,
            (Kind::Domain, [], "registrar") if named == Kind::Organization => {
                Relation::RegisteredThrough
            }
            (Kind::Domain, ..) => Relation::Mentions,
            _ => Relation::RegisteredTo,
        }
    }

    /// Every claim, in a fixed order.
    pub(super) fn claims(self) -> impl Iterator<Item = Claim> {
        self.claims.into_iter().map(|((relation, entity), seen)| {
            let is_named = entity.kind() != Kind::Email;
            let is_holder = ["registrant", "registrar"]
                .iter()
                .any(|own| seen.roles.contains(*own));
            let mut evidence = seen.evidence.into_iter();
            let first = evidence.next().expect("a card was read from an answer");
            let mut claim = Claim::out(relation, entity, first);
            for further in evidence {
                claim = claim.and_evidence(further);
            }
            claim = claim.with("roles", Vec::from_iter(seen.roles));
            if is_named {
                claim = claim.with("name", seen.name);
                if let Some(country) = seen.country {
                    claim = claim.with("country", country);
                }
            }
            if let Some(number) = seen.number {
                claim = claim.with("iana_id", number);
            }
            claim.confidence(match is_holder {
                true => CONFIDENCE,
                false => CONFIDENCE_OF_OTHERS,
            })
        })
    }
}

/// The registrar's number at IANA (RFC 9083 §4.8).
fn number(entity: &Value) -> Option<String> {
    let ids = list(entity, "publicIds").iter();
    let mut own = ids.filter(|id| text(id, "type").eq_ignore_ascii_case("IANA Registrar ID"));
    shown(text(own.next()?, "identifier"))
}
