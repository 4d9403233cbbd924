//! The replay: answers from stored exchanges, without a network.
//!
//! What one scan cites comes first, in the order in which it was cited. Much of what a scan saw is cited by no finding
//! (a name that does not exist, a page without links); for such a question the store's only answer is given, and none
//! where several differ, since nothing tells which of them the scan had. A host that gave this scan no answer left none,
//! so what another scan cites of a host is that scan's: a port that opened later was closed here.
//!
//! **Invariant:** an answer is read from the same bytes with the same functions as the live one was.
//! **Never:** an invented answer: what is not there is `Unavailable("not recorded")`. (A port without an exchange was
//! closed: only open ones leave evidence.)

use std::collections::{HashMap, HashSet};
use std::io::SeekFrom;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use hickory_proto::rr::RecordType;
use ipnet::IpNet;
use mirage_domain::id::{Digest, WorkspaceId};
use mirage_log::evidence::{EvidenceStore, ITEM_BYTES_MAX, Stored};
use url::Url;

use super::addresses::{self, Choice};
use super::answer;
use super::counters::Counters;
use super::exchange::{Exchange, Frame};
use super::policy::Egress;
use super::redirect::{Step, Trail};
use super::{DnsAnswer, Files, Handshake, HttpRequest, Line, OpenPort, Page, Probe, Transfer};
use crate::collectors::CollectError;

/// What an exchange answers, in a few bytes: a scan may have asked a million questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Question([u8; 16]);

impl Question {
    fn new(what: &str, parts: &[&str]) -> Self {
        let mut text = what.to_owned();
        for part in parts {
            // Its length keeps a part from running into the next.
            text.push_str(&format!(" {}:{part}", part.len()));
        }
        let digest = Digest::of(text.as_bytes());
        let (half, _) = digest.0.split_at(16);
        Self(half.try_into().expect("half of 32 bytes"))
    }

    fn dns(name: &str, kind: &str) -> Self {
        Self::new("dns", &[name, kind])
    }
    fn transfer(zone: &str, server: &str) -> Self {
        Self::new("transfer", &[zone, server])
    }
    fn http(url: &str) -> Self {
        Self::new("http", &[url])
    }
    fn tls(remote: &str, server_name: Option<&str>) -> Self {
        match server_name {
            Some(name) => Self::new("tls of", &[remote, name]),
            None => Self::new("tls", &[remote]),
        }
    }
    fn tcp(remote: &str) -> Self {
        Self::new("tcp", &[remote])
    }
    fn line(remote: &str, line: &str) -> Self {
        Self::new("line", &[remote, line])
    }

    /// What an exchange was asked.
    fn of(frame: &Frame) -> Self {
        match frame {
            Frame::Dns {
                name,
                kind,
                server: Some(server),
                ..
            } if kind == "AXFR" => Self::transfer(name, server),
            Frame::Dns { name, kind, .. } => Self::dns(name, kind),
            Frame::Http { url, .. } => Self::http(url),
            Frame::Tls {
                remote,
                server_name,
                ..
            } => Self::tls(remote, server_name.as_deref()),
            Frame::Tcp { remote } => Self::tcp(remote),
            Frame::Line { remote, line, .. } => Self::line(remote, line),
            Frame::Document { name } => Self::new("document", &[name]),
        }
    }
}

/// Where the exchanges are.
enum Kept {
    Memory(HashMap<Digest, Exchange>),
    Store(Arc<dyn EvidenceStore>, WorkspaceId),
}

impl Default for Kept {
    fn default() -> Self {
        Self::Memory(HashMap::new())
    }
}

/// Most answers of which no finding is known that are looked at.
const UNCITED_MAX: usize = 1_000_000;

/// Stored exchanges as a probe.
#[derive(Default)]
pub struct Replay {
    egress: Egress,
    kept: Kept,
    asked: HashMap<Question, Vec<Digest>>,
    /// The only answer among those that the scan does not cite; none where several differ.
    uncited: HashMap<Question, Option<Digest>>,
    counters: Counters,
    /// The body that answers every GET for which nothing is recorded.
    any: Option<Vec<u8>>,
    /// Files that are stored as they are, beside those of the store.
    files: HashMap<Digest, Vec<u8>>,
}

/// The detail of a failure that is none of the module's: the answer is not among what was kept.
pub const NOT_RECORDED: &str = "not recorded";

fn missing() -> CollectError {
    CollectError::Unavailable(NOT_RECORDED.into())
}

