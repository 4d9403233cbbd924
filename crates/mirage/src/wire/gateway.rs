//! The gateway of a node: over the node's own log, evidence and leases, on its listener.

use std::net::SocketAddr;
use std::sync::Arc;

use mirage_api::error::Problem;
use mirage_api::gateway::{Allowed, Gateway, Parts};
use mirage_api::listener::{Files, Listener};
use mirage_api::{admit, rates};
use mirage_projections::Runner;
use mirage_workers::node::Node;
use tokio::net::TcpListener;

use super::oidc;
use crate::cli::Context;
use crate::cli::scan::{configured, parsed, private};
use crate::config::Config;
use crate::output::Failure;

impl Context {
    pub(crate) fn gateway(&self, node: &Node, runner: Arc<Runner>) -> Result<Gateway, Failure> {
        let gateway = Gateway::new(Parts {
            log: node.log.clone(),
            evidence: node.evidence.clone(),
            leases: node.leases.clone(),
            runner,
            keys: self.keys(),
            // What the configuration says about scans goes for those that are asked for from afar.
            allowed: Allowed {
                private: private(&self.config),
                settings: configured(&self.config),
            },
            now: node.now,
        });
        let gateway = gateway.with_admission(admission(&self.config));
        let address = self.config.get("serve.oidc_redirect");
        let gateway = gateway.with_address(address.map(str::to_owned));
        Ok(gateway.with_oidc(oidc::of(&self.config)?))
    }

    /// The node's listener, with TLS where a certificate is named.
    pub(crate) async fn listen(&self) -> Result<Listener, Failure> {
        let address = self.config.get("serve.listen").unwrap_or_default();
        let parsed: SocketAddr = address.parse().map_err(|_| {
            let problem = Problem::new("usage", format!("`{address}` is no ADDRESS:PORT"));
            problem.try_this("--listen 127.0.0.1:8640")
        })?;
        let taken = |error| {
            let problem = Problem::new("usage", format!("{address}: {error}"));
            problem.try_this("--listen with another port, or 0 for any that is free")
        };
        let files = files(&self.config)?;
        let bound = TcpListener::bind(parsed).await.map_err(taken)?;
        Ok(match files {
            None => Listener::plain(bound).map_err(taken)?,
            Some(files) => {
                let listener = Listener::tls(bound, files);
                listener.map_err(|error| Problem::new("bad_config", error))?
            }
        })
    }
}

fn admission(config: &Config) -> admit::Settings {
    let default = rates::Settings::default();
    let rate = |key, default| config.parsed(key).unwrap_or(default);
    admit::Settings {
        rates: rates::Settings {
            address: rate("serve.rate_address", default.address),
            caller: rate("serve.rate_caller", default.caller),
            workspace: rate("serve.rate_workspace", default.workspace),
        },
        proxies: parsed(&config.list("serve.proxies")),
    }
}

/// The files of TLS; a certificate and its key belong together.
fn files(config: &Config) -> Result<Option<Files>, Problem> {
    let path = |key| config.get(key).map(Into::into);
    let clients = path("serve.clients");
    match (path("serve.certificate"), path("serve.key")) {
        (Some(certificate), Some(key)) => Ok(Some(Files {
            certificate,
            key,
            clients,
        })),
        (None, None) if clients.is_none() => Ok(None),
        _ => {
            let detail =
                "serve.certificate and serve.key belong together, and serve.clients needs both";
            Err(Problem::new("bad_config", detail))
        }
    }
}
