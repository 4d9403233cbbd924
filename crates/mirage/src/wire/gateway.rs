//! The gateway of a node: over the node's own log, evidence and leases.

use std::str::FromStr;
use std::sync::Arc;

use mirage_api::gateway::{Allowed, Gateway, Parts};
use mirage_projections::Runner;
use mirage_workers::node::{Node, Place};
use mirage_workers::settings::ScanSettings;

use crate::cli::Context;
use crate::cli::scan::configured;

impl Context {
    pub(crate) fn gateway(&self, node: &Node, runner: Arc<Runner>) -> Gateway {
        Gateway::new(Parts {
            log: node.log.clone(),
            evidence: node.evidence.clone(),
            leases: node.leases.clone(),
            runner,
            keys: Place(self.data.dir.clone()).keys(),
            allowed: self.allowed(),
            now: node.now,
        })
    }

    /// What the configuration says about scans that are asked for from afar.
    fn allowed(&self) -> Allowed {
        let config = &self.config;
        Allowed {
            private: parsed(&config.list("scan.allow_private")),
            settings: ScanSettings {
                resolvers: parsed(&config.list("scan.resolver")),
                user_agent: config.get("scan.user_agent").map(str::to_owned),
                proxy: config.get("scan.proxy").map(str::to_owned),
                rate_per_host: config.parsed("scan.rate"),
                modules: configured(config),
            },
        }
    }
}

/// List items that the configuration checked.
fn parsed<T: FromStr>(items: &[&str]) -> Vec<T> {
    items.iter().filter_map(|item| item.parse().ok()).collect()
}
