//! One HTTP exchange: one request out, one answer in, both bounded.
//!
//! **Invariant:** every phase has its deadline, and header and body their caps, whatever the server sends.
//! **Never:** a header of our own that tells time or chance; the same request is the same bytes.

use std::net::SocketAddr;
use std::pin::pin;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::Instant;
use url::{Position, Url};

use super::connect::{Door, NoConnection, Target};
use super::pool::Key;
use super::wire::{Link, collect};
use super::{TaskProbe, tunnel};
use crate::collectors::CollectError;
use crate::probe::exchange::{Exchange, Frame};
use crate::probe::proxy::{Kind, Proxy};
use crate::probe::redirect::Trail;
use crate::probe::{Page, addresses, answer};

/// What can be decoded (`encoding.rs`).
const CODINGS: &str = "gzip, deflate, br, zstd";

/// Why an attempt brought no page.
pub(super) enum Failure {
    Final(CollectError),
    /// The connection broke before anything was said.
    Again(String),
}

/// A request as it is recorded, and as it goes onto the wire.
struct Asked {
    headers: Vec<(String, String)>,
    filled: HeaderMap,
    /// From the path on.
    target: String,
}

/// An answer as it came, its body still on the way.
struct Answered {
    response: Response<Incoming>,
    link: Link,
}

impl TaskProbe {
    /// Asks over a kept connection or a new one, reads, stores.
    pub(super) async fn attempt(&self, trail: &Trail) -> Result<Page, Failure> {
        let target = self.target(trail).await.map_err(Failure::Final)?;
        let asked = self.asked(trail).map_err(Failure::Final)?;
        let key = Key {
            host: trail.url.host_str().unwrap_or_default().into(),
            is_tls: trail.url.scheme() == "https",
            is_verified: self.is_source(),
            is_tunnel: self.relay(trail).is_none(),
            target,
        };
        // The places at host and process are kept until the answer is read.
        let places = self.enter(&key.target, Door::Web).await;
        let mut places = places.map_err(Failure::Final)?;
        let deadline = Instant::now() + self.scan.policy.timeouts.total;
        let answered = {
            let answering = pin!(self.answered(&key, trail, &asked, deadline));
            places.patiently(&self.scan.live, answering).await?
        };
        let exchange = self.read(trail, key, asked, answered, deadline).await?;
        let evidence = self.keep(&exchange).await.map_err(Failure::Final)?;
        answer::page(exchange, trail.request.body_bytes_max, evidence).map_err(Failure::Final)
    }

    async fn target(&self, trail: &Trail) -> Result<Target, CollectError> {
        let port = trail.url.port_or_known_default().unwrap_or_default();
        let host = trail.url.host_str().unwrap_or_default();
        let has_proxy = self.scan.policy.proxy.is_some();
        let address = match trail.request.connect {
            Some(address) => address,
            None if has_proxy && addresses::literal(host).is_none() => {
                return Ok(Target::Named(host.into(), port));
            }
            None => self.allowed(host).await?[0],
        };
        Ok(Target::At(SocketAddr::new(address, port)))
    }

    /// The head of the answer. A kept connection that turns out to be stale is replaced by a new one, once; the request
    /// was charged, and a stale connection delivers none.
    async fn answered(
        &self,
        key: &Key,
        trail: &Trail,
        asked: &Asked,
        deadline: Instant,
    ) -> Result<Answered, Failure> {
        if let Some(link) = self.scan.pool.take(key) {
            match self.ask_web(link, key, trail, asked, deadline).await {
                Err(Failure::Again(_)) => {}
                outcome => return outcome,
            }
        }
        let link = self.link(key, trail, deadline).await?;
        self.ask_web(link, key, trail, asked, deadline).await
    }

    /// The proxy, if it is to be asked for the whole URL: plain HTTP to where the URL says. Anything else is a tunnel.
    fn relay(&self, trail: &Trail) -> Option<&Proxy> {
        let is_plain = trail.url.scheme() == "http" && trail.request.connect.is_none();
        let proxy = self.scan.policy.proxy.as_ref();
        proxy.filter(|proxy| is_plain && proxy.kind == Kind::Http)
    }

