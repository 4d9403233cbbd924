//! The events of a user's stream.

use serde::{Deserialize, Serialize};

use crate::id::{IdentityId, SessionId};
use crate::sealed::Sealable;

crate::event::events! {
    Created = "user.created" v 1,
    PasswordSet = "user.password_set" v 1,
    TotpSet = "user.totp_set" v 1,
    TotpUsed = "user.totp_used" v 1,
    TotpRemoved = "user.totp_removed" v 1,
    SignedIn = "user.signed_in" v 1,
    IdentityLinked = "user.identity_linked" v 1,
    IdentityUnlinked = "user.identity_unlinked" v 1,
    Suspended = "user.suspended" v 1,
    Reinstated = "user.reinstated" v 1,
}

/// A user exists; without a password or another way to prove who it is, nobody enters by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Created {
    /// The sign-in name.
    pub name: Sealable<String>,
    /// Empty where none was given.
    pub email: Sealable<String>,
}

/// The password is another one; whoever was in by the old one is out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordSet {
    /// Algorithm, parameters, salt and hash, as a PHC string.
    pub phc: Sealable<String>,
}

/// From now on a one-time code is asked for beside the password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TotpSet {
    /// Base 32 without padding.
    pub secret: Sealable<String>,
}

/// The code of this step was used: neither it nor an earlier one opens anything again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TotpUsed {
    /// Number of the period since 1970 (RFC 6238).
    pub step: u64,
}

/// No one-time code is asked for any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TotpRemoved {}

/// The user proved who it is, and this session is its.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedIn {
    pub session: SessionId,
}

/// Whom this issuer calls by this subject is the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityLinked {
    pub identity: IdentityId,
    pub issuer: String,
    pub subject: Sealable<String>,
}

/// The identity is no way in any more; whoever was in is out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityUnlinked {
    pub identity: IdentityId,
}

/// The user is out, and may not enter, whatever is proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspended {}

/// The user may enter again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reinstated {}
