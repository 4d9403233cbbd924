//! A scan as it unfolded, over server-sent events: in its own time, faster, or all at once.

use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use mirage_domain::id::{Cursor, Position, ScanId};
use mirage_log::{Filter, Read, Recorded};
use serde::{Deserialize, Deserializer};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::guard::Guard;
use super::subscriber::{self, End};
use super::tail::Told;
use super::{Seat, sse};
use crate::auth::{self, Principal};
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::pace::{Pace, Speed};
use crate::rest::answer::Refusal;
use crate::rest::moment::Moment;
use crate::rest::query::Query;
use crate::rest::{Path, Shared, ids};

/// Messages that wait for a reader to take them.
const WAITING: usize = 64;

/// How fast.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tempo {
    /// Nothing waits.
    Max,
    Times(Speed),
}

impl FromStr for Tempo {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "max" => Ok(Self::Max),
            text => text.parse().map(Self::Times),
        }
    }
}

fn tempo<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Tempo>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// What a message holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shape {
    /// An event, as a CloudEvent.
    #[default]
    Events,
    /// A commit as it was written, with its position.
    Commits,
}

/// Which stretch, and how fast.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Replay {
    /// The first position; the default is the scan's beginning.
    #[serde(default)]
    #[param(value_type = Option<u64>, minimum = 1)]
    from: Option<Position>,
    /// The last position; the default is where the log ends now.
    #[serde(default)]
    #[param(value_type = Option<u64>, minimum = 1)]
    to: Option<Position>,
    /// So many times as fast; 1 is its own time, whatever the gaps; without it no wait is longer than 5 seconds; `max` waits for nothing.
    #[serde(default, deserialize_with = "tempo")]
    #[param(value_type = Option<String>)]
    speed: Option<Tempo>,
    /// What a message holds.
    #[serde(default)]
    #[param(inline)]
    shape: Shape,
}

/// How a scan unfolded, as a stream that ends
///
/// The `id` of a message is its cursor; `Last-Event-ID` goes on after one. `event: close` is the last message, with the
/// reason and the cursor behind the last event: `over` where all was sent, else as in `/events`.
#[utoipa::path(get, path = "/scans/{scan}/replay", operation_id = "replay_scan", tag = "scans",
    params(("scan" = String, Path, description = "Its id, the beginning of it, or @last"), Replay,
        ("Last-Event-ID" = Option<String>, Header, description = "Where the stream broke")),
    responses((status = 200, body = String, content_type = "text/event-stream")))]
pub(crate) async fn stream(
    State(gateway): Shared,
    who: Principal,
    Path(scan): Path<String>,
    headers: HeaderMap,
    Query(asked): Query<Replay>,
) -> Result<Response, Refusal> {
    let last = headers.get("last-event-id");
    let last = last.map(|value| value.to_str().unwrap_or_default());
    let after = subscriber::cursor(last)?;
    let head = gateway.log.head().await?.position;
    let from = asked.from.unwrap_or(Position(1)).max(Position(1));
    let to = asked.to.unwrap_or(head);
    if from.max(to).max(after.position) > head {
        let detail = format!("the log ends at {head}");
        return Err(Problem::new("no_such_position", detail).into());
    }
    let moment = Moment {
        at: None,
        min_position: asked.to,
    };
    let found = gateway.ask(&who, &moment, move |asking| ids::scan(asking, &scan));
    let scan = found.await?;
    let tail = gateway.live.tail(&gateway.log).await?;
    let replaying = Replaying {
        seat: gateway.live.seat(&who)?,
        guard: Guard::new(
            gateway.clone(),
            &tail,
            who,
            auth::bearer(&headers)?.to_owned(),
        ),
        gateway,
        scan,
        from: from.max(after.position),
        to,
        shape: asked.shape,
        pace: match asked.speed {
            Some(Tempo::Max) => None,
            Some(Tempo::Times(speed)) => Some(Pace::new(Some(speed))),
            None => Some(Pace::new(None)),
        },
        cursor: after,
    };
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, sse::body(replaying.begin(), Bytes::clone)).into_response())
}

/// A replay on its way out.
struct Replaying {
    gateway: Arc<Gateway>,
    guard: Guard,
    scan: ScanId,
    from: Position,
    to: Position,
    shape: Shape,
    pace: Option<Pace>,
    /// The last event that was sent.
    cursor: Cursor,
    seat: Seat,
}

impl Replaying {
    fn begin(mut self) -> mpsc::Receiver<Bytes> {
        let (out, messages) = mpsc::channel(WAITING);
        let last = out.clone().try_reserve_owned();
        let last = last.expect("a channel that was just made has room");
        tokio::spawn(async move {
            let reason = match self.run(&out).await {
                Ok(()) => "over",
                Err(end) => end.reason(),
            };
            let data = format!("{{\"reason\":\"{reason}\",\"after\":\"{}\"}}", self.cursor);
            last.send(format!("event: close\ndata: {data}\n\n").into());
            drop(self.seat);
        });
        messages
    }

    async fn run(&mut self, out: &mpsc::Sender<Bytes>) -> Result<(), End> {
        let log = self.gateway.log.clone();
        let filter = Filter::Scan(self.scan.clone());
        let mut read = log.read(Position(self.from.0 - 1), filter);
        loop {
            let recorded = match self.guard.unless_over(out, read.next()).await? {
                Some(Ok(Read::Commit(recorded))) if recorded.position <= self.to => recorded,
                Some(Ok(_)) => return Ok(()),
                Some(Err(_)) | None => return Err(End::Failed),
            };
            if recorded.commit.stream.workspace != *self.guard.who.workspace() {
                continue;
            }
            if let Some(pace) = &mut self.pace {
                let pause = tokio::time::sleep(pace.until(recorded.commit.recorded_at));
                self.guard.unless_over(out, pause).await?;
            }
            self.give(recorded, out).await?;
        }
    }

    async fn give(
        &mut self,
        recorded: Arc<Recorded>,
        out: &mpsc::Sender<Bytes>,
    ) -> Result<(), End> {
        if self.shape == Shape::Commits {
            let whole = Cursor::after(recorded.position);
            if self.cursor < whole {
                self.send(commit(&recorded)?, out).await?;
                self.cursor = whole;
            }
            return Ok(());
        }
        let told = Told::new(recorded.clone());
        for (cursor, entry) in recorded.entries() {
            if cursor > self.cursor && entry.event.is_streamed() {
                self.send(told.event(cursor).frame.clone(), out).await?;
                self.cursor = cursor;
            }
        }
        Ok(())
    }

    async fn send(&mut self, message: Bytes, out: &mpsc::Sender<Bytes>) -> Result<(), End> {
        let patience = self.gateway.live.limits().patience;
        let room = self.guard.unless_over(out, out.reserve());
        let room = timeout(patience, room).await.map_err(|_| End::Slow)??;
        room.map_err(|_| End::Gone)?.send(message);
        Ok(())
    }
}

/// A commit is one line of JSON, as it was written.
fn commit(recorded: &Recorded) -> Result<Bytes, End> {
    let bytes = std::str::from_utf8(&recorded.bytes).map_err(|_| End::Failed)?;
    let position = recorded.position;
    let mut message = String::with_capacity(bytes.len() + 64);
    let _ = write!(
        message,
        "id: {position}\ndata: {{\"position\":{position},\"commit\":{bytes}}}\n\n"
    );
    Ok(message.into())
}
