//! Lets the other nodes of a cluster see this one: what it is, and what it does just now.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::FutureExt;
use jiff::Timestamp;
use mirage_log::jetstream::{Announced, Announcement, Load, Look};
use mirage_projections::Runner;
use mirage_workers::node::Node;
use mirage_workers::orchestrate::SCANS_MAX;

use super::Cluster;
use crate::cli::Context;

impl Context {
    /// Answers until it is dropped. A node that cannot be seen works all the same.
    pub(crate) async fn announce(
        &self,
        cluster: &Cluster,
        node: &Arc<Node>,
        roles: &[&str],
        listen: SocketAddr,
        runner: Option<Arc<Runner>>,
    ) -> Option<Announced> {
        let said = Announcement {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            workspace: node.workspace.to_string(),
            listen: listen.to_string(),
            holder: node.holder.clone(),
            started_at: Timestamp::now(),
        };
        let limit = |role, max| if roles.contains(&role) { max } else { 0 };
        let limits = Load {
            tasks_max: limit("collect", self.config.parsed("serve.tasks").unwrap_or(1)),
            scans_max: limit("orchestrate", SCANS_MAX as u64),
            ..Load::default()
        };
        match cluster
            .log
            .announce(said, look(node.clone(), runner, limits))
            .await
        {
            Ok(announced) => Some(announced),
            Err(error) => {
                let line = format_args!("`mirage nodes` will not list this node: {error}");
                self.output.say(line);
                None
            }
        }
    }
}

fn look(node: Arc<Node>, runner: Option<Arc<Runner>>, limits: Load) -> Look {
    Box::new(move || {
        let (node, runner) = (node.clone(), runner.clone());
        let now = async move {
            Load {
                tasks: node.running.tasks.now(),
                scans: node.running.scans.now(),
                lag: lag(runner.as_deref()).await,
                ..limits
            }
        };
        now.boxed()
    })
}

/// Of the view that is most behind.
async fn lag(runner: Option<&Runner>) -> Option<u64> {
    let looked = runner?.inspect(Timestamp::now()).await;
    let lags = looked
        .into_iter()
        .filter_map(|(_, view)| Some(view.ok()?.lag));
    lags.max()
}
