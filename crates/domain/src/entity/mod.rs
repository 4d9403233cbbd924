//! Entities: the things in the world, each a kind and a normalised key.
//!
//! One kind, one file: its normaliser gives the same key for the same thing and an error for anything doubtful.
//! To add one: its file, its `mod` line, its variant with its arm in `normalise`.
//!
//! **Invariant:** a key is its own normalised form, at most `KEY_BYTES_MAX` long, without control characters.
//! **Never:** a guess. What cannot be read as its kind is an error, and no normaliser panics.

mod account;
mod autonomous_system;
mod bank_account;
mod breach;
mod certificate;
mod characters;
mod code_repository;
mod credential;
mod device;
mod dns_record;
mod domain;
mod email;
#[cfg(any(test, feature = "testing"))]
mod example;
mod exposure;
mod file;
mod handle;
mod ip;
mod location;
mod mobile_app;
pub mod netblock;
mod organization;
pub mod payment_card;
mod person;
mod phone;
mod public_key;
mod recognise;
mod service;
mod software;
mod storage_bucket;
mod text;
mod tracker_id;
mod url;
mod verdict;
mod vulnerability;
mod wallet;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{EntityId, IdKey};

#[cfg(any(test, feature = "testing"))]
pub use self::example::{example, examples};
pub use self::recognise::{recognise, recognise_all};
pub use self::service::Transport;

/// Longest key, in bytes; the longest that is useful is a URL.
pub const KEY_BYTES_MAX: usize = 8 * 1024;

/// Why a text is no key of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("empty")]
    Empty,
    #[error("longer than {max} bytes")]
    TooLong { max: usize },
    /// The sentence says what the kind's keys look like.
    #[error("{0}")]
    Form(&'static str),
}

/// A kind of entity; the wire name is in kebab case. Source: CATALOGUE §2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Kind {
    Domain,
    Ip,
    Netblock,
    AutonomousSystem,
    Service,
    DnsRecord,
    Url,
    Certificate,
    Software,
    TrackerId,
    Organization,
    Person,
    Email,
    Phone,
    Handle,
    Account,
    Credential,
    Breach,
    Wallet,
    BankAccount,
    PaymentCard,
    Location,
    File,
    Text,
    StorageBucket,
    CodeRepository,
    MobileApp,
    Device,
    PublicKey,
    Vulnerability,
    Exposure,
    Verdict,
}

