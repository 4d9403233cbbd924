//! The replay: answers from stored exchanges, without a network.
//!
//! **Invariant:** an answer is read from the same bytes with the same functions as the live one was.
//! **Never:** an invented answer: what is not there is `Unavailable("not recorded")`. (A port without an exchange was
//! closed: only open ones leave evidence.)

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use hickory_proto::rr::RecordType;
use ipnet::IpNet;
use mirage_domain::id::{Digest, WorkspaceId};
use mirage_log::evidence::{EvidenceStore, Stored};
use url::Url;

use super::addresses::{self, Choice};
use super::answer;
use super::counters::Counters;
use super::exchange::{Exchange, Frame};
use super::policy::Egress;
use super::redirect::{Step, Trail};
use super::{DnsAnswer, Files, Handshake, HttpRequest, Line, OpenPort, Page, Probe, Transfer};
use crate::collectors::CollectError;

/// What an exchange answers.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Asked {
    Dns(String, String),
    Transfer(String, String),
    Http(String),
    Tls(String, Option<String>),
    Tcp(String),
    Line(String, String),
    Document(String),
}

/// Stored exchanges as a probe.
#[derive(Default)]
pub struct Replay {
    egress: Egress,
    exchanges: HashMap<Digest, Exchange>,
    asked: HashMap<Asked, Vec<Digest>>,
    counters: Counters,
    /// The body that answers every GET for which nothing is recorded.
    any: Option<Vec<u8>>,
    /// Files that are stored as they are.
    files: HashMap<Digest, Vec<u8>>,
}

fn missing() -> CollectError {
    CollectError::Unavailable("not recorded".into())
}

impl Replay {
    /// The exchanges in the order in which they happened: of several answers to one question the first is given.
    pub fn new(exchanges: Vec<Exchange>) -> Self {
        let mut replay = Self::default();
        for exchange in exchanges {
            let digest = Digest::of(&exchange.encode());
            replay
                .asked
                .entry(asked(&exchange.frame))
                .or_default()
                .push(digest);
            replay.exchanges.insert(digest, exchange);
        }
        replay
    }

    /// The exchanges under these digests.
    pub async fn load(
        store: &dyn EvidenceStore,
        workspace: &WorkspaceId,
        digests: &[Digest],
    ) -> Result<Self, CollectError> {
        let mut exchanges = Vec::with_capacity(digests.len());
        for digest in digests {
            let bytes = store.get(workspace, *digest).await;
            let bytes = bytes.map_err(|error| CollectError::Unavailable(error.to_string()))?;
            let exchange = Exchange::decode(&bytes.ok_or_else(missing)?);
            exchanges.push(exchange.map_err(|e| CollectError::Malformed(e.to_string()))?);
        }
        Ok(Self::new(exchanges))
    }

    /// A file that is stored as it is, under the hash of its bytes.
    pub fn file(mut self, bytes: Vec<u8>) -> Self {
        self.files.insert(Digest::of(&bytes), bytes);
        self
    }

    /// The exceptions that the scan had from the egress policy.
    pub fn allow_private(mut self, nets: Vec<IpNet>) -> Self {
        self.egress = Egress::new(nets);
        self
    }

    /// Answers every GET that is not recorded with this body.
    pub fn any_http(mut self, body: Vec<u8>) -> Self {
        self.any = Some(body);
        self
    }

    fn all(&self, asked: &Asked) -> impl Iterator<Item = (&Exchange, Digest)> {
        let digests = self.asked.get(asked).map_or(&[][..], Vec::as_slice);
        digests
            .iter()
            .map(|digest| (&self.exchanges[digest], *digest))
    }

    fn first(&self, asked: &Asked) -> Result<(Exchange, Digest), CollectError> {
        let (exchange, digest) = self.all(asked).next().ok_or_else(missing)?;
        Ok((exchange.clone(), digest))
    }

    /// The page at a URL; one from the wanted address first, then one from an address that was not recorded.
    fn hop(&self, url: &Url, request: &HttpRequest) -> Result<Page, CollectError> {
        let port = url.port_or_known_default().unwrap_or_default();
        let wanted = request.connect.map(|ip| SocketAddr::new(ip, port));
        let is_from = |exchange: &Exchange| match (&exchange.frame, wanted) {
            (Frame::Http { remote, .. }, Some(wanted)) => {
                remote.is_empty() || *remote == wanted.to_string()
            }
            _ => true,
        };
        let asked = Asked::Http(url.to_string());
        let found = self.all(&asked).find(|(exchange, _)| is_from(exchange));
        let (exchange, evidence) = match (found, &self.any) {
            (Some((exchange, digest)), _) => (exchange.clone(), digest),
            (None, Some(body)) => {
                let exchange = any(url, body.clone());
                let digest = Digest::of(&exchange.encode());
                (exchange, digest)
            }
            (None, None) => return Err(missing()),
        };
        let mut page = answer::page(exchange, request.body_bytes_max, evidence)?;
        page.remote = page.remote.or(wanted);
        Ok(page)
    }
}

