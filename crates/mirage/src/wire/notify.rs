//! What tells the subscribers: over the node's way to the network, where the configuration lets it.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use mirage_workers::node::Node;
use mirage_workers::notify::Webhook;
use mirage_workers::notify::clock::SystemClock;
use mirage_workers::probe::live::Courier;

use crate::cli::Context;
use crate::cli::scan::parsed;

/// What the configuration says about deliveries.
pub(crate) struct Webhooks {
    resolvers: Vec<SocketAddr>,
    private: Vec<IpNet>,
}

impl Context {
    pub(crate) fn webhooks(&self) -> Webhooks {
        Webhooks {
            resolvers: parsed(&self.config.list("notify.resolver")),
            private: parsed(&self.config.list("notify.allow_private")),
        }
    }
}

impl Webhooks {
    /// For the subscriptions of a node's workspace.
    pub(crate) fn of(&self, node: &Node) -> Webhook {
        let (resolvers, private) = (self.resolvers.clone(), self.private.clone());
        let workspace = node.workspace.clone();
        Webhook {
            courier: Courier::new(node.live.clone(), workspace, resolvers, private),
            clock: Arc::new(SystemClock),
        }
    }
}
