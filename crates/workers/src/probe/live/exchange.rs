//! One HTTP exchange over a connection of its own: one request out, one answer in, both bounded.
//!
//! **Invariant:** every phase has its deadline, and header and body their caps, whatever the server sends.
//! **Never:** a header of our own that tells time or chance; the same request is the same bytes.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use url::{Position, Url};

use super::TaskProbe;
use super::connect::NoConnection;
use super::wire::{Connection, collect, send};
use crate::collectors::CollectError;
use crate::probe::exchange::{Exchange, Frame};
use crate::probe::redirect::Trail;
use crate::probe::{Page, answer};

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

/// An answer as it came.
struct Answered {
    response: Response<Incoming>,
    deadline: Instant,
    _connection: Connection,
}

impl TaskProbe {
    /// Connects, asks, reads, stores.
    pub(super) async fn attempt(&self, trail: &Trail) -> Result<Page, Failure> {
        let (url, host) = (&trail.url, trail.url.host_str().unwrap_or_default());
        let address = match trail.request.connect {
            Some(address) => address,
            None => {
                let allowed = self.allowed(host).await.map_err(Failure::Final)?;
                allowed[0]
            }
        };
        let asked = self.asked(trail).map_err(Failure::Final)?;
        let remote = SocketAddr::new(address, url.port_or_known_default().unwrap_or_default());
        let connection = self.connect(remote).await.map_err(|c| self.unopened(c))?;
        let deadline = Instant::now() + self.scan.policy.timeouts.total;
        // The places at host and process are kept until the answer is read.
        let _places = connection.places;
        let answered = if url.scheme() == "https" {
            let stream = self.secure(connection.stream, host).await;
            let stream = stream.map_err(|cause| self.unopened(cause))?;
            let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            self.ask_web(stream, is_h2, url, &asked, deadline).await?
        } else {
            self.ask_web(connection.stream, false, url, &asked, deadline)
                .await?
        };
        let exchange = self.read(trail, remote, asked, answered).await?;
        let evidence = self.keep(&exchange).await.map_err(Failure::Final)?;
        answer::page(exchange, trail.request.body_bytes_max, evidence).map_err(Failure::Final)
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
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        is_h2: bool,
        url: &Url,
        asked: &Asked,
        deadline: Instant,
    ) -> Result<Answered, Failure> {
        let request = request(url, asked, is_h2).map_err(Failure::Final)?;
        let until = deadline.min(Instant::now() + self.scan.policy.timeouts.first_byte);
        let outcome = tokio::time::timeout_at(until, send(stream, is_h2, request));
        match outcome.await {
            Ok(Ok((response, connection))) => Ok(Answered {
                response,
                deadline,
                _connection: connection,
            }),
            Ok(Err(error)) => Err(broken(url, &error)),
            Err(_) => {
                let reason = format!("{}: no answer in time", host_of(url));
                Err(Failure::Final(CollectError::Unavailable(reason)))
            }
        }
    }

    /// Reads the body up to its cap and its deadlines; what came is the answer.
    async fn read(
        &self,
        trail: &Trail,
        remote: SocketAddr,
        asked: Asked,
        answered: Answered,
    ) -> Result<Exchange, Failure> {
        let (head, body) = answered.response.into_parts();
        let bytes_max = trail.request.body_bytes_max;
        let wait = self.scan.policy.timeouts.between_chunks;
        let (payload, is_cut) = collect(body, bytes_max, wait, answered.deadline).await;
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
            remote: remote.to_string(),
            version: version_of(head.version).to_owned(),
            status: head.status.as_u16(),
            headers: record(headers),
            is_cut,
        };
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

fn host_of(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

fn request(url: &Url, asked: &Asked, is_h2: bool) -> Result<Request<Empty<Bytes>>, CollectError> {
    let wrong = || CollectError::Malformed(format!("`{url}` cannot be requested"));
    let host = host_of(url);
    let target = match is_h2 {
        true => format!("https://{host}{}", asked.target),
        false => asked.target.clone(),
    };
    let mut request = Request::new(Empty::new());
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
