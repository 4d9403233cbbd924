//! The events of a workspace's subscriptions.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Filter;
use crate::id::{Position, SubscriptionId};
use crate::sealed::Sealable;

crate::event::events! {
    Created = "subscription.created" v 1,
    Changed = "subscription.changed" v 1,
    Paused = "subscription.paused" v 1,
    Resumed = "subscription.resumed" v 1,
    SecretRotated = "subscription.secret_rotated" v 1,
    Removed = "subscription.removed" v 1,
}

/// From now on whoever listens at the URL is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Created {
    pub subscription: SubscriptionId,
    pub name: Sealable<String>,
    /// Often a secret by itself: who knows it may speak there.
    pub url: Sealable<String>,
    pub filter: Filter,
    /// `whsec_` and base 64; what is sent is signed with it.
    pub secret: Sealable<String>,
    /// Where the log ended: what happened before is not told.
    pub after: Position,
}

/// Name, URL and filter are these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changed {
    pub subscription: SubscriptionId,
    pub name: Sealable<String>,
    pub url: Sealable<String>,
    pub filter: Filter,
}

/// Why nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Somebody wanted it so.
    Asked,
    /// The receiver said that it is gone for good (status 410).
    Gone,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Gone => "gone",
        }
    }
}

/// Nothing is sent until it is resumed; what happens meanwhile is sent then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paused {
    pub subscription: SubscriptionId,
    pub reason: Reason,
}

/// It goes on where it stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resumed {
    pub subscription: SubscriptionId,
}

/// It is signed with another secret, and for a while with the earlier one, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretRotated {
    pub subscription: SubscriptionId,
    pub secret: Sealable<String>,
    pub earlier_until: Timestamp,
}

/// There is no such subscription any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removed {
    pub subscription: SubscriptionId,
}
