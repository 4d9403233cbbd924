//! A node: what one process needs to run scans, and the commands that people give to them.

mod again;
pub mod chosen;
mod commands;
mod embedded;
pub mod import;
mod running;
pub mod tenants;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use mirage_domain::id::{IdKey, WorkspaceId};
use mirage_log::EventLog;
use mirage_log::evidence::EvidenceStore;

pub use commands::{Caller, Commands, Error, ScanRequest};
pub use embedded::{OpenError, Parts, Place, now};
pub use import::{Import, Looked};
pub use running::Running;

use crate::leases::Leases;
use crate::probe::live::Live;

/// See the module's doc.
pub struct Node {
    pub workspace: WorkspaceId,
    pub log: Arc<dyn EventLog>,
    pub evidence: Arc<dyn EvidenceStore>,
    /// The workspace's id key.
    pub key: IdKey,
    pub commands: Arc<Commands>,
    pub live: Arc<Live>,
    pub leases: Arc<dyn Leases>,
    /// Names this process in leases and claims.
    pub holder: String,
    /// What it has in hand just now.
    pub running: Arc<Running>,
    /// Module settings that are secrets, by `MODULE.KEY`.
    pub secrets: BTreeMap<String, String>,
    pub now: fn() -> Timestamp,
}
