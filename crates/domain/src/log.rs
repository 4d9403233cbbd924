//! The log's own stream: what the log says about itself.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

crate::event::events! {
    /// Position 1 of every log.
    Created = "log.created" v 1,
}

/// The log began; its id tells two logs apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Created {
    pub log_id: Uuid,
}
