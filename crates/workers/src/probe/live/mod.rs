//! The live probe: one per process, and a view of it per scan and per task.
//!
//! [`Live`] owns sockets, TLS settings and the pace of each source; [`ScanProbe`] one scan's policy, budget and cache;
//! [`TaskProbe`] is what a collector gets: it counts what its task costs and collects what the policy refused.
//!
//! **Invariant:** whatever is sent was charged first: to the scan's budget, to the source's pace, to the task's cost.

mod cache;
mod connect;
mod dns;
mod entropy;
mod exchange;
mod http;
mod limits;
mod line;
mod pace;
mod pool;
mod post;
mod resolve;
mod secrets;
mod tcp;
mod tls;
mod transfer;
mod tunnel;
mod verifier;
mod wire;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use hickory_proto::rr::RecordType;
use mirage_domain::id::Digest;
use mirage_domain::module::Manifest;
use mirage_log::evidence::{EvidenceStore, Stored};
use tokio::sync::Semaphore;

pub use limits::{LiveConfig, Policy, Timeouts};
pub use post::{Courier, Posted};

use super::counters::Counters;
use super::exchange::Exchange;
use super::policy::Egress;
use super::store_failures::StoreFailures;
use super::{DnsAnswer, Files, Handshake, HttpRequest, Line, OpenPort, Page, Probe, Transfer};
use crate::collectors::CollectError;
use cache::Cache;
use entropy::Entropy;
use pace::{Hosts, Pace};
use pool::Pool;
use resolve::Purpose;
use secrets::Secrets;

/// Weight of the DNS answers that a scan keeps, in bytes of their messages and names.
const DNS_CACHE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of the pages that a scan keeps, bodies decoded.
const PAGE_CACHE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Refusals of the egress policy that a task keeps.
const REFUSALS_MAX: usize = 1000;

/// Why the probe cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("opening sockets for DNS")]
    Sockets(#[source] std::io::Error),
    #[error("setting up TLS")]
    Tls(#[source] rustls::Error),
}

/// The process's way to the network.
pub struct Live {
    sockets: dns::Sockets,
    tls: tls::Settings,
    entropy: Entropy,
    /// Exchanges that work, and those that only wait for a silent server.
    connections: Semaphore,
    waiting: Semaphore,
    /// Paces of sources, by module.
    sources: Mutex<HashMap<&'static str, Arc<Pace>>>,
}

impl Live {
    pub async fn new(config: LiveConfig) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            sockets: dns::Sockets::open().map_err(Error::Sockets)?,
            tls: tls::Settings::new()?,
            entropy: Entropy::default(),
            connections: Semaphore::new(config.concurrency.max(1)),
            waiting: Semaphore::new(config.waiting),
            sources: Mutex::default(),
        }))
    }

    /// The network as one scan may use it.
    pub fn scan(
        self: &Arc<Self>,
        mut policy: Policy,
        evidence: Arc<dyn EvidenceStore>,
    ) -> Arc<ScanProbe> {
        if policy.resolvers.is_empty() {
            policy.resolvers = resolve::system();
        }
        Arc::new(ScanProbe {
            live: self.clone(),
            egress: Egress::new(policy.allow_private.clone()),
            hosts: Hosts::new(policy.rate_per_host, policy.concurrency_per_host),
            pool: Pool::default(),
            requests: AtomicU64::new(policy.requests_used),
            messages: Cache::new(DNS_CACHE_BYTES_MAX),
            pages: Cache::new(PAGE_CACHE_BYTES_MAX),
            counters: Counters::default(),
            policy,
            evidence,
            failures: Arc::default(),
        })
    }

    /// The pace of a module's source; `None` where its manifest sets no limit.
    fn source(&self, manifest: &'static Manifest) -> Option<Arc<Pace>> {
        let per_minute = manifest.requests_per_minute_max;
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        (per_minute > 0).then(|| {
            let pace = sources
                .entry(manifest.name)
                .or_insert_with(|| Arc::new(Pace::per_minute(per_minute)));
            pace.clone()
        })
    }
}

/// The network as one scan may use it: its policy, budget and cache.
pub struct ScanProbe {
    live: Arc<Live>,
    policy: Policy,
    egress: Egress,
    evidence: Arc<dyn EvidenceStore>,
    failures: Arc<StoreFailures>,
    hosts: Hosts,
    pool: Pool,
    requests: AtomicU64,
    messages: Cache<(Arc<str>, RecordType), DnsAnswer>,
    pages: Cache<http::Key, Page>,
    counters: Counters,
}

