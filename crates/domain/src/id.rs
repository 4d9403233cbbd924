//! Ids, names and numbers that events carry: each a newtype, checked where it is made.
//!
//! **Invariant:** an id is `[A-Za-z0-9_-]{1,64}`, so it is safe as a NATS subject token, a file name and a URL segment.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Longest id, in bytes.
pub const ID_BYTES_MAX: usize = 64;

/// Why a text is not an id of the wanted form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("an id has 1 to 64 characters of A-Z a-z 0-9 _ -")]
    Form,
    #[error("a stream id has four parts: workspace/scan/category/id")]
    Parts,
    #[error("a digest has {expected} lower-case hexadecimal digits")]
    Hex { expected: usize },
    #[error("a cursor reads POSITION or POSITION.INDEX")]
    Cursor,
}

fn checked(text: &str) -> Result<&str, IdError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    match text.len() {
        1..=ID_BYTES_MAX if text.bytes().all(legal) => Ok(text),
        _ => Err(IdError::Form),
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            pub fn new(text: &str) -> Result<Self, IdError> {
                checked(text).map(|text| Self(text.into()))
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(&text)
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// The tenant that everything belongs to.
    WorkspaceId
}
text_id! {
    /// A scan: `scn_` and 26 characters of base 32.
    ScanId
}
text_id! {
    /// A task: `tsk_` and 26 characters, the first 7 its place in the plan.
    TaskId
}
text_id! {
    /// The name of a module, which is the name of its file.
    ModuleName
}
text_id! {
    /// A key for programs: `key_` and 26 characters of base 32, random.
    KeyId
}
text_id! {
    /// A user: `usr_` and 26 characters of base 32.
    UserId
}
text_id! {
    /// A team: `tea_` and 26 characters of base 32.
    TeamId
}
text_id! {
    /// Somebody as an issuer of OpenID Connect knows them: `idn_` and 26 characters of base 32.
    IdentityId
}
text_id! {
    /// A session: `ses_` and 26 characters of base 32, random.
    SessionId
}
text_id! {
    /// A subscription: `sub_` and 26 characters of base 32.
    SubscriptionId
}
text_id! {
    /// One of the four parts of a stream's id.
    Token
}

impl WorkspaceId {
    /// The reserved workspace of users, workspaces and flags.
    pub fn system() -> Self {
        Self("system".into())
    }
}

impl ScanId {
    /// The scan that a creating command makes; the same workspace, actor and key name the same scan.
    pub fn derive(workspace: &WorkspaceId, actor: &str, key: &str) -> Self {
        Self(prefixed(
            "scn_",
            &[
                workspace.as_str().as_bytes(),
                actor.as_bytes(),
                key.as_bytes(),
            ],
        ))
    }
}

impl UserId {
    /// The user of a sign-in name, normalised by the caller; `key` is the id key of the workspace `system`.
    /// So a name is taken once, is found without a search, and cannot be guessed from the id.
    pub fn derive(key: &IdKey, name: &str) -> Self {
        let mac = key.mac(format!("user\0{name}").as_bytes());
        Self(prefixed("usr_", &[&mac.0]))
    }
}

impl IdentityId {
    /// Whom an issuer calls by this subject; `key` is the id key of the workspace `system`. Neither part can be guessed
    /// from the id, and no issuer names another's subject: an address holds no NUL.
    pub fn derive(key: &IdKey, issuer: &str, subject: &str) -> Self {
        let mac = key.mac(format!("identity\0{issuer}\0{subject}").as_bytes());
        Self(prefixed("idn_", &[&mac.0]))
    }
}

impl TeamId {
    /// The team that a creating command makes; the same workspace, actor and key name the same team.
    pub fn derive(workspace: &WorkspaceId, actor: &str, key: &str) -> Self {
        let parts = [workspace.as_str(), actor, key].map(str::as_bytes);
        Self(prefixed("tea_", &parts))
    }
}

impl SubscriptionId {
    /// The subscription that a creating command makes; the same workspace, actor and key name the same one.
    pub fn derive(workspace: &WorkspaceId, actor: &str, key: &str) -> Self {
        let parts = [workspace.as_str(), actor, key].map(str::as_bytes);
        Self(prefixed("sub_", &parts))
    }
}

impl SessionId {
    /// A session of the caller's random bytes.
    pub fn random(bytes: [u8; 16]) -> Self {
        Self(prefixed("ses_", &[&bytes]))
    }
}

impl TaskId {
    /// The `ordinal`-th task that a scan's plan schedules, from 1: the ordinal in 7 sortable digits, then a hash.
    /// So the streams of a scan's tasks stand side by side in an index, in the order in which they begin.
    pub fn derive(scan: &ScanId, ordinal: u64) -> Self {
        let bytes = ordinal.to_be_bytes();
        let digits = data_encoding::BASE32HEX_NOPAD
            .encode(&bytes[3..])
            .to_ascii_lowercase();
        let hash = prefixed("", &[scan.as_str().as_bytes(), &bytes]);
        Self(format!("tsk_{}{}", &digits[1..], &hash[..19]).into())
    }
}

/// Hashes parts that cannot run into one another: each is preceded by its length.
fn hash_parts(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn prefixed(prefix: &str, parts: &[&[u8]]) -> Box<str> {
    let text = data_encoding::BASE32_NOPAD
        .encode(&hash_parts(parts)[..16])
        .to_ascii_lowercase();
    format!("{prefix}{text}").into()
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            pub const BYTES: usize = $bytes;
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0u8; $bytes * 2];
                HEXLOWER.encode_mut(&self.0, &mut text);
                f.write_str(std::str::from_utf8(&text).expect("hexadecimal digits are ASCII"))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let wrong = IdError::Hex { expected: $bytes * 2 };
                let mut bytes = [0u8; $bytes];
                if text.len() != $bytes * 2 {
                    return Err(wrong);
                }
                match HEXLOWER.decode_mut(text.as_bytes(), &mut bytes) {
                    Ok(_) => Ok(Self(bytes)),
                    Err(_) => Err(wrong),
                }
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "{} hexadecimal digits", $bytes * 2)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }
    };
}

