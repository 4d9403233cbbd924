//! The network as one scan has it: the world, or what another scan saw of it.

use std::sync::Arc;

use mirage_domain::module::Manifest;

use super::Probe;
use super::live::{ScanProbe, TaskProbe};
use super::replay::Replay;

/// Where a scan's modules look.
#[derive(Clone)]
pub enum Network {
    Live(Arc<ScanProbe>),
    /// Stored exchanges: nothing is sent, and nothing costs.
    Stored(Arc<Replay>),
}

/// The network as one task has it.
pub enum TaskNetwork {
    Live(Box<TaskProbe>),
    Stored(Arc<Replay>),
}

impl Network {
    pub fn task(&self, manifest: &'static Manifest) -> TaskNetwork {
        match self {
            Self::Live(probe) => TaskNetwork::Live(Box::new(probe.task(manifest))),
            Self::Stored(replay) => TaskNetwork::Stored(replay.clone()),
        }
    }

    /// Counts what earlier processes have spent of the scan's budget.
    pub(crate) fn spent_before(&self, requests: u64) {
        if let Self::Live(probe) = self {
            probe.spent_before(requests);
        }
    }
}

impl TaskNetwork {
    pub fn probe(&self) -> &dyn Probe {
        match self {
            Self::Live(probe) => &**probe,
            Self::Stored(replay) => &**replay,
        }
    }

    /// Requests made and bytes received for this task.
    pub fn cost(&self) -> (u64, u64) {
        match self {
            Self::Live(probe) => probe.cost(),
            Self::Stored(_) => (0, 0),
        }
    }

    /// What the egress policy refused: rule and detail.
    pub fn refusals(&self) -> Vec<(String, String)> {
        match self {
            Self::Live(probe) => probe.refusals(),
            Self::Stored(_) => Vec::new(),
        }
    }
}
