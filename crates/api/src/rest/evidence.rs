//! `/evidence`: an exchange as the client saw it, byte for byte.

use std::io::Read;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use mirage_domain::id::Digest;
use tokio::sync::mpsc;

use super::answer::Refusal;
use super::{Path, Shared};
use crate::auth::Principal;
use crate::error::Problem;

/// Bytes of one piece on its way out.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that wait for a slow reader.
const PIECES: usize = 4;

/// An item of evidence, verified against its hash before the first byte leaves; always an attachment
#[utoipa::path(get, path = "/evidence/{sha256}", operation_id = "get_evidence", tag = "evidence",
    params(("sha256" = String, Path, description = "Its SHA-256: 64 lower-case hexadecimal digits")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream")))]
pub(crate) async fn get(
    State(gateway): Shared,
    who: Principal,
    Path(sha256): Path<String>,
) -> Result<Response, Refusal> {
    let wrong = |error| Problem::new("bad_id", format!("`{sha256}`: {error}"));
    let digest: Digest = sha256.parse().map_err(wrong)?;
    let found = gateway.evidence.open(who.workspace(), digest).await?;
    let mut stored = found.ok_or_else(|| Problem::new("no_such_evidence", digest))?;
    let (pieces, mut taken) = mpsc::channel::<std::io::Result<Bytes>>(PIECES);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let read = stored.read(&mut piece);
            let is_end = matches!(read, Ok(0) | Err(_));
            let piece = read.map(|bytes| {
                piece.truncate(bytes);
                Bytes::from(piece)
            });
            let is_last = is_end && piece.is_ok();
            // Whoever stops reading ends this thread.
            if is_last || pieces.blocking_send(piece).is_err() || is_end {
                return;
            }
        }
    });
    let stream = futures::stream::poll_fn(move |context| taken.poll_recv(context));
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{digest}\""),
        ),
        (header::ETAG, format!("\"{digest}\"")),
        (header::CACHE_CONTROL, "private, immutable".to_owned()),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}
