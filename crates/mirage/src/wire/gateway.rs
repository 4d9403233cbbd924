//! The gateway of a node: over the node's own log, evidence and leases.

use std::sync::Arc;

use mirage_api::gateway::{Allowed, Gateway, Parts};
use mirage_projections::Runner;
use mirage_workers::node::{Node, Place};

use crate::cli::Context;
use crate::cli::scan::{configured, private};

impl Context {
    pub(crate) fn gateway(&self, node: &Node, runner: Arc<Runner>) -> Gateway {
        Gateway::new(Parts {
            log: node.log.clone(),
            evidence: node.evidence.clone(),
            leases: node.leases.clone(),
            runner,
            keys: Place(self.data.dir.clone()).keys(),
            // What the configuration says about scans goes for those that are asked for from afar.
            allowed: Allowed {
                private: private(&self.config),
                settings: configured(&self.config),
            },
            now: node.now,
        })
    }
}
