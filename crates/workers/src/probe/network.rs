//! The network as one scan has it: the world, or what another scan saw of it.

use std::sync::Arc;

use mirage_domain::module::Manifest;

use super::Probe;
use super::live::{ScanProbe, TaskProbe};
use super::replay::Replay;
use super::store_failures::StoreFailures;

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
    Stored(Arc<Replay>, Arc<StoreFailures>),
}

impl Network {
    pub fn task(&self, manifest: &'static Manifest) -> TaskNetwork {
        match self {
            Self::Live(probe) => TaskNetwork::Live(Box::new(probe.task(manifest))),
            Self::Stored(replay) => TaskNetwork::Stored(replay.clone(), Arc::default()),
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
            Self::Stored(replay, _) => &**replay,
        }
    }

    /// Requests made and bytes received for this task.
    pub fn cost(&self) -> (u64, u64) {
        match self {
            Self::Live(probe) => probe.cost(),
            Self::Stored(..) => (0, 0),
        }
    }

    /// Where failures of the evidence store are noted.
    pub fn store_failures(&self) -> &Arc<StoreFailures> {
        match self {
            Self::Live(probe) => probe.store_failures(),
            Self::Stored(_, failures) => failures,
        }
    }

    /// What the egress policy refused: rule and detail.
    pub fn refusals(&self) -> Vec<(String, String)> {
        match self {
            Self::Live(probe) => probe.refusals(),
            Self::Stored(..) => Vec::new(),
        }
    }
}
