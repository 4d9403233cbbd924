//! Audit: what was refused, and what was read that few may read. What changed, the log itself says.
//!
//! Each gateway writes a stream of its own in the workspace of whoever asked, each record under that one as its actor;
//! what nobody known asked for lies in the workspace `system`.

use serde::{Deserialize, Serialize};

use crate::role::Role;
use crate::sealed::Sealable;

crate::event::events! {
    Refused = "audit.refused" v 1,
    /// Somebody was let in to something that not every reader may see.
    Read = "audit.read" v 1,
}

/// A request that was refused for who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// Id of the operation in the description of the interface.
    pub operation: String,
    /// The public code of the refusal.
    pub code: String,
    /// Of whoever asked; none for somebody unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The address that the request came from.
    pub from: Sealable<String>,
    /// Requests like this one that it stands for: a flood is counted, not written down one by one.
    pub count: u64,
}

/// A read of what only some roles may see, written before it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// Id of the operation in the description of the interface.
    pub operation: String,
    pub role: Role,
    /// The address that the request came from.
    pub from: Sealable<String>,
    /// What was asked for: path and query.
    pub subject: Sealable<String>,
}
