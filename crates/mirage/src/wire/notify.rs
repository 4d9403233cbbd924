//! What tells the subscribers: over the node's way to the network, where the configuration lets it.

use std::net::SocketAddr;
use std::sync::Arc;

use mirage_workers::node::Node;
use mirage_workers::notify::Webhook;
use mirage_workers::notify::clock::SystemClock;
use mirage_workers::probe::live::Courier;

use crate::cli::Context;

impl Context {
    pub(crate) fn webhook(&self, node: &Node) -> Webhook {
        // The configuration was held against their forms.
        let resolvers = self.config.list("notify.resolver");
        let resolvers = resolvers.iter().filter_map(|text| text.parse().ok());
        let resolvers: Vec<SocketAddr> = resolvers.collect();
        let private = self.config.list("notify.allow_private");
        let private = private.iter().filter_map(|text| text.parse().ok());
        let workspace = node.workspace.clone();
        let courier = Courier::new(node.live.clone(), workspace, resolvers, private.collect());
        Webhook {
            courier,
            clock: Arc::new(SystemClock),
        }
    }
}