hex_id! {
    /// A SHA-256: of a commit, of evidence, of settings, or of the log up to a position.
    Digest, 32
}
hex_id! {
    /// An entity's id: a keyed hash of its kind and key, equal across the scans of a workspace.
    EntityId, 16
}
hex_id! {
    /// A finding's id: the same claim has the same id, however often and in whatever order it is made.
    FindingId, 16
}

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The log hash after commit `position`: `SHA-256(previous ‖ position ‖ commit)`, the position as 8 bytes big-endian.
    /// Before the first commit the previous one is 32 zero bytes.
    pub fn chain(previous: Self, position: Position, commit: Self) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(previous.0);
        hasher.update(position.0.to_be_bytes());
        hasher.update(commit.0);
        Self(hasher.finalize().into())
    }

    /// The log hash of the empty log.
    pub const EMPTY: Self = Self([0; 32]);
}

/// The secret under which a workspace's entity ids and request digests are made: 32 random bytes.
#[derive(Clone)]
pub struct IdKey([u8; 32]);

impl IdKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What may be written about the key: it tells two keys apart and nothing else.
    pub fn fingerprint(&self) -> Digest {
        Digest(hash_parts(&[b"mirage id key", &self.0]))
    }

    /// HMAC-SHA-256 of `bytes` under this key.
    pub fn mac(&self, bytes: &[u8]) -> Digest {
        let mut mac =
            <Hmac<Sha256>>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(bytes);
        Digest(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdKey({}…)", &self.fingerprint().to_string()[..8])
    }
}

/// A commit's number in the whole log: 1, 2, 3 … without gaps; 0 is before the first.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The number of an event inside its stream, from 1; 0 is before the first.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Version(pub u64);

/// Where a consumer is: a commit and the index of an event in it, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor {
    pub position: Position,
    pub index: u32,
}

impl Cursor {
    /// Bits of the index in the packed form; a commit of at most 256 KB holds fewer events than that.
    const INDEX_BITS: u32 = 16;

    /// A bare position: after the last event of that commit.
    pub fn after(position: Position) -> Self {
        Self {
            position,
            index: (1 << Self::INDEX_BITS) - 1,
        }
    }

    /// One integer that sorts as the cursor does; it fits a signed 64-bit column.
    pub fn packed(self) -> i64 {
        ((self.position.0 as i64) << Self::INDEX_BITS) | i64::from(self.index)
    }
    pub fn unpacked(packed: i64) -> Self {
        let index = (packed & ((1 << Self::INDEX_BITS) - 1)) as u32;
        Self {
            position: Position((packed >> Self::INDEX_BITS) as u64),
            index,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.position, self.index)
    }
}

impl TryFrom<String> for Cursor {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}

impl FromStr for Cursor {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let number = |text: &str| text.parse::<u64>().map_err(|_| IdError::Cursor);
        match text.split_once('.') {
            None => Ok(Self::after(Position(number(text)?))),
            Some((position, index)) => {
                let index = u32::try_from(number(index)?).map_err(|_| IdError::Cursor)?;
                Ok(Self {
                    position: Position(number(position)?),
                    index,
                })
            }
        }
    }
}

/// A stream's id: workspace, scan (or `_`), category, id; written with slashes between.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamId {
    pub workspace: WorkspaceId,
    pub scan: Option<ScanId>,
    pub category: Token,
    pub id: Token,
}

impl StreamId {
    fn new(workspace: WorkspaceId, scan: Option<ScanId>, category: &'static str, id: &str) -> Self {
        let token = |text: &str| Token::new(text).expect("built from ids, which are tokens");
        Self {
            workspace,
            scan,
            category: token(category),
            id: token(id),
        }
    }

