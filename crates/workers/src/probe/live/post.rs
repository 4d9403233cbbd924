//! A POST to somebody who asked to be told: one connection, one request, no redirect.
//!
//! **Invariant:** the egress policy judges the address that is connected, as for a scan; a name is resolved anew for each.
//! **Invariant:** the other side must prove its name where TLS is spoken.
//! **Never:** evidence: what is sent is ours, and stands in the log.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use http::header::{CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::Full;
use ipnet::IpNet;
use mirage_domain::id::{Digest, WorkspaceId};
use mirage_domain::module::{Manifest, Profile};
use mirage_log::evidence::{self, EvidenceStore};
use tokio::time::Instant;
use url::{Position, Url};

use super::connect::{Door, Target};
use super::exchange::host_of;
use super::wire::{Link, collect};
use super::{Live, Policy, TaskProbe, Timeouts};
use crate::collectors::CollectError;

/// Bytes of an answer that are read; nobody looks at them.
const ANSWER_BYTES_MAX: usize = 4 * 1024;
/// One exchange, from its connection to the end of its answer.
const POST_MAX: Duration = Duration::from_secs(15);

/// As a source, a receiver is verified; it names no pace, for each is sent one thing at a time.
static MANIFEST: Manifest = Manifest {
    name: "notify",
    profile: Profile::Passive,
    ..Manifest::DEFAULT
};

/// What is sent.
pub struct Posted<'a> {
    pub url: &'a str,
    pub media: &'static str,
    pub headers: &'a [(&'static str, String)],
    pub body: Vec<u8>,
}

/// Carries things to where the operator's egress policy lets it.
pub struct Courier {
    live: Arc<Live>,
    policy: Policy,
}

impl Courier {
    /// `resolvers` empty: those of the system.
    pub fn new(
        live: Arc<Live>,
        workspace: WorkspaceId,
        resolvers: Vec<SocketAddr>,
        allow_private: Vec<IpNet>,
    ) -> Self {
        let timeouts = Timeouts {
            first_byte: POST_MAX,
            total: POST_MAX,
            ..Timeouts::default()
        };
        let policy = Policy {
            resolvers,
            allow_private,
            timeouts,
            rate_per_host: 0,
            ..Policy::new(workspace)
        };
        Self { live, policy }
    }

    /// The status that came back, whatever it says.
    pub async fn post(&self, posted: Posted<'_>) -> Result<u16, CollectError> {
        // A scan's probe keeps what a name resolved to; here nothing is kept from one post to the next.
        let probe = self.live.scan(self.policy.clone(), Arc::new(Unkept));
        probe.task(&MANIFEST).post(posted).await
    }
}

impl TaskProbe {
    async fn post(&self, posted: Posted<'_>) -> Result<u16, CollectError> {
        let wrong = |_| CollectError::Malformed("the URL is none".into());
        let url = Url::parse(posted.url).map_err(wrong)?;
        let port = url.port_or_known_default().unwrap_or_default();
        let addresses = self.allowed(url.host_str().unwrap_or_default()).await?;
        let target = Target::At(SocketAddr::new(addresses[0], port));
        let mut places = self.enter(&target, Door::Web).await?;
        let answering = pin!(self.answered_post(&target, &url, posted));
        places.patiently(&self.scan.live, answering).await
    }

    async fn answered_post(
        &self,
        target: &Target,
        url: &Url,
        posted: Posted<'_>,
    ) -> Result<u16, CollectError> {
        let deadline = Instant::now() + self.scan.policy.timeouts.total;
        let silent = |_| CollectError::Unavailable("no answer in time".into());
        let mut link = tokio::time::timeout_at(deadline, self.way(target, url))
            .await
            .map_err(silent)??;
        let request = request(url, posted, &self.scan.policy.user_agent, link.is_h2())?;
        let sent = tokio::time::timeout_at(deadline, link.send(request)).await;
        let response = sent.map_err(silent)?.map_err(|error| broken(&error))?;
        let status = response.status().as_u16();
        let wait = self.scan.policy.timeouts.between_chunks;
        collect(response.into_body(), ANSWER_BYTES_MAX, wait, deadline).await;
        Ok(status)
    }

    /// A connection of its own.
    async fn way(&self, target: &Target, url: &Url) -> Result<Link, CollectError> {
        let wait = self.scan.policy.timeouts.connect;
        let stream = self.open(target, wait).await?;
        if url.scheme() != "https" {
            return Link::open(stream, false)
                .await
                .map_err(|error| broken(&error));
        }
        let host = url.host_str().unwrap_or_default();
        let stream = self.secure(stream, host).await?;
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Link::open(stream, is_h2)
            .await
            .map_err(|error| broken(&error))
    }
}

fn broken(error: &hyper::Error) -> CollectError {
    let cause = std::error::Error::source(error).map_or_else(String::new, |c| format!(": {c}"));
    CollectError::Unavailable(format!("{error}{cause}"))
}

fn request(
    url: &Url,
    posted: Posted<'_>,
    user_agent: &str,
    is_h2: bool,
) -> Result<Request<Full<Bytes>>, CollectError> {
    let wrong = || CollectError::Malformed("the URL or a header cannot be sent".into());
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let target = match is_h2 {
        true => format!("https://{}{path}", host_of(url)),
        false => path.to_owned(),
    };
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| wrong());
    let mut request = Request::new(Full::new(Bytes::from(posted.body)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.parse::<Uri>().map_err(|_| wrong())?;
    let headers = request.headers_mut();
    if !is_h2 {
        headers.insert(HOST, value(host_of(url))?);
    }
    headers.insert(USER_AGENT, value(user_agent)?);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(posted.media));
    for (name, text) in posted.headers {
        headers.insert(*name, value(text)?);
    }
    Ok(request)
}

/// Evidence of what nobody will cite: the answers of resolvers.
struct Unkept;

#[async_trait]
impl EvidenceStore for Unkept {
    async fn put(&self, _: &WorkspaceId, bytes: Vec<u8>) -> Result<Digest, evidence::Error> {
        Ok(Digest::of(&bytes))
    }
    async fn flush(&self) -> Result<(), evidence::Error> {
        Ok(())
    }
    async fn get(&self, _: &WorkspaceId, _: Digest) -> Result<Option<Vec<u8>>, evidence::Error> {
        Ok(None)
    }
    fn list<'a>(&'a self, _: &'a WorkspaceId) -> BoxStream<'a, Result<Digest, evidence::Error>> {
        Box::pin(futures::stream::empty())
    }
}