    /// A new connection.
    async fn link(&self, key: &Key, trail: &Trail, deadline: Instant) -> Result<Link, Failure> {
        let unopened = |cause| self.unopened(cause);
        let wait = self.scan.policy.timeouts.connect;
        let stream = match self.relay(trail) {
            Some(proxy) => tunnel::reach(proxy, wait).await,
            None => self.open(&key.target, wait).await,
        };
        let stream = stream.map_err(unopened)?;
        let until = deadline.min(Instant::now() + self.scan.policy.timeouts.first_byte);
        let opening = if key.is_tls {
            let stream = self.secure(stream, &key.host).await.map_err(unopened)?;
            let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            tokio::time::timeout_at(until, Link::open(stream, is_h2)).await
        } else {
            tokio::time::timeout_at(until, Link::open(stream, false)).await
        };
        match opening {
            Ok(opened) => opened.map_err(|error| broken(&trail.url, &error)),
            Err(_) => Err(silent(&trail.url)),
        }
    }

    /// A target that cannot be reached is left alone: the kernel has repeated the SYN by itself.
    fn unopened(&self, cause: NoConnection) -> Failure {
        match cause {
            NoConnection::Closed(reason) if self.is_source() => Failure::Again(reason),
            cause => Failure::Final(cause.into()),
        }
    }

    fn asked(&self, trail: &Trail) -> Result<Asked, CollectError> {
        let target = &trail.url[Position::BeforePath..Position::AfterQuery];
        let own = &trail.request.headers;
        // An echoed secret can only be found in a plain body.
        let codings = if self.secrets.is_empty() {
            CODINGS
        } else {
            "identity"
        };
        let defaults = [
            ("user-agent", self.scan.policy.user_agent.as_str()),
            ("accept", "*/*"),
            ("accept-encoding", codings),
        ];
        let is_new = |name: &str| {
            !own.iter()
                .any(|(other, _)| other.eq_ignore_ascii_case(name))
        };
        let defaults = defaults.into_iter().filter(|(name, _)| is_new(name));
        let mut headers: Vec<_> = defaults
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        headers.extend(own.iter().cloned());
        let mut filled = HeaderMap::new();
        for (name, value) in &headers {
            let value = match trail.is_home {
                true => self.secrets.fill(value),
                false => value.clone(),
            };
            filled.append(header_name(name)?, header_value(name, &value)?);
        }
        let target = match trail.is_home {
            true => self.secrets.fill_url(target),
            false => target.to_owned(),
        };
        Ok(Asked {
            headers,
            filled,
            target,
        })
    }

    /// Sends the request and waits for the head of the answer.
    async fn ask_web(
        &self,
        mut link: Link,
        key: &Key,
        trail: &Trail,
        asked: &Asked,
        deadline: Instant,
    ) -> Result<Answered, Failure> {
        let url = &trail.url;
        let mut request = request(url, asked, link.is_h2()).map_err(Failure::Final)?;
        if let Some(proxy) = self.relay(trail) {
            relayed(&mut request, url, proxy).map_err(Failure::Final)?;
        }
        let until = deadline.min(Instant::now() + self.scan.policy.timeouts.first_byte);
        let outcome = tokio::time::timeout_at(until, link.send(request)).await;
        let response = match outcome {
            Ok(sent) => sent.map_err(|error| broken(url, &error))?,
            Err(_) => return Err(silent(url)),
        };
        if self.relay(trail).is_some() && response.status() == 407 {
            let reason = "the proxy wants other credentials".to_owned();
            return Err(Failure::Final(CollectError::Unavailable(reason)));
        }
        if let Some(share) = link.share() {
            self.scan.pool.put(key.clone(), share);
        }
        Ok(Answered { response, link })
    }

