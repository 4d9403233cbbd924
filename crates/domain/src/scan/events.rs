//! What happens to a scan.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::id::{Digest, ModuleName, ScanId};
use crate::module::Profile;
use crate::plan::Totals;
use crate::sealed::Sealable;

crate::event::events! {
    Requested = "scan.requested" v 2,
    Started = "scan.started" v 1,
    Paused = "scan.paused" v 1,
    Resumed = "scan.resumed" v 1,
    StopRequested = "scan.stop_requested" v 1,
    Finished = "scan.finished" v 1,
    Archived = "scan.archived" v 1,
    Unarchived = "scan.unarchived" v 1,
}

/// The seed list: evidence that begins with 16 random bytes, so that its hash tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seeds {
    pub list: Digest,
    pub count: u64,
}

/// Limits that cut; each is recorded where it cuts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Longest chain from a seed whose end is still asked about; a seed is at 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Seconds from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_s: Option<u64>,
}

/// How the consent to an active scan was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consent {
    /// Asked and answered on a terminal.
    Terminal,
    /// By `--yes`, or the field of a request.
    Flag,
}

/// A scan was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requested {
    pub name: Sealable<String>,
    pub seeds: Seeds,
    pub profile: Profile,
    /// The modules of this scan, by name.
    pub modules: BTreeSet<ModuleName>,
    /// Rules beside those that the seeds imply.
    pub scope: Sealable<Vec<String>>,
    pub limits: Limits,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
    /// Ranges that the egress policy allows although they are private.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_private: Vec<IpNet>,
    /// All settings without secrets: evidence.
    pub settings: Digest,
    pub origin: Origin,
}

/// What a scan works from. Written since version 2 of the request; version 1 had `rerun_of` alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Origin {
    /// The world, as it is now.
    Scan {
        /// The scan whose request this one repeats.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rerun_of: Option<ScanId>,
    },
    /// A file that another tool wrote, read by the one module of the scan: evidence.
    Import { file: Digest },
    /// What another scan saw and kept: nothing is asked of the world.
    Rederivation { of: ScanId },
}

impl Origin {
    /// A scan of its own.
    pub const NEW: Self = Self::Scan { rerun_of: None };

    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Scan { .. } => "scan",
            Self::Import { .. } => "import",
            Self::Rederivation { .. } => "rederivation",
        }
    }

    /// The scan that this one repeats or derives anew.
    pub fn of(&self) -> Option<&ScanId> {
        match self {
            Self::Scan { rerun_of } => rerun_of.as_ref(),
            Self::Import { .. } => None,
            Self::Rederivation { of } => Some(of),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Started {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paused {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resumed {
    /// Try the inputs again that failed before.
    pub failed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopRequested {}

/// Why a scan is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing was left to ask.
    Completed,
    /// A limit cut.
    Limited,
    /// Somebody stopped it.
    Stopped,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Limited => "limited",
            Self::Stopped => "stopped",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    pub outcome: Outcome,
    pub totals: Totals,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archived {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unarchived {}
