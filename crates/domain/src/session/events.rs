//! The events of a session's stream.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{Digest, UserId, WorkspaceId};

crate::event::events! {
    Opened = "session.opened" v 1,
    Refreshed = "session.refreshed" v 1,
    Revoked = "session.revoked" v 1,
}

/// By what somebody proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    Password,
    /// A password and a one-time code.
    PasswordAndTotp,
    /// Somebody who was in allowed another device.
    Device,
    /// An issuer of OpenID Connect said who it is.
    Oidc,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::PasswordAndTotp => "password-and-totp",
            Self::Device => "device",
            Self::Oidc => "oidc",
        }
    }
}

/// Why a session ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    SignedOut,
    /// A refresh token was used a second time.
    Reused,
    /// Somebody ended it from outside.
    Revoked,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignedOut => "signed-out",
            Self::Reused => "reused",
            Self::Revoked => "revoked",
        }
    }
}

/// Somebody signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    pub user: UserId,
    /// The one workspace that its access tokens open.
    pub workspace: WorkspaceId,
    pub method: Method,
    /// SHA-256 of the refresh token: 32 random bytes, which no dictionary holds.
    pub refresh: Digest,
    /// No refresh goes beyond it.
    pub expires_at: Timestamp,
}

/// The good refresh token was used up and another one given out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refreshed {
    pub refresh: Digest,
}

/// The session is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    pub reason: Reason,
}
