//! The events of a workspace's stream.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{Digest, KeyId, TeamId, UserId};
use crate::role::Role;
use crate::sealed::Sealable;

crate::event::events! {
    Created = "workspace.created" v 1,
    KeyIssued = "workspace.key_issued" v 1,
    KeyRevoked = "workspace.key_revoked" v 1,
    MemberSet = "workspace.member_set" v 1,
    MemberRemoved = "workspace.member_removed" v 1,
    TeamSet = "workspace.team_set" v 1,
    TeamRemoved = "workspace.team_removed" v 1,
}

/// A workspace began; its id key was made in the act of writing this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Created {
    pub name: Sealable<String>,
    /// Fingerprint of the id key: a missing or different key refuses all writes.
    pub fingerprint: Digest,
}

/// A key for programs was issued; its secret was shown once and is kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyIssued {
    pub key: KeyId,
    pub name: Sealable<String>,
    pub role: Role,
    /// SHA-256 of the secret: 32 random bytes, which no dictionary holds.
    pub secret: Digest,
    pub issued_at: Timestamp,
    /// `None`: until it is revoked.
    pub expires_at: Option<Timestamp>,
}

/// A key opens nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRevoked {
    pub key: KeyId,
}

/// A user may do what the role says, from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberSet {
    pub user: UserId,
    pub role: Role,
}

/// A user has no role of its own any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberRemoved {
    pub user: UserId,
}

/// The members of a team may do what the role says, from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeamSet {
    pub team: TeamId,
    pub role: Role,
}

/// A team has no role any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeamRemoved {
    pub team: TeamId,
}
