//! Modules: the manifest that says what a module is, and the settings that it reads.

use serde::{Deserialize, Serialize};

use crate::entity::Kind;

/// How far a scan goes; each profile includes the ones before it.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Asks third parties and the resolver only.
    Passive,
    /// Also speaks politely to what the target publishes.
    #[default]
    Standard,
    /// Also scans ports, guesses names and sweeps; needs consent.
    Active,
}

impl Profile {
    pub const ALL: &'static [Self] = &[Self::Passive, Self::Standard, Self::Active];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passive => "passive",
            Self::Standard => "standard",
            Self::Active => "active",
        }
    }
}

/// What a module reads besides its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Runs once per entity.
    Network,
    /// Runs once per entity and evidence of the findings about it, without the network.
    Evidence,
}

/// Which entities a module may be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    InScope,
    /// Names outside the scope too: they may be resolved, and nothing else.
    AllNames,
}

/// A setting of a module. Its full key is `MODULE.KEY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    pub key: &'static str,
    pub help: &'static str,
    pub default: &'static str,
    /// Kept out of the log, of evidence and of every listing.
    pub is_secret: bool,
    /// Names a file or a server that the node trusts: for whoever runs the node to set, not for a request from afar.
    pub is_operators: bool,
}

/// What a module is: data, so that tests, docs and the frontier can read it.
#[derive(Debug, Clone, Copy)]
pub struct Manifest {
    /// The name of its file.
    pub name: &'static str,
    /// Recorded with every task; raise it when the module finds something else in the same answers.
    pub version: u32,
    /// At most 80 characters.
    pub summary: &'static str,
    pub consumes: &'static [Kind],
    /// Every kind that its findings name, those of its chains included.
    pub produces: &'static [Kind],
    /// The lowest profile in which it runs.
    pub profile: Profile,
    /// Takes what a scan was asked for, and nothing that it finds.
    pub seeds_only: bool,
    pub reads: Reads,
    pub reach: Reach,
    /// Requests per minute to its source, over all scans of the process; 0 where only the probe's limits hold.
    pub requests_per_minute_max: u32,
    /// Inputs of one task at most.
    pub batch_max: usize,
    /// Inputs of one task that are asked about at the same time.
    pub parallel: usize,
    /// Time that one input may take, in seconds.
    pub deadline_s: u64,
    pub settings: &'static [Setting],
}

/// Most inputs of one task.
pub const BATCH_MAX: usize = 64;

impl Manifest {
    /// The values of a quiet in-scope network module, to be named from.
    pub const DEFAULT: Self = Self {
        name: "",
        version: 1,
        summary: "",
        consumes: &[],
        produces: &[],
        profile: Profile::Passive,
        seeds_only: false,
        reads: Reads::Network,
        reach: Reach::InScope,
        requests_per_minute_max: 0,
        batch_max: BATCH_MAX,
        parallel: 16,
        deadline_s: 120,
        settings: &[],
    };

    /// Whether an entity of `kind` is an input.
    pub fn takes(&self, kind: Kind, is_in_scope: bool, is_seed: bool) -> bool {
        let reached = is_in_scope || (self.reach == Reach::AllNames && kind == Kind::Domain);
        reached && (is_seed || !self.seeds_only) && self.consumes.contains(&kind)
    }
}
