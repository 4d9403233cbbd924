//! The probe: the only way to the network, for everything that Mirage does.
//!
//! A collector asks, the probe decides whether and when: scope and egress policy, rates, caps, time-outs, retries,
//! caching and evidence live here and nowhere else. `live.rs` speaks to the world, `replay.rs` to stored exchanges.
//!
//! **Invariant:** the egress policy is checked on the address that is used, at connect time, on every hop.
//! **Invariant:** every answer carries the SHA-256 of its evidence, which was put before the answer is returned.
//! **Never:** a connection, a socket or a client built outside `probe/live`.

pub mod exchange;
pub mod live;
pub mod network;
pub mod policy;
pub mod proxy;
pub mod replay;
pub mod store_failures;

mod addresses;
pub(crate) mod answer;
mod counters;
mod encoding;
mod question;
mod redirect;

use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use bytes::Bytes;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Record, RecordType};
use mirage_domain::id::Digest;
use mirage_log::evidence::Stored;

use crate::collectors::CollectError;
use exchange::Exchange;

/// Bytes of a body that are kept, before and after decoding, unless a request asks for less.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Redirects that are followed.
pub const HOPS_MAX: usize = 5;
/// Addresses of a name that are contacted, in sorted order.
pub const ADDRESSES_MAX: usize = 8;

/// An answer to a DNS question, whatever its code.
#[derive(Debug, Clone)]
pub struct DnsAnswer {
    pub code: ResponseCode,
    /// The answer section, CNAME chain included, in the order of the message.
    pub answers: Vec<Record>,
    pub authorities: Vec<Record>,
    pub evidence: Digest,
}

/// A zone as one server transferred it (RFC 5936).
#[derive(Debug, Clone)]
pub struct Transfer {
    pub records: Vec<Record>,
    /// Whether a cap cut the transfer.
    pub is_cut: bool,
    pub evidence: Digest,
}

/// What to ask a web server for.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    pub url: String,
    /// Connect here instead of to the host's first address in sorted order; the host stays in SNI and `Host`.
    pub connect: Option<IpAddr>,
    /// Follow up to [`HOPS_MAX`] redirects, each checked again.
    pub follow: bool,
    pub body_bytes_max: usize,
    /// Further request headers. A value `{secret:NAME}` is filled in on the wire and stays a placeholder in evidence.
    pub headers: Vec<(String, String)>,
}

impl HttpRequest {
    /// A GET of `url` that follows redirects.
    pub fn get(url: impl Into<String>) -> Self {
        let url = url.into();
        Self {
            url,
            connect: None,
            follow: true,
            body_bytes_max: BODY_BYTES_MAX,
            headers: Vec::new(),
        }
    }
}

/// One redirect on the way to a page.
#[derive(Debug, Clone)]
pub struct Hop {
    pub status: u16,
    pub from: String,
    pub to: String,
    pub evidence: Digest,
}

/// The answer of a web server.
#[derive(Debug, Clone)]
pub struct Page {
    /// Where the answer came from, after redirects.
    pub url: String,
    pub hops: Vec<Hop>,
    pub status: u16,
    /// `HTTP/1.1` or `HTTP/2`.
    pub version: &'static str,
    /// Names in lower case, in wire order.
    pub headers: Vec<(String, String)>,
    /// Decoded, at most the cap.
    pub body: Bytes,
    /// Whether a cap cut the body.
    pub is_cut: bool,
    pub remote: Option<SocketAddr>,
    pub evidence: Digest,
}

/// A TLS handshake, completed or not; the chain is what was presented and is never judged.
#[derive(Debug, Clone)]
pub struct Handshake {
    pub remote: SocketAddr,
    pub server_name: Option<String>,
    /// `TLSv1.3`
    pub version: String,
    pub cipher: String,
    pub protocol: Option<String>,
    /// DER, leaf first.
    pub chain: Vec<Bytes>,
    pub evidence: Digest,
}

/// What to say to a server before it is heard to the end (RFC 3912).
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Without an end of line.
    pub text: &'a str,
    /// Of the answer.
    pub bytes_max: usize,
}

/// An open TCP port.
#[derive(Debug, Clone)]
pub struct OpenPort {
    /// What the server said first, if it spoke within the wait, at most 1 KiB; or all that it answered to a line.
    pub said: Bytes,
    /// Whether a cap, a time-out or a broken connection cut the answer to a line.
    pub is_cut: bool,
    pub evidence: Digest,
}

/// The way to what was stored as it is: a file that is imported.
#[async_trait]
pub trait Files: Send + Sync {
    /// A stored item for reading in pieces, whatever it holds.
    async fn stored(&self, digest: Digest) -> Result<Box<dyn Stored>, CollectError>;
}

/// The way to the network for one task.
#[async_trait]
pub trait Probe: Files {
    /// Asks the scan's resolvers; answers are cached for the scan. A code such as NXDOMAIN is an answer, not an error.
    async fn dns(&self, name: &str, kind: RecordType) -> Result<DnsAnswer, CollectError>;

    /// Asks one server for a whole zone, over TCP.
    async fn transfer(&self, zone: &str, server: SocketAddr) -> Result<Transfer, CollectError>;

    /// The name's addresses that the egress policy allows, sorted, at most [`ADDRESSES_MAX`]; for an address itself.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, CollectError>;

    /// Any status is an answer. GETs without `connect` are cached for the scan.
    async fn http(&self, request: HttpRequest) -> Result<Page, CollectError>;

    /// A handshake that accepts whatever is presented and records it.
    async fn tls(
        &self,
        remote: SocketAddr,
        server_name: Option<&str>,
    ) -> Result<Handshake, CollectError>;

    /// Connects and waits a moment for a banner, or says a line and reads until the server closes; `None` if the port
    /// is closed or silent to the connect. An answer to a line that was begun is kept as far as it came.
    async fn tcp(
        &self,
        remote: SocketAddr,
        line: Option<Line<'_>>,
    ) -> Result<Option<OpenPort>, CollectError>;

    /// A stored exchange.
    async fn evidence(&self, digest: Digest) -> Result<Exchange, CollectError>;

    /// Counts one use of `what` per `key` in this scan; `Limited` beyond `max`, which the collector then remarks.
    fn spend(&self, what: &'static str, key: &str, max: u32) -> Result<(), CollectError>;
}
