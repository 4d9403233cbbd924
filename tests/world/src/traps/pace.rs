//! Servers that take their time: a byte a second, header lines for ever, or not a word.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Sprung;
use crate::web::Wire;

/// Slow enough to hold a connection for hours, fast enough to pass a timeout between reads.
const PACE: Duration = Duration::from_secs(1);

pub(super) fn slow_headers(wire: Box<dyn Wire>) -> Sprung {
    Box::pin(drip(wire, b"HTTP/1.1 200 OK\r\nx-patience: "))
}

pub(super) fn slow_body(mut wire: Box<dyn Wire>) -> Sprung {
    Box::pin(async move {
        wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
            .await?;
        drip(wire, b"<title>").await
    })
}

/// A handshake message of 16 KiB that arrives byte by byte (RFC 8446, 5.1).
pub(super) fn slow_tls(stream: TcpStream, _: bool) -> Sprung {
    Box::pin(drip(stream, &[22, 3, 3, 0x40, 0, 2]))
}

/// Sends `start` and then zeros, a byte at a time, until the peer has gone.
async fn drip(mut wire: impl Wire, start: &'static [u8]) -> io::Result<()> {
    for byte in start.iter().copied().chain(std::iter::repeat(b'0')) {
        wire.write_all(&[byte]).await?;
        wire.flush().await?;
        tokio::time::sleep(PACE).await;
    }
    Ok(())
}

pub(super) fn endless_headers(mut wire: Box<dyn Wire>) -> Sprung {
    Box::pin(async move {
        wire.write_all(b"HTTP/1.1 200 OK\r\n").await?;
        for number in 0_u64.. {
            wire.write_all(format!("x-{number}: {number:064}\r\n").as_bytes())
                .await?;
        }
        Ok(())
    })
}

pub(super) fn silent_tcp(stream: TcpStream, _: bool) -> Sprung {
    Box::pin(listen(stream))
}

pub(super) fn silent_tls(mut stream: TcpStream, is_https: bool) -> Sprung {
    Box::pin(async move {
        if !is_https {
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
                .await?;
            return stream.shutdown().await;
        }
        listen(stream).await
    })
}

/// Reads whatever comes and never answers.
async fn listen(mut stream: TcpStream) -> io::Result<()> {
    let mut bytes = [0; 4096];
    while stream.read(&mut bytes).await? > 0 {}
    Ok(())
}