impl Kind {
    pub const ALL: &'static [Self] = &[
        Self::Domain,
        Self::Ip,
        Self::Netblock,
        Self::AutonomousSystem,
        Self::Service,
        Self::DnsRecord,
        Self::Url,
        Self::Certificate,
        Self::Software,
        Self::TrackerId,
        Self::Organization,
        Self::Person,
        Self::Email,
        Self::Phone,
        Self::Handle,
        Self::Account,
        Self::Credential,
        Self::Breach,
        Self::Wallet,
        Self::BankAccount,
        Self::PaymentCard,
        Self::Location,
        Self::File,
        Self::Text,
        Self::StorageBucket,
        Self::CodeRepository,
        Self::MobileApp,
        Self::Device,
        Self::PublicKey,
        Self::Vulnerability,
        Self::Exposure,
        Self::Verdict,
    ];

    /// The wire name: `domain`, `autonomous-system`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Ip => "ip",
            Self::Netblock => "netblock",
            Self::AutonomousSystem => "autonomous-system",
            Self::Service => "service",
            Self::DnsRecord => "dns-record",
            Self::Url => "url",
            Self::Certificate => "certificate",
            Self::Software => "software",
            Self::TrackerId => "tracker-id",
            Self::Organization => "organization",
            Self::Person => "person",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Handle => "handle",
            Self::Account => "account",
            Self::Credential => "credential",
            Self::Breach => "breach",
            Self::Wallet => "wallet",
            Self::BankAccount => "bank-account",
            Self::PaymentCard => "payment-card",
            Self::Location => "location",
            Self::File => "file",
            Self::Text => "text",
            Self::StorageBucket => "storage-bucket",
            Self::CodeRepository => "code-repository",
            Self::MobileApp => "mobile-app",
            Self::Device => "device",
            Self::PublicKey => "public-key",
            Self::Vulnerability => "vulnerability",
            Self::Exposure => "exposure",
            Self::Verdict => "verdict",
        }
    }

    /// The one key of the thing that `text` names.
    pub fn normalise(self, text: &str) -> Result<String, KeyError> {
        bounded(text)?;
        let key = self.read(text)?;
        // Percent signs, A-labels and folding make a text longer.
        bounded(&key)?;
        if key.chars().any(characters::is_control) {
            return Err(KeyError::Form("a key has no control characters"));
        }
        Ok(key)
    }

    fn read(self, text: &str) -> Result<String, KeyError> {
        match self {
            Self::Domain => domain::normalise(text),
            Self::Ip => ip::normalise(text),
            Self::Netblock => netblock::normalise(text),
            Self::AutonomousSystem => autonomous_system::normalise(text),
            Self::Service => service::normalise(text),
            Self::DnsRecord => dns_record::normalise(text),
            Self::Url => url::normalise(text),
            Self::Certificate => certificate::normalise(text),
            Self::Software => software::normalise(text),
            Self::TrackerId => tracker_id::normalise(text),
            Self::Organization => organization::normalise(text),
            Self::Person => person::normalise(text),
            Self::Email => email::normalise(text),
            Self::Phone => phone::normalise(text),
            Self::Handle => handle::normalise(text),
            Self::Account => account::normalise(text),
            Self::Credential => credential::normalise(text),
            Self::Breach => breach::normalise(text),
            Self::Wallet => wallet::normalise(text),
            Self::BankAccount => bank_account::normalise(text),
            Self::PaymentCard => payment_card::normalise(text),
            Self::Location => location::normalise(text),
            Self::File => file::normalise(text),
            Self::Text => text::normalise(text),
            Self::StorageBucket => storage_bucket::normalise(text),
            Self::CodeRepository => code_repository::normalise(text),
            Self::MobileApp => mobile_app::normalise(text),
            Self::Device => device::normalise(text),
            Self::PublicKey => public_key::normalise(text),
            Self::Vulnerability => vulnerability::normalise(text),
            Self::Exposure => exposure::normalise(text),
            Self::Verdict => verdict::normalise(text),
        }
    }
}

fn bounded(text: &str) -> Result<(), KeyError> {
    match text.len() {
        0 => Err(KeyError::Empty),
        1..=KEY_BYTES_MAX => Ok(()),
        _ => Err(KeyError::TooLong { max: KEY_BYTES_MAX }),
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no kind is named `{0}`")]
pub struct UnknownKind(pub String);

impl FromStr for Kind {
    type Err = UnknownKind;
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let kind = Self::ALL.iter().find(|kind| kind.as_str() == text);
        kind.copied().ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// A thing in the world. The key is normalised: there is no other way to make one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entity {
    kind: Kind,
    key: Box<str>,
}

impl Entity {
    pub fn new(kind: Kind, text: &str) -> Result<Self, KeyError> {
        let key = kind.normalise(text)?.into_boxed_str();
        Ok(Self { kind, key })
    }

    /// An entity whose key was normalised before and comes back from the log.
    pub fn recorded(kind: Kind, key: &str) -> Self {
        Self {
            kind,
            key: key.into(),
        }
    }
    pub fn kind(&self) -> Kind {
        self.kind
    }
    pub fn key(&self) -> &str {
        &self.key
    }

    /// First 16 bytes of HMAC-SHA-256(id key, kind NUL key).
    pub fn id(&self, key: &IdKey) -> EntityId {
        let mut bytes = Vec::with_capacity(self.key.len() + 24);
        bytes.extend_from_slice(self.kind.as_str().as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(self.key.as_bytes());
        let mac = key.mac(&bytes);
        EntityId(mac.0[..16].try_into().expect("a digest has 32 bytes"))
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.key)
    }
}
