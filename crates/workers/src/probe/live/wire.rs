//! HTTP on the wire: a request out, a head and a body in, within the caps.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
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
pub(super) struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends the request and waits for the head of the answer.
pub(super) async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    is_h2: bool,
    request: Request<Empty<Bytes>>,
) -> hyper::Result<(Response<Incoming>, Connection)> {
    let io = TokioIo::new(stream);
    if is_h2 {
        let (mut sender, driver) = http2::Builder::new(TokioExecutor::new())
            .max_header_list_size(u32::try_from(HEADER_BYTES_MAX).expect("it fits"))
            .initial_stream_window_size(AHEAD_BYTES)
            .initial_connection_window_size(AHEAD_BYTES)
            .handshake(io)
            .await?;
        // How a connection ends shows in the answer.
        let connection = Connection(tokio::spawn(async move { drop(driver.await) }));
        return Ok((sender.send_request(request).await?, connection));
    }
    let (mut sender, driver) = http1::Builder::new()
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .handshake(io)
        .await?;
    let connection = Connection(tokio::spawn(async move { drop(driver.await) }));
    Ok((sender.send_request(request).await?, connection))
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
