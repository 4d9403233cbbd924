//! Relations: the typed edges between entities, and the one table of which may stand between which.
//!
//! Source: CATALOGUE §3. A relation reads *subject → object*.

use std::fmt;

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
