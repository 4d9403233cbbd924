//! What the configuration file of a NATS server says.

use std::path::{Path, PathBuf};

use super::Operator;
use crate::Identity;

/// How the servers are configured; the default is what the log demands.
#[derive(Clone, Debug)]
pub struct NatsOptions {
    /// `sync_interval: always`; without it a power cut loses what was acknowledged.
    pub sync_always: bool,
    pub jetstream: bool,
    /// Of JetStream on each node, in bytes.
    pub store_bytes_max: u64,
    /// Appended to each node's configuration: users, TLS, limits.
    pub extra: String,
    /// Whose signature its monitoring shows, which then is https.
    pub monitor_authority: Option<PathBuf>,
}

impl Default for NatsOptions {
    fn default() -> Self {
        Self {
            sync_always: true,
            jetstream: true,
            store_bytes_max: 16 << 30,
            extra: String::new(),
            monitor_authority: None,
        }
    }
}

impl NatsOptions {
    /// Takes this user and password alone.
    pub fn with_password(self, user: &str, password: &str) -> Self {
        self.with(&format!(
            "authorization {{ user: \"{user}\", password: \"{password}\" }}"
        ))
    }

    /// Takes this token alone.
    pub fn with_token(self, token: &str) -> Self {
        self.with(&format!("authorization {{ token: \"{token}\" }}"))
    }

    /// Takes whoever signs with the nkey of this public part.
    pub fn with_nkey(self, public: &str) -> Self {
        self.with(&format!(
            "authorization {{ users: [ {{ nkey: {public} }} ] }}"
        ))
    }

    /// Takes users of this operator's account.
    pub fn with_operator(self, operator: &Operator) -> Self {
        self.with(&operator.configuration)
    }

    /// Speaks TLS alone; with `clients`, a file of authorities, only to who shows a certificate of theirs.
    pub fn with_tls(self, own: &Identity, clients: Option<&Path>) -> Self {
        let verify = clients.map(|file| format!(", ca_file: {file:?}, verify: true"));
        self.with(&format!(
            "tls {{ cert_file: {:?}, key_file: {:?}{} }}",
            own.certificate,
            own.key,
            verify.unwrap_or_default()
        ))
    }

    /// After [`Self::with_tls`], with a certificate that the authority of this file signed: the monitoring shows it, too.
    pub fn with_tls_monitor(mut self, authority: &Path) -> Self {
        self.monitor_authority = Some(authority.to_owned());
        self
    }

    fn with(mut self, lines: &str) -> Self {
        self.extra.push_str(lines);
        self.extra.push('\n');
        self
    }
}

pub(super) fn node(name: &str, client: u16, monitor: u16, options: &NatsOptions) -> String {
    let NatsOptions {
        sync_always,
        jetstream,
        store_bytes_max,
        ..
    } = options;
    let sync = if *sync_always {
        "sync_interval: always"
    } else {
        ""
    };
    let jetstream = if *jetstream {
        // Reading of the folder is relative to where the server runs: its own.
        format!(
            "jetstream {{ store_dir: \"store\", max_mem: 64MB, max_file_store: {store_bytes_max}, {sync} }}\n"
        )
    } else {
        String::new()
    };
    let http = match options.monitor_authority {
        Some(_) => "https",
        None => "http",
    };
    format!(
        "server_name: \"{name}\"\nlisten: \"127.0.0.1:{client}\"\n{http}: \"127.0.0.1:{monitor}\"\n{jetstream}"
    )
}

pub(super) fn cluster(routes: &[u16], own: u16) -> String {
    let others = routes.iter().filter(|port| **port != own);
    let others: Vec<String> = others
        .map(|port| format!("\"nats-route://127.0.0.1:{port}\""))
        .collect();
    let others = others.join(", ");
    format!("cluster {{ name: mirage, listen: \"127.0.0.1:{own}\", routes: [{others}] }}\n")
}
