//! Relations: the typed edges between entities, and the one table of which may stand between which.
//!
//! Source: CATALOGUE §3. A relation reads *subject → object*.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::entity::Kind;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Relation {
    About,
    ResolvesTo,
    AliasOf,
    NamedBy,
    ServedBy,
    MailHandledBy,
    HasRecord,
    Authorises,
    SubdomainOf,
    PartOf,
    AnnouncedBy,
    RegisteredTo,
    RegisteredThrough,
    Offers,
    Serves,
    Presents,
    Names,
    IssuedBy,
    LinksTo,
    RedirectsTo,
    Mentions,
    Uses,
    AffectedBy,
    LocatedAt,
    BelongsTo,
    ExposedIn,
    SimilarTo,
    JudgedBy,
    Shows,
    DerivedFrom,
    /// What another tool relates without saying how, or in a way that has no relation here: imports only.
    RelatedTo,
}

/// Which end of the relation the parent of a finding is.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The parent is the subject.
    #[default]
    Out,
    /// The new entity is the subject.
    In,
}

impl Direction {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::In => "in",
        }
    }
}

impl Relation {
    pub const ALL: &'static [Self] = &[
        Self::About,
        Self::ResolvesTo,
        Self::AliasOf,
        Self::NamedBy,
        Self::ServedBy,
        Self::MailHandledBy,
        Self::HasRecord,
        Self::Authorises,
        Self::SubdomainOf,
        Self::PartOf,
        Self::AnnouncedBy,
        Self::RegisteredTo,
        Self::RegisteredThrough,
        Self::Offers,
        Self::Serves,
        Self::Presents,
        Self::Names,
        Self::IssuedBy,
        Self::LinksTo,
        Self::RedirectsTo,
        Self::Mentions,
        Self::Uses,
        Self::AffectedBy,
        Self::LocatedAt,
        Self::BelongsTo,
        Self::ExposedIn,
        Self::SimilarTo,
        Self::JudgedBy,
        Self::Shows,
        Self::DerivedFrom,
        Self::RelatedTo,
    ];

    /// The wire name: `resolves-to`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::About => "about",
            Self::ResolvesTo => "resolves-to",
            Self::AliasOf => "alias-of",
            Self::NamedBy => "named-by",
            Self::ServedBy => "served-by",
            Self::MailHandledBy => "mail-handled-by",
            Self::HasRecord => "has-record",
            Self::Authorises => "authorises",
            Self::SubdomainOf => "subdomain-of",
            Self::PartOf => "part-of",
            Self::AnnouncedBy => "announced-by",
            Self::RegisteredTo => "registered-to",
            Self::RegisteredThrough => "registered-through",
            Self::Offers => "offers",
            Self::Serves => "serves",
            Self::Presents => "presents",
            Self::Names => "names",
            Self::IssuedBy => "issued-by",
            Self::LinksTo => "links-to",
            Self::RedirectsTo => "redirects-to",
            Self::Mentions => "mentions",
            Self::Uses => "uses",
            Self::AffectedBy => "affected-by",
            Self::LocatedAt => "located-at",
            Self::BelongsTo => "belongs-to",
            Self::ExposedIn => "exposed-in",
            Self::SimilarTo => "similar-to",
            Self::JudgedBy => "judged-by",
            Self::Shows => "shows",
            Self::DerivedFrom => "derived-from",
            Self::RelatedTo => "related-to",
        }
    }

    /// Whether the evidence of a finding with this relation shows the new entity itself, not only a mention of it.
    /// Modules that read evidence are run on such findings.
    pub fn shows_object(self) -> bool {
        matches!(
            self,
            Self::About | Self::Serves | Self::HasRecord | Self::DerivedFrom
        )
    }

    /// Whether a finding may relate `entity` to its `parent` in this `direction`.
    pub fn is_legal_for(self, direction: Direction, parent: Kind, entity: Kind) -> bool {
        match direction {
            Direction::Out => self.is_legal(parent, entity),
            Direction::In => self.is_legal(entity, parent),
        }
    }

    /// Whether `subject → object` may be claimed with this relation.
    pub fn is_legal(self, subject: Kind, object: Kind) -> bool {
        use Kind as K;
        match self {
            Self::About => subject == object,
            Self::ResolvesTo => subject == K::Domain && object == K::Ip,
            Self::AliasOf
            | Self::ServedBy
            | Self::MailHandledBy
            | Self::SubdomainOf
            | Self::SimilarTo => subject == K::Domain && object == K::Domain,
            Self::NamedBy => subject == K::Ip && object == K::Domain,
            Self::HasRecord => subject == K::Domain && object == K::DnsRecord,
            Self::Authorises => {
                subject == K::Domain && matches!(object, K::Ip | K::Netblock | K::Domain)
            }
            Self::PartOf => matches!(subject, K::Ip | K::Netblock) && object == K::Netblock,
            Self::AnnouncedBy => subject == K::Netblock && object == K::AutonomousSystem,
            Self::RegisteredTo => {
                matches!(subject, K::Domain | K::Netblock | K::AutonomousSystem)
                    && matches!(object, K::Organization | K::Person | K::Email)
            }
            Self::RegisteredThrough => subject == K::Domain && object == K::Organization,
            Self::Offers => matches!(subject, K::Ip | K::Domain) && object == K::Service,
            Self::Serves => matches!(subject, K::Service | K::Domain) && object == K::Url,
            Self::Presents => subject == K::Service && object == K::Certificate,
            Self::Names => {
                subject == K::Certificate
                    && matches!(object, K::Domain | K::Ip | K::Email | K::Organization)
            }
            Self::IssuedBy => {
                subject == K::Certificate && matches!(object, K::Certificate | K::Organization)
            }
            Self::LinksTo => {
                matches!(subject, K::Url | K::File) && matches!(object, K::Url | K::Domain)
            }
            Self::RedirectsTo => subject == K::Url && object == K::Url,
            Self::Mentions => {
                matches!(
                    subject,
                    K::Url | K::Domain | K::File | K::Text | K::DnsRecord
                ) && !matches!(object, K::Exposure | K::Verdict)
            }
            Self::Uses => {
                matches!(subject, K::Service | K::Url | K::Domain)
                    && matches!(object, K::Software | K::TrackerId)
            }
            Self::AffectedBy => {
                matches!(subject, K::Software | K::Service | K::Url) && object == K::Vulnerability
            }
            Self::LocatedAt => {
                matches!(subject, K::Ip | K::Organization | K::Phone) && object == K::Location
            }
            Self::BelongsTo => {
                matches!(
                    subject,
                    K::Account | K::Device | K::PublicKey | K::StorageBucket | K::CodeRepository
                ) && matches!(object, K::Person | K::Organization)
            }
            Self::ExposedIn => {
                matches!(subject, K::Email | K::Account | K::Credential) && object == K::Breach
            }
            Self::JudgedBy => object == K::Verdict,
            Self::Shows => object == K::Exposure,
            Self::RelatedTo => true,
            Self::DerivedFrom => {
                matches!(subject, K::File | K::Text) && matches!(object, K::Url | K::File)
            }
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no relation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no relation is named `{0}`")]
pub struct UnknownRelation(pub String);

impl FromStr for Relation {
    type Err = UnknownRelation;
    fn from_str(text: &str) -> Result<Self, UnknownRelation> {
        let relation = Self::ALL.iter().find(|relation| relation.as_str() == text);
        relation
            .copied()
            .ok_or_else(|| UnknownRelation(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of CATALOGUE §3 after `about`: relation, subjects, objects.
    const ROWS: &[(&str, &str, &str)] = &[
        ("resolves-to", "domain", "ip"),
        ("alias-of", "domain", "domain"),
        ("named-by", "ip", "domain"),
        ("served-by", "domain", "domain"),
        ("mail-handled-by", "domain", "domain"),
        ("has-record", "domain", "dns-record"),
        ("authorises", "domain", "ip netblock domain"),
        ("subdomain-of", "domain", "domain"),
        ("part-of", "ip netblock", "netblock"),
        ("announced-by", "netblock", "autonomous-system"),
        (
            "registered-to",
            "domain netblock autonomous-system",
            "organization person email",
        ),
        ("registered-through", "domain", "organization"),
        ("offers", "ip domain", "service"),
        ("serves", "service domain", "url"),
        ("presents", "service", "certificate"),
        ("names", "certificate", "domain ip email organization"),
        ("issued-by", "certificate", "certificate organization"),
        ("links-to", "url file", "url domain"),
        ("redirects-to", "url", "url"),
        ("mentions", "url domain file text dns-record", THINGS),
        ("uses", "service url domain", "software tracker-id"),
        ("affected-by", "software service url", "vulnerability"),
        ("located-at", "ip organization phone", "location"),
        (
            "belongs-to",
            "account device public-key storage-bucket code-repository",
            "person organization",
        ),
        ("exposed-in", "email account credential", "breach"),
        ("similar-to", "domain", "domain"),
        ("judged-by", ANY, "verdict"),
        ("shows", ANY, "exposure"),
        ("derived-from", "file text", "url file"),
        ("related-to", ANY, ANY),
    ];
    const ANY: &str = "any";
    /// Whatever a text can speak of: not what Mirage or a source concludes.
    const THINGS: &str = "any but exposure and verdict";

    fn is_one_of(kinds: &str, kind: Kind) -> bool {
        match kinds {
            ANY => true,
            THINGS => !matches!(kind, Kind::Exposure | Kind::Verdict),
            kinds => kinds.split(' ').any(|name| name == kind.as_str()),
        }
    }

    fn pairs() -> impl Iterator<Item = (Kind, Kind)> {
        Kind::ALL
            .iter()
            .flat_map(|&subject| Kind::ALL.iter().map(move |&object| (subject, object)))
    }

    #[test]
    fn legal_triples_are_the_rows_and_nothing_else() {
        assert_eq!(ROWS.len() + 1, Relation::ALL.len());
        for (name, subjects, objects) in ROWS {
            let relation: Relation = name.parse().unwrap();
            for (subject, object) in pairs() {
                let legal = is_one_of(subjects, subject) && is_one_of(objects, object);
                assert_eq!(
                    relation.is_legal(subject, object),
                    legal,
                    "{subject} {name} {object}"
                );
            }
        }
    }

    #[test]
    fn every_kind_that_a_row_names_exists() {
        let named = ROWS.iter().flat_map(|row| [row.1, row.2]);
        for kinds in named.filter(|kinds| ![ANY, THINGS].contains(kinds)) {
            for kind in kinds.split(' ') {
                assert!(kind.parse::<Kind>().is_ok(), "{kind}");
            }
        }
    }

    #[test]
    fn every_relation_but_the_general_one_joins_some_kinds_and_not_others() {
        for relation in Relation::ALL {
            assert!(
                pairs().any(|(subject, object)| relation.is_legal(subject, object)),
                "{relation}"
            );
            let joins_all = pairs().all(|(subject, object)| relation.is_legal(subject, object));
            assert_eq!(joins_all, *relation == Relation::RelatedTo, "{relation}");
        }
    }

    #[test]
    fn about_joins_equal_kinds_only() {
        for (subject, object) in pairs() {
            assert_eq!(Relation::About.is_legal(subject, object), subject == object);
        }
    }

    #[test]
    fn a_direction_says_which_end_the_parent_is() {
        let resolves = |direction, parent, entity| {
            Relation::ResolvesTo.is_legal_for(direction, parent, entity)
        };
        assert!(resolves(Direction::Out, Kind::Domain, Kind::Ip));
        assert!(resolves(Direction::In, Kind::Ip, Kind::Domain));
        assert!(!resolves(Direction::Out, Kind::Ip, Kind::Domain));
        assert!(!resolves(Direction::In, Kind::Domain, Kind::Ip));
    }

    #[test]
    fn a_name_on_the_wire_is_its_relation() {
        for &relation in Relation::ALL {
            assert_eq!(relation.as_str().parse(), Ok(relation));
            assert_eq!(serde_json::to_value(relation).unwrap(), relation.as_str());
        }
        let unknown = "knows".parse::<Relation>();
        assert_eq!(unknown, Err(UnknownRelation("knows".to_owned())));
        for direction in [Direction::Out, Direction::In] {
            assert_eq!(serde_json::to_value(direction).unwrap(), direction.as_str());
        }
    }

    #[test]
    fn all_has_every_relation_once_in_order() {
        for (ordinal, &relation) in Relation::ALL.iter().enumerate() {
            assert_eq!(relation as usize, ordinal);
        }
        assert_eq!(Relation::ALL.last(), Some(&Relation::RelatedTo));
    }
}
