//! Bodies that do not end, that grow when decoded, or whose length is a lie.

use std::io;

use flate2::{Compress, Compression, FlushCompress};
use tokio::io::AsyncWriteExt;

use super::{Lure, Sprung};
use crate::page::gzip;
use crate::web::Wire;

/// Zeros in one piece of the bomb, and how many pieces there are: 10 GiB.
const PIECE: usize = 1 << 20;
const PIECES: usize = 10 * 1024;
/// Layers of the nested one.
const LAYERS: usize = 5;

pub(super) fn endless(mut wire: Box<dyn Wire>) -> Sprung {
    Box::pin(async move {
        wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n")
            .await?;
        let zeros = [0; 16 * 1024];
        loop {
            wire.write_all(&zeros).await?;
        }
    })
}

pub(super) fn gzip_bomb(mut wire: Box<dyn Wire>) -> Sprung {
    Box::pin(async move {
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-encoding: gzip\r\n\r\n";
        wire.write_all(head).await?;
        // The fixed header of RFC 1952: deflate, no name, no time.
        wire.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])
            .await?;
        let piece = deflated_zeros()?;
        for _ in 0..PIECES {
            wire.write_all(&piece).await?;
        }
        // An empty last block; the checksum is wrong, which nobody should live to see.
        wire.write_all(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await?;
        wire.shutdown().await
    })
}

/// A piece of zeros as deflate blocks that end at a byte, so that they can be repeated.
fn deflated_zeros() -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(16 * 1024);
    let mut compress = Compress::new(Compression::best(), false);
    compress
        .compress_vec(&vec![0; PIECE], &mut out, FlushCompress::Full)
        .map_err(io::Error::other)?;
    Ok(out)
}

pub(super) fn nested_gzip(_: &Lure, _: &str) -> Vec<u8> {
    let zeros = vec![0; 10 * PIECE];
    let body = (0..LAYERS).fold(
        gzip(&zeros),
        |body, layer| if layer == 0 { body } else { gzip(&body) },
    );
    let codings = ["gzip"; LAYERS].join(", ");
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: {codings}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend(body);
    answer
}

pub(super) fn long_length(_: &Lure, _: &str) -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n<title>cut".to_vec()
}

pub(super) fn short_length(_: &Lure, _: &str) -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        .to_vec()
}

pub(super) fn lying_chunks(_: &Lure, _: &str) -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nshort\r\n0\r\n\r\n"
        .to_vec()
}
