//! What the process and what one scan allow themselves on the network.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use mirage_domain::id::WorkspaceId;

use crate::probe::proxy::Proxy;

/// What the process allows itself.
#[derive(Debug, Clone)]
pub struct LiveConfig {
    /// Connections at work over all scans.
    pub concurrency: usize,
    /// Connections besides that wait for a server that keeps silent.
    /// Together they stay below the 1024 open files that most systems allow a process.
    pub waiting: usize,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            concurrency: 384,
            waiting: 384,
        }
    }
}

/// How long each phase of an exchange may take.
#[derive(Debug, Clone)]
pub struct Timeouts {
    pub connect: Duration,
    pub tls: Duration,
    pub first_byte: Duration,
    pub between_chunks: Duration,
    /// One exchange, from its place to the end of its body.
    pub total: Duration,
    /// One try of a DNS query; there are three.
    pub dns: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            tls: Duration::from_secs(5),
            first_byte: Duration::from_secs(8),
            between_chunks: Duration::from_secs(10),
            total: Duration::from_secs(20),
            dns: Duration::from_secs(2),
        }
    }
}

/// What one scan allows itself.
#[derive(Clone)]
pub struct Policy {
    pub workspace: WorkspaceId,
    /// Empty: those of the system.
    pub resolvers: Vec<SocketAddr>,
    /// Exceptions from the egress policy.
    pub allow_private: Vec<IpNet>,
    /// For HTTP, TLS and TCP; DNS asks the resolvers. Its doc says what the egress policy can judge then.
    pub proxy: Option<Proxy>,
    pub user_agent: String,
    /// Requests of the whole scan; `None`: no limit.
    pub requests_max: Option<u64>,
    /// Requests of the scan that earlier processes made.
    pub requests_used: u64,
    /// Requests per second to one address; 0: no limit.
    pub rate_per_host: u32,
    /// Connections to one address at a time.
    pub concurrency_per_host: usize,
    pub timeouts: Timeouts,
    /// Values of `{secret:NAME}`, filled in on the wire only.
    pub secrets: BTreeMap<String, String>,
}

impl Policy {
    /// The defaults, for a workspace.
    pub fn new(workspace: WorkspaceId) -> Self {
        Self {
            workspace,
            resolvers: Vec::new(),
            allow_private: Vec::new(),
            proxy: None,
            user_agent: concat!("mirage/", env!("CARGO_PKG_VERSION")).to_owned(),
            requests_max: None,
            requests_used: 0,
            rate_per_host: 50,
            concurrency_per_host: 4,
            timeouts: Timeouts::default(),
            secrets: BTreeMap::new(),
        }
    }
}
