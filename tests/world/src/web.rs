//! The web servers: one listener per scheme for all machines, HTTP/1.1 and h2.
//!
//! The address that a connection arrived at says which machine is meant, the Host header which of
//! its names. A name that this machine does not serve is answered by 421 (RFC 9110, 15.5.20).
//! **Never:** serve a name from an address that is not its own.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::accept;
use crate::names::{Company, Host, WILDCARD};
use crate::page::{Page, not_found};
use crate::site::Site;
use crate::tally::{Tally, bump};
use crate::traps::{Bait, Traps};

/// Whoever connects here followed a lead that a scanner must refuse.
pub(crate) const CANARY: Ipv4Addr = Ipv4Addr::new(127, 66, 66, 66);
/// The date of every answer, so that answers are byte-stable.
const DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";

/// Either a plain connection or one inside TLS.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// What both listeners need to answer.
pub(crate) struct Web {
    pub(crate) company: Arc<Company>,
    pub(crate) site: Site,
    pub(crate) traps: Traps,
    pub(crate) tally: Arc<Tally>,
    /// TLS for machines, and for traps, which speak HTTP/1.1 only.
    pub(crate) tls: TlsAcceptor,
    pub(crate) trap_tls: TlsAcceptor,
}

/// Serves connections of `scheme` until the task is aborted.
pub(crate) async fn serve(listener: TcpListener, scheme: &'static str, web: Arc<Web>) {
    accept::each(listener, |stream, local| {
        handle(stream, local, scheme, Arc::clone(&web))
    })
    .await;
}

async fn handle(stream: TcpStream, local: Ipv4Addr, scheme: &'static str, web: Arc<Web>) {
    if local == CANARY {
        return bump(&web.tally.canary);
    }
    bump(&web.tally.tcp);
    web.tally.note(local);
    // Fails only on a connection that is gone already.
    let _ = stream.set_nodelay(true);
    match (web.traps.at(local), scheme) {
        (Some(Bait::Socket(spring)), _) => drop(spring(stream, scheme == "https").await),
        (Some(_), "https") => spring_inside_tls(stream, local, &web).await,
        (Some(_), _) => spring_on(Box::new(stream), local, &web).await,
        (None, "https") => serve_tls(stream, local, web).await,
        (None, _) if is_inhabited(&web.company, local) => {
            converse(stream, false, local, scheme, web).await;
        }
        _ => {}
    }
}

fn is_inhabited(company: &Company, address: Ipv4Addr) -> bool {
    address == WILDCARD || company.host_at(address).is_some()
}

async fn spring_inside_tls(stream: TcpStream, local: Ipv4Addr, web: &Web) {
    if let Ok(stream) = web.trap_tls.accept(stream).await {
        bump(&web.tally.tls);
        spring_on(Box::new(stream), local, web).await;
    }
}

async fn spring_on(wire: Box<dyn Wire>, local: Ipv4Addr, web: &Web) {
    bump(&web.tally.http);
    // The victim hangs up, as it should.
    let _ = web.traps.spring(local, wire).await;
}

async fn serve_tls(stream: TcpStream, local: Ipv4Addr, web: Arc<Web>) {
    if !is_inhabited(&web.company, local) {
        return;
    }
    if let Ok(stream) = web.tls.accept(stream).await {
        bump(&web.tally.tls);
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        converse(stream, is_h2, local, "https", web).await;
    }
}

async fn converse(
    stream: impl Wire + 'static,
    is_h2: bool,
    local: Ipv4Addr,
    scheme: &'static str,
    web: Arc<Web>,
) {
    let answer = move |request: Request<Incoming>| {
        bump(&web.tally.http);
        if web.tally.takes_fault(&web.tally.http_refusals) {
            return respond(Page::new(503, "text/plain", "try again\n"), &request);
        }
        respond(web.page(&request, local, scheme), &request)
    };
    serve_http(stream, is_h2, answer).await;
}

/// Serves one connection with `answer`.
pub(crate) async fn serve_http<F>(stream: impl Wire + 'static, is_h2: bool, answer: F)
where
    F: Fn(Request<Incoming>) -> Response<Full<Bytes>>,
{
    let service = service_fn(|request| {
        let response = answer(request);
        async move { Ok::<_, Infallible>(response) }
    });
    let io = TokioIo::new(stream);
    // A client that goes away mid-answer is no error of the world's.
    let _ = if is_h2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(io, service)
            .await
    } else {
        hyper::server::conn::http1::Builder::new()
            .serve_connection(io, service)
            .await
    };
}

impl Web {
    fn page(&self, request: &Request<Incoming>, local: Ipv4Addr, scheme: &'static str) -> Page {
        let named = name_of(request);
        match named
            .as_deref()
            .map_or_else(|| self.by_address(local), |name| self.by_name(name, local))
        {
            Some((name, host)) => self.site.page(scheme, &name, host, request.uri().path()),
            None if local == WILDCARD => not_found(),
            None => Page::new(421, "text/plain", "this machine does not serve that name\n"),
        }
    }

    fn by_name(&self, name: &str, local: Ipv4Addr) -> Option<(String, &Host)> {
        let host = self
            .company
            .machine(name)
            .filter(|host| host.address == local)?;
        Some((name.to_owned(), host))
    }

    fn by_address(&self, local: Ipv4Addr) -> Option<(String, &Host)> {
        let host = self.company.host_at(local)?;
        Some((host.name.clone(), host))
    }
}

/// The name that the client asks for, in lower case; none if it named an address or nothing.
fn name_of(request: &Request<Incoming>) -> Option<String> {
    let header = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let authority = request
        .uri()
        .authority()
        .map(http::uri::Authority::as_str)
        .or(header)?;
    let name = authority
        .rsplit_once(':')
        .map_or(authority, |(name, _)| name);
    let is_address = name.parse::<Ipv4Addr>().is_ok();
    Some(name.trim_end_matches('.').to_ascii_lowercase()).filter(|_| !is_address)
}

pub(crate) fn respond(page: Page, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let coded = page
        .coded
        .filter(|(coding, _)| accepts(request.headers(), coding));
    let (coding, body) = coded.map_or((None, page.body), |(coding, body)| (Some(coding), body));
    let is_head = request.method() == Method::HEAD;
    let length = body.len();
    let mut response = Response::new(Full::new(if is_head { Bytes::new() } else { body }));
    *response.status_mut() = StatusCode::from_u16(page.status).expect("pages have valid statuses");
    let headers = response.headers_mut();
    headers.insert(header::DATE, HeaderValue::from_static(DATE));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    for (name, value) in &page.headers {
        headers.append(
            *name,
            HeaderValue::from_str(value).expect("pages have valid headers"),
        );
    }
    response
}

/// Whether the client takes this coding; weights are not looked at, no client sends a zero.
fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value.split(',').any(|one| {
                one.split(';')
                    .next()
                    .is_some_and(|name| name.trim() == coding)
            })
        })
}
