//! HTTP on the wire: a request out, a head and a body in, within the caps.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Headers of an answer, in number and in bytes. Browsers stop at 256 KiB; nothing honest comes near this.
const HEADERS_MAX: usize = 128;
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// What a server may send ahead of our reading.
const AHEAD_BYTES: u32 = 128 * 1024;

/// Drives a connection until it is dropped.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Driver {
    /// How a connection ends shows in the answer.
    fn start<E>(connection: impl Future<Output = Result<(), E>> + Send + 'static) -> Arc<Self> {
        Arc::new(Self(tokio::spawn(async move { drop(connection.await) })))
    }
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Many(http2::SendRequest<Full<Bytes>>),
}

/// An open HTTP connection; closed when its last share is dropped.
pub(super) struct Link {
    sender: Sender,
    driver: Arc<Driver>,
}

impl Link {
    pub(super) async fn open(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        is_h2: bool,
    ) -> hyper::Result<Self> {
        let io = TokioIo::new(stream);
        if is_h2 {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .max_header_list_size(u32::try_from(HEADER_BYTES_MAX).expect("it fits"))
                .initial_stream_window_size(AHEAD_BYTES)
                .initial_connection_window_size(AHEAD_BYTES)
                .handshake(io)
                .await?;
            let (sender, driver) = (Sender::Many(sender), Driver::start(connection));
            return Ok(Self { sender, driver });
        }
        let (sender, connection) = http1::Builder::new()
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEADER_BYTES_MAX)
            .handshake(io)
            .await?;
        let (sender, driver) = (Sender::One(sender), Driver::start(connection));
        Ok(Self { sender, driver })
    }

    /// Sends the request and waits for the head of the answer.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        match &mut self.sender {
            Sender::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::Many(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    pub(super) fn is_h2(&self) -> bool {
        matches!(self.sender, Sender::Many(_))
    }

    pub(super) fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::One(sender) => sender.is_closed(),
            Sender::Many(sender) => sender.is_closed(),
        }
    }

    /// The same connection for another request at the same time, which HTTP/2 allows.
    pub(super) fn share(&self) -> Option<Self> {
        match &self.sender {
            Sender::One(_) => None,
            Sender::Many(sender) => Some(Self {
                sender: Sender::Many(sender.clone()),
                driver: self.driver.clone(),
            }),
        }
    }
}

/// The body, at most `bytes_max` of it, and whether something is missing.
pub(super) async fn collect(
    mut body: Incoming,
    bytes_max: usize,
    wait: Duration,
    deadline: Instant,
) -> (Vec<u8>, bool) {
    let mut payload = Vec::new();
    loop {
        let until = deadline.min(Instant::now() + wait);
        let frame = match tokio::time::timeout_at(until, body.frame()).await {
            Ok(None) => return (payload, false),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) | Err(_) => return (payload, true),
        };
        let data = frame.into_data().unwrap_or_default();
        let room = bytes_max - payload.len();
        payload.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return (payload, true);
        }
    }
}