impl ScanProbe {
    /// The network for one task of the module.
    pub fn task(self: &Arc<Self>, manifest: &'static Manifest) -> TaskProbe {
        TaskProbe {
            source: self.live.source(manifest),
            secrets: Secrets::of(manifest, &self.policy.secrets),
            manifest,
            scan: self.clone(),
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            refusals: Mutex::default(),
        }
    }

    /// Counts what earlier processes have spent of the scan's budget.
    pub(crate) fn spent_before(&self, requests: u64) {
        self.requests.fetch_max(requests, Ordering::Relaxed);
    }

    /// Requests of the scan so far, those of earlier processes included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// The network for one task: what its collector gets.
pub struct TaskProbe {
    scan: Arc<ScanProbe>,
    manifest: &'static Manifest,
    source: Option<Arc<Pace>>,
    secrets: Secrets,
    requests: AtomicU64,
    bytes: AtomicU64,
    refusals: Mutex<Vec<(String, String)>>,
}

impl TaskProbe {
    /// Requests made and bytes received for this task; what came from the scan's cache is free.
    pub fn cost(&self) -> (u64, u64) {
        let requests = self.requests.load(Ordering::Relaxed);
        (requests, self.bytes.load(Ordering::Relaxed))
    }

    /// What the egress policy refused: rule and detail.
    pub fn refusals(&self) -> Vec<(String, String)> {
        self.refused().clone()
    }

    /// How the evidence store failed the scan so far.
    pub fn store_failures(&self) -> &Arc<StoreFailures> {
        &self.scan.failures
    }

    fn refused(&self) -> std::sync::MutexGuard<'_, Vec<(String, String)>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Charges one request before it is sent.
    fn charge(&self) -> Result<(), CollectError> {
        let max = self.scan.policy.requests_max.unwrap_or(u64::MAX);
        let counter = &self.scan.requests;
        let more = |used: u64| (used < max).then_some(used + 1);
        counter
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .map_err(|_| CollectError::Budget("max-requests".into()))?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn received(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Waits until the module's source may be asked again.
    async fn at_source_pace(&self) {
        if let Some(pace) = &self.source {
            pace.ready().await;
        }
    }

    /// Stores an exchange; an answer is given only with its evidence.
    async fn keep(&self, exchange: &Exchange) -> Result<Digest, CollectError> {
        let workspace = &self.scan.policy.workspace;
        let kept = self.scan.evidence.put(workspace, exchange.encode()).await;
        self.scan.failures.noted(kept)
    }
}

#[async_trait]
impl Files for TaskProbe {
    async fn stored(&self, digest: Digest) -> Result<Box<dyn Stored>, CollectError> {
        let opened = (self.scan.evidence)
            .open(&self.scan.policy.workspace, digest)
            .await;
        let opened = self.scan.failures.noted(opened)?;
        opened.ok_or_else(|| CollectError::Unavailable(format!("no evidence {digest}")))
    }
}

#[async_trait]
impl Probe for TaskProbe {
    async fn dns(&self, name: &str, kind: RecordType) -> Result<DnsAnswer, CollectError> {
        self.resolve(name, kind, Purpose::Answer).await
    }

    async fn transfer(&self, zone: &str, server: SocketAddr) -> Result<Transfer, CollectError> {
        self.axfr(zone, server).await
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, CollectError> {
        self.allowed(host).await
    }

    async fn http(&self, request: HttpRequest) -> Result<Page, CollectError> {
        self.fetch(request).await
    }

    async fn tls(
        &self,
        remote: SocketAddr,
        server_name: Option<&str>,
    ) -> Result<Handshake, CollectError> {
        self.shake(remote, server_name).await
    }

    async fn tcp(
        &self,
        remote: SocketAddr,
        line: Option<Line<'_>>,
    ) -> Result<Option<OpenPort>, CollectError> {
        match line {
            Some(line) => self.say(remote, line).await,
            None => self.knock(remote).await,
        }
    }

    async fn evidence(&self, digest: Digest) -> Result<Exchange, CollectError> {
        let workspace = &self.scan.policy.workspace;
        let bytes = self.scan.evidence.get(workspace, digest).await;
        let bytes = self.scan.failures.noted(bytes)?;
        let none = || CollectError::Unavailable(format!("no evidence {digest}"));
        Exchange::decode(&bytes.ok_or_else(none)?)
            .map_err(|error| CollectError::Malformed(error.to_string()))
    }

    fn spend(&self, what: &'static str, key: &str, max: u32) -> Result<(), CollectError> {
        self.scan.counters.spend(what, key, max)
    }
}

#[cfg(test)]
mod tests;