    /// Reads the body up to its cap and its deadlines; what came is the answer.
    async fn read(
        &self,
        trail: &Trail,
        key: Key,
        asked: Asked,
        answered: Answered,
        deadline: Instant,
    ) -> Result<Exchange, Failure> {
        let (head, body) = answered.response.into_parts();
        let bytes_max = trail.request.body_bytes_max;
        let wait = self.scan.policy.timeouts.between_chunks;
        let (payload, is_cut) = collect(body, bytes_max, wait, deadline).await;
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.as_str().to_owned(), text_of(value.as_bytes()))
        };
        let headers: Vec<(String, String)> = head.headers.iter().map(text).collect();
        let header_bytes = headers.iter().map(|(name, value)| name.len() + value.len());
        self.received(payload.len() + header_bytes.sum::<usize>());
        let record = |headers: Vec<(String, String)>| {
            let scrub = |(name, value): (String, String)| (name, self.secrets.scrub(&value));
            headers.into_iter().map(scrub).collect()
        };
        let frame = Frame::Http {
            method: "GET".into(),
            url: self.secrets.scrub(trail.url.as_str()),
            request_headers: record(asked.headers),
            remote: key.target.address(),
            version: version_of(head.version).to_owned(),
            status: head.status.as_u16(),
            headers: record(headers),
            is_cut,
        };
        if !is_cut {
            self.scan.pool.put(key, answered.link);
        }
        let payload = self.secrets.scrub_bytes(payload);
        Ok(Exchange { frame, payload })
    }
}

fn header_name(name: &str) -> Result<HeaderName, CollectError> {
    name.parse()
        .map_err(|_| CollectError::Malformed(format!("`{name}` is no header")))
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, CollectError> {
    let wrong = || CollectError::Malformed(format!("the value of `{name}` is none of a header"));
    HeaderValue::from_str(value).map_err(|_| wrong())
}

pub(super) fn host_of(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

fn request(url: &Url, asked: &Asked, is_h2: bool) -> Result<Request<Full<Bytes>>, CollectError> {
    let wrong = || CollectError::Malformed(format!("`{url}` cannot be requested"));
    let host = host_of(url);
    let target = match is_h2 {
        true => format!("https://{host}{}", asked.target),
        false => asked.target.clone(),
    };
    let mut request = Request::new(Full::default());
    *request.uri_mut() = target.parse::<Uri>().map_err(|_| wrong())?;
    if !is_h2 {
        let value = HeaderValue::from_str(host).map_err(|_| wrong())?;
        request.headers_mut().insert(http::header::HOST, value);
    }
    let headers = asked
        .filled
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    request.headers_mut().extend(headers);
    Ok(request)
}

/// Turns a request into one for a proxy (RFC 9112 §3.2.2). Its credentials are on the wire and nowhere else.
fn relayed(
    request: &mut Request<Full<Bytes>>,
    url: &Url,
    proxy: &Proxy,
) -> Result<(), CollectError> {
    let wrong = || CollectError::Malformed(format!("`{url}` cannot be requested"));
    let whole = format!("http://{}{}", host_of(url), request.uri());
    *request.uri_mut() = whole.parse::<Uri>().map_err(|_| wrong())?;
    if let Some(value) = proxy.authorization() {
        let value = HeaderValue::from_str(&value).map_err(|_| wrong())?;
        let headers = request.headers_mut();
        headers.insert(http::header::PROXY_AUTHORIZATION, value);
    }
    Ok(())
}

fn silent(url: &Url) -> Failure {
    let reason = format!("{}: no answer in time", host_of(url));
    Failure::Final(CollectError::Unavailable(reason))
}

fn broken(url: &Url, error: &hyper::Error) -> Failure {
    let cause = std::error::Error::source(error).map_or_else(String::new, |c| format!(": {c}"));
    let reason = format!("{}: {error}{cause}", host_of(url));
    match error.is_parse() {
        true => Failure::Final(CollectError::Malformed(reason)),
        false => Failure::Again(reason),
    }
}

/// A header's value; one that is no UTF-8 is read as ISO 8859-1 (RFC 9110 §5.5).
fn text_of(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.iter().map(|byte| char::from(*byte)).collect(),
    }
}

fn version_of(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_2 => "HTTP/2",
        http::Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}