impl Replay {
    /// The exchanges in the order in which they happened: of several answers to one question the first is given.
    pub fn new(exchanges: Vec<Exchange>) -> Self {
        let mut replay = Self::default();
        let mut kept = HashMap::new();
        for exchange in exchanges {
            let digest = Digest::of(&exchange.encode());
            replay.cite(&exchange.frame, digest);
            kept.insert(digest, exchange);
        }
        replay.kept = Kept::Memory(kept);
        replay
    }

    /// What a scan cites, in that order, and what else the store kept; `foreign` is what other scans cite.
    pub async fn over(
        store: Arc<dyn EvidenceStore>,
        workspace: &WorkspaceId,
        cited: &[Digest],
        foreign: &HashSet<Digest>,
    ) -> Result<Self, CollectError> {
        let mut replay = Self {
            kept: Kept::Store(store.clone(), workspace.clone()),
            ..Self::default()
        };
        for digest in cited {
            // An item that is no exchange (an imported file) answers nothing.
            match replay.exchange(*digest).await {
                Ok(exchange) => replay.cite(&exchange.frame, *digest),
                Err(CollectError::Malformed(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let known: HashSet<Digest> = cited.iter().copied().collect();
        let mut others = store.list(workspace);
        while let Some(digest) = others.next().await {
            let digest = digest.map_err(|error| CollectError::Unavailable(error.to_string()))?;
            if known.contains(&digest) || replay.uncited.len() >= UNCITED_MAX {
                continue;
            }
            // What is damaged or no exchange answers nothing, and no finding rests on it.
            if let Ok(exchange) = replay.exchange(digest).await {
                // A resolver answers in any case; a host only where there is something.
                if foreign.contains(&digest) && !matches!(exchange.frame, Frame::Dns { .. }) {
                    continue;
                }
                let question = Question::of(&exchange.frame);
                let only = replay.uncited.entry(question).or_insert(Some(digest));
                *only = only.filter(|only| *only == digest);
            }
        }
        Ok(replay)
    }

    fn cite(&mut self, frame: &Frame, digest: Digest) {
        let question = Question::of(frame);
        self.asked.entry(question).or_default().push(digest);
    }

    async fn exchange(&self, digest: Digest) -> Result<Exchange, CollectError> {
        match &self.kept {
            Kept::Memory(exchanges) => exchanges.get(&digest).cloned().ok_or_else(missing),
            Kept::Store(store, workspace) => {
                // Opening has just hashed it: it is in memory, and reading does not wait for a disk.
                let bytes = whole(open(&**store, workspace, digest).await?)?;
                let exchange = Exchange::decode(&bytes);
                exchange.map_err(|error| CollectError::Malformed(error.to_string()))
            }
        }
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

    fn all(&self, question: Question) -> Vec<Digest> {
        match self.asked.get(&question) {
            Some(cited) => cited.clone(),
            None => {
                let only = self.uncited.get(&question).copied().flatten();
                only.into_iter().collect()
            }
        }
    }

    async fn first(&self, question: Question) -> Result<(Exchange, Digest), CollectError> {
        let digest = *self.all(question).first().ok_or_else(missing)?;
        Ok((self.exchange(digest).await?, digest))
    }

    /// The page at a URL; one from the wanted address first, then one from an address that was not recorded.
    async fn hop(&self, url: &Url, request: &HttpRequest) -> Result<Page, CollectError> {
        let port = url.port_or_known_default().unwrap_or_default();
        let wanted = request.connect.map(|ip| SocketAddr::new(ip, port));
        let is_from = |exchange: &Exchange| match (&exchange.frame, wanted) {
            (Frame::Http { remote, .. }, Some(wanted)) => {
                remote.is_empty() || *remote == wanted.to_string()
            }
            _ => true,
        };
        let mut found = None;
        for digest in self.all(Question::http(url.as_str())) {
            let exchange = self.exchange(digest).await?;
            if is_from(&exchange) {
                found = Some((exchange, digest));
                break;
            }
        }
        let any = || {
            let exchange = any(url, self.any.clone()?);
            let digest = Digest::of(&exchange.encode());
            Some((exchange, digest))
        };
        let (exchange, evidence) = found.or_else(any).ok_or_else(missing)?;
        let mut page = answer::page(exchange, request.body_bytes_max, evidence)?;
        page.remote = page.remote.or(wanted);
        Ok(page)
    }
}

async fn open(
    store: &dyn EvidenceStore,
    workspace: &WorkspaceId,
    digest: Digest,
) -> Result<Box<dyn Stored>, CollectError> {
    let opened = store.open(workspace, digest).await;
    let opened = opened.map_err(|error| CollectError::Unavailable(error.to_string()))?;
    opened.ok_or_else(missing)
}

/// All of an item that may be an exchange; an imported file may be larger than memory, and is none.
fn whole(mut stored: Box<dyn Stored>) -> Result<Vec<u8>, CollectError> {
    let mut read = || {
        let bytes = stored.seek(SeekFrom::End(0))?;
        if bytes > ITEM_BYTES_MAX as u64 {
            return Ok(None);
        }
        stored.rewind()?;
        let mut whole = Vec::with_capacity(bytes as usize);
        stored.read_to_end(&mut whole)?;
        Ok(Some(whole))
    };
    let read: std::io::Result<Option<Vec<u8>>> = read();
    let whole = read.map_err(|error| CollectError::Unavailable(error.to_string()))?;
    whole.ok_or_else(|| CollectError::Malformed("no exchange is as large".into()))
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
        match (&self.kept, self.files.get(&digest)) {
            (_, Some(bytes)) => Ok(Box::new(std::io::Cursor::new(bytes.clone()))),
            (Kept::Store(store, workspace), None) => open(&**store, workspace, digest).await,
            (Kept::Memory(_), None) => Err(missing()),
        }
    }
}

#[async_trait]
impl Probe for Replay {
    async fn dns(&self, name: &str, kind: RecordType) -> Result<DnsAnswer, CollectError> {
        let asked = Question::dns(&name_of(name), &kind.to_string());
        let (exchange, digest) = self.first(asked).await?;
        answer::dns(&exchange.payload, digest)
    }

    async fn transfer(&self, zone: &str, server: SocketAddr) -> Result<Transfer, CollectError> {
        let asked = Question::transfer(&name_of(zone), &server.to_string());
        let (exchange, digest) = self.first(asked).await?;
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
            let page = self.hop(&trail.url, &trail.request).await?;
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
        let server_name = server_name.map(name_of);
        let asked = Question::tls(&remote.to_string(), server_name.as_deref());
        let (exchange, digest) = self.first(asked).await?;
        answer::handshake(exchange, digest)
    }

    async fn tcp(
        &self,
        remote: SocketAddr,
        line: Option<Line<'_>>,
    ) -> Result<Option<OpenPort>, CollectError> {
        let (asked, bytes_max) = match line {
            Some(line) => {
                let asked = Question::line(&remote.to_string(), line.text);
                (asked, line.bytes_max)
            }
            None => (Question::tcp(&remote.to_string()), usize::MAX),
        };
        let found = self.first(asked).await.ok();
        Ok(found.map(|(exchange, digest)| answer::open_port(exchange, bytes_max, digest)))
    }

    async fn evidence(&self, digest: Digest) -> Result<Exchange, CollectError> {
        self.exchange(digest).await
    }

    fn spend(&self, what: &'static str, key: &str, max: u32) -> Result<(), CollectError> {
        self.counters.spend(what, key, max)
    }
}

#[cfg(test)]
mod tests {
    use mirage_log::evidence::Files as Folder;

    use super::*;

    fn port(remote: &str) -> Exchange {
        let frame = Frame::Tcp {
            remote: remote.into(),
        };
        Exchange {
            frame,
            payload: b"SSH-2.0-x".to_vec(),
        }
    }

    #[tokio::test]
    async fn a_port_that_only_another_scan_found_open_was_closed_here() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Folder::open(folder.path()).unwrap());
        let workspace = WorkspaceId::new("default").unwrap();
        let remotes = ["192.0.2.1:22", "192.0.2.2:22", "192.0.2.3:22"];
        let mut digests = Vec::new();
        for remote in remotes {
            let put = store.put(&workspace, port(remote).encode()).await;
            digests.push(put.unwrap());
        }
        store.flush().await.unwrap();
        // The first is this scan's, the second another's, and the third no finding's.
        let foreign = HashSet::from([digests[1]]);
        let replay = Replay::over(store, &workspace, &digests[..1], &foreign).await;
        let replay = replay.unwrap();
        let mut open = Vec::new();
        for remote in remotes {
            let answer = replay.tcp(remote.parse().unwrap(), None).await.unwrap();
            open.push(answer.is_some());
        }
        assert_eq!(open, [true, false, true]);
    }
}
