//! Server-sent events: `id` is the cursor, `data` a CloudEvent; `reset` and `close` beside them.
//!
//! A stream is resumed by `Last-Event-ID`, which browsers send by themselves, or by `?after=`.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use mirage_domain::id::ModuleName;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Kind;
use super::subscriber::{self, BEFORE_ALL, Beginning, Item, Wanted};
use crate::auth::{Principal, Shown};
use crate::rest::Shared;
use crate::rest::answer::Refusal;
use crate::rest::query::{Query, words};

/// Between two signs of life.
const ALIVE: Duration = Duration::from_secs(15);
/// Items that go out together when they wait together.
const TOGETHER: usize = 64;

/// From where on, and which events.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Subscription {
    /// The cursor after which the stream begins: `POSITION.INDEX`, or a position; without it, the whole history.
    #[serde(default)]
    after: Option<String>,
    /// Of this scan; its whole id.
    #[serde(default)]
    scan: Option<String>,
    /// Of these kinds, between commas: `task.found`.
    #[serde(default, deserialize_with = "words")]
    #[param(value_type = Option<String>)]
    kind: Vec<Kind>,
    /// Of tasks of these modules, between commas.
    #[serde(default, deserialize_with = "words")]
    #[param(value_type = Option<String>)]
    module: Vec<ModuleName>,
    /// In the place of a header, where none can be sent: see `/events/tickets`.
    #[serde(default)]
    #[expect(dead_code, reason = "whoever let the request in has read it")]
    ticket: Option<String>,
}

/// What happens in the workspace: its whole history, then live, as CloudEvents
///
/// The `id` of each message is its cursor; a stream goes on after the one that `Last-Event-ID` or `after` names. When the
/// log ends before it, `event: reset` says so and the history begins anew. `event: close` is the last message, with the
/// reason and the cursor to go on from: `slow`, `revoked`, `stopped` or `failed`. A comment every 15 seconds is a sign of life.
#[utoipa::path(get, path = "/events", operation_id = "stream_events", tag = "log",
    params(Subscription,
        ("Last-Event-ID" = Option<String>, Header, description = "As `after`, and before it: where the stream broke")),
    responses((status = 200, body = String, content_type = "text/event-stream")))]
pub(crate) async fn stream(
    State(gateway): Shared,
    who: Principal,
    Extension(Shown(token)): Extension<Shown>,
    headers: HeaderMap,
    Query(asked): Query<Subscription>,
) -> Result<Response, Refusal> {
    let last = headers.get("last-event-id");
    let last = last.map(|value| value.to_str().unwrap_or_default());
    let after = subscriber::cursor(last.or(asked.after.as_deref()))?;
    let beginning = Beginning {
        wanted: Wanted::new(asked.scan.as_deref(), asked.kind, asked.module)?,
        token,
        seat: gateway.live.seat(&who)?,
        who,
        after,
    };
    let items = subscriber::begin(gateway, beginning).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        // Proxies that would gather the answer first.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, body(items, frame)).into_response())
}

/// Messages as they come, those that wait together in one piece, and comments in between.
pub(super) fn body<T: Send + 'static>(items: mpsc::Receiver<T>, frame: fn(&T) -> Bytes) -> Body {
    let begun = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"retry: 1000\n\n")) });
    let messages = stream::unfold(items, move |mut items| async move {
        let mut taken = Vec::new();
        let piece = match timeout(ALIVE, items.recv_many(&mut taken, TOGETHER)).await {
            Err(_) => Bytes::from_static(b":\n\n"),
            Ok(0) => return None,
            Ok(1) => frame(&taken[0]),
            Ok(_) => taken
                .iter()
                .flat_map(|item| frame(item).into_iter())
                .collect(),
        };
        Some((Ok(piece), items))
    });
    Body::from_stream(futures::StreamExt::chain(begun, messages))
}

fn frame(item: &Item) -> Bytes {
    match item {
        Item::Event(shown) => shown.frame.clone(),
        Item::Reset(head) => {
            format!("id: {BEFORE_ALL}\nevent: reset\ndata: {{\"head\":{head}}}\n\n").into()
        }
        Item::End(end, after) => {
            let reason = end.reason();
            let data = format!("{{\"reason\":\"{reason}\",\"after\":\"{after}\"}}");
            format!("event: close\ndata: {data}\n\n").into()
        }
    }
}