    /// The one stream whose first commit begins the log.
    pub fn log() -> Self {
        Self::new(WorkspaceId::system(), None, "log", "log")
    }
    pub fn workspace(workspace: &WorkspaceId) -> Self {
        Self::new(WorkspaceId::system(), None, "workspace", workspace.as_str())
    }
    pub fn user(user: &UserId) -> Self {
        Self::new(WorkspaceId::system(), None, "user", user.as_str())
    }
    pub fn identity(identity: &IdentityId) -> Self {
        Self::new(WorkspaceId::system(), None, "identity", identity.as_str())
    }
    pub fn team(team: &TeamId) -> Self {
        Self::new(WorkspaceId::system(), None, "team", team.as_str())
    }
    pub fn session(session: &SessionId) -> Self {
        Self::new(WorkspaceId::system(), None, "session", session.as_str())
    }
    /// What one gateway writes down about requests within a workspace.
    pub fn audit(workspace: &WorkspaceId, writer: &Token) -> Self {
        Self::new(workspace.clone(), None, "audit", writer.as_str())
    }
    pub fn scan(workspace: &WorkspaceId, scan: &ScanId) -> Self {
        Self::new(workspace.clone(), Some(scan.clone()), "scan", scan.as_str())
    }
    pub fn plan(workspace: &WorkspaceId, scan: &ScanId) -> Self {
        Self::new(workspace.clone(), Some(scan.clone()), "plan", scan.as_str())
    }
    pub fn task(workspace: &WorkspaceId, scan: &ScanId, task: &TaskId) -> Self {
        Self::new(workspace.clone(), Some(scan.clone()), "task", task.as_str())
    }
    /// All subscriptions of a workspace.
    pub fn subscriptions(workspace: &WorkspaceId) -> Self {
        Self::new(workspace.clone(), None, "subscription", workspace.as_str())
    }
    /// What came of the deliveries of one of them.
    pub fn delivery(workspace: &WorkspaceId, subscription: &SubscriptionId) -> Self {
        Self::new(workspace.clone(), None, "delivery", subscription.as_str())
    }
    pub fn mark(workspace: &WorkspaceId, scan: &ScanId, finding: FindingId) -> Self {
        Self::new(
            workspace.clone(),
            Some(scan.clone()),
            "mark",
            &finding.to_string(),
        )
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scan = self.scan.as_ref().map_or("_", ScanId::as_str);
        write!(f, "{}/{scan}/{}/{}", self.workspace, self.category, self.id)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for StreamId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut parts = text.split('/');
        let mut next = || parts.next().ok_or(IdError::Parts);
        let (workspace, scan, category, id) = (next()?, next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(IdError::Parts);
        }
        let scan = match scan {
            "_" => None,
            scan => Some(ScanId::new(scan)?),
        };
        let (category, id) = (Token::new(category)?, Token::new(id)?);
        Ok(Self {
            workspace: WorkspaceId::new(workspace)?,
            scan,
            category,
            id,
        })
    }
}

impl TryFrom<String> for StreamId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<StreamId> for String {
    fn from(id: StreamId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_with_a_character_of_routing_is_refused() {
        for text in [
            "",
            "a.b",
            "a*",
            "a>",
            "a b",
            "a\r\n",
            "a/b",
            &"x".repeat(65),
        ] {
            assert_eq!(WorkspaceId::new(text), Err(IdError::Form), "{text:?}");
        }
    }

    #[test]
    fn a_stream_id_reads_back_as_it_was_written() {
        let workspace = WorkspaceId::new("default").unwrap();
        let scan = ScanId::derive(&workspace, "user", "key");
        for id in [StreamId::log(), StreamId::plan(&workspace, &scan)] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert_eq!("a/b/c".parse::<StreamId>(), Err(IdError::Parts));
        assert_eq!("a/b/c/d/e".parse::<StreamId>(), Err(IdError::Parts));
    }

    #[test]
    fn the_log_hash_covers_previous_position_and_commit() {
        let commit = Digest::of(b"commit");
        let first = Digest::chain(Digest::EMPTY, Position(1), commit);
        assert_ne!(first, Digest::chain(Digest::EMPTY, Position(2), commit));
        assert_ne!(first, Digest::chain(first, Position(1), commit));
        assert_ne!(
            first,
            Digest::chain(Digest::EMPTY, Position(1), Digest::of(b"other"))
        );
    }

    #[test]
    fn task_ids_sort_as_their_ordinals() {
        let scan = ScanId::new("scn_a").unwrap();
        let ids: Vec<TaskId> = [1, 2, 31, 32, 1_000, 1 << 20, 1 << 34]
            .map(|ordinal| TaskId::derive(&scan, ordinal))
            .into();
        assert!(ids.is_sorted(), "{ids:?}");
        assert!(ids.iter().all(|id| id.as_str().len() == 30));
        let other = ScanId::new("scn_b").unwrap();
        assert_ne!(TaskId::derive(&scan, 1), TaskId::derive(&other, 1));
    }

    #[test]
    fn packed_cursors_sort_as_cursors() {
        let earlier = Cursor {
            position: Position(7),
            index: 2,
        };
        let later = Cursor {
            position: Position(8),
            index: 1,
        };
        assert!(earlier.packed() < later.packed());
        assert!(later < Cursor::after(Position(8)));
        assert_eq!(Cursor::unpacked(earlier.packed()), earlier);
        assert_eq!("7.2".parse(), Ok(earlier));
    }
}