fn asked(frame: &Frame) -> Asked {
    match frame {
        Frame::Dns {
            name,
            kind,
            server: Some(server),
            ..
        } if kind == "AXFR" => Asked::Transfer(name.clone(), server.clone()),
        Frame::Dns { name, kind, .. } => Asked::Dns(name.clone(), kind.clone()),
        Frame::Http { url, .. } => Asked::Http(url.clone()),
        Frame::Tls {
            remote,
            server_name,
            ..
        } => Asked::Tls(remote.clone(), server_name.clone()),
        Frame::Tcp { remote } => Asked::Tcp(remote.clone()),
        Frame::Line { remote, line, .. } => Asked::Line(remote.clone(), line.clone()),
        Frame::Document { name } => Asked::Document(name.clone()),
    }
}

fn any(url: &Url, body: Vec<u8>) -> Exchange {
    let frame = Frame::Http {
        method: "GET".into(),
        url: url.to_string(),
        request_headers: Vec::new(),
        remote: String::new(),
        version: "HTTP/1.1".into(),
        status: 200,
        headers: Vec::new(),
        is_cut: false,
    };
    Exchange {
        frame,
        payload: body,
    }
}

/// A name as it stands in frames: lower case, without its last dot.
pub(crate) fn name_of(text: &str) -> String {
    text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase()
}

#[async_trait]
impl Files for Replay {
    async fn stored(&self, digest: Digest) -> Result<Box<dyn Stored>, CollectError> {
        let bytes = self.files.get(&digest).cloned().ok_or_else(missing)?;
        Ok(Box::new(std::io::Cursor::new(bytes)))
    }
}

#[async_trait]
impl Probe for Replay {
    async fn dns(&self, name: &str, kind: RecordType) -> Result<DnsAnswer, CollectError> {
        let asked = Asked::Dns(name_of(name), kind.to_string());
        let (exchange, digest) = self.first(&asked)?;
        answer::dns(&exchange.payload, digest)
    }

    async fn transfer(&self, zone: &str, server: SocketAddr) -> Result<Transfer, CollectError> {
        let asked = Asked::Transfer(name_of(zone), server.to_string());
        let (exchange, digest) = self.first(&asked)?;
        answer::transfer(&exchange.payload, digest)
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, CollectError> {
        let addresses = match addresses::literal(host) {
            Some(address) => vec![address],
            None => {
                let [four, six] = addresses::KINDS;
                addresses::listed(self.dns(host, four).await, self.dns(host, six).await)?
            }
        };
        Choice::of(&self.egress, addresses).outcome()
    }

    async fn http(&self, request: HttpRequest) -> Result<Page, CollectError> {
        let mut trail = Trail::new(request)?;
        loop {
            let page = self.hop(&trail.url, &trail.request)?;
            match trail.step(page) {
                Step::Arrived(page) => return Ok(page),
                Step::Onward(next) => trail = next,
            }
        }
    }

    async fn tls(
        &self,
        remote: SocketAddr,
        server_name: Option<&str>,
    ) -> Result<Handshake, CollectError> {
        let asked = Asked::Tls(remote.to_string(), server_name.map(name_of));
        let (exchange, digest) = self.first(&asked)?;
        answer::handshake(exchange, digest)
    }

    async fn tcp(
        &self,
        remote: SocketAddr,
        line: Option<Line<'_>>,
    ) -> Result<Option<OpenPort>, CollectError> {
        let (asked, bytes_max) = match line {
            Some(line) => {
                let asked = Asked::Line(remote.to_string(), line.text.to_owned());
                (asked, line.bytes_max)
            }
            None => (Asked::Tcp(remote.to_string()), usize::MAX),
        };
        let found = self.first(&asked).ok();
        Ok(found.map(|(exchange, digest)| answer::open_port(exchange, bytes_max, digest)))
    }

    async fn evidence(&self, digest: Digest) -> Result<Exchange, CollectError> {
        self.exchanges.get(&digest).cloned().ok_or_else(missing)
    }

    fn spend(&self, what: &'static str, key: &str, max: u32) -> Result<(), CollectError> {
        self.counters.spend(what, key, max)
    }
}
