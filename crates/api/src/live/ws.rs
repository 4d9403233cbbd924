//! WebSocket: messages are JSON arrays of CloudEvents; the client subscribes once.
//!
//! Whoever closes says why: [`SLOW`], [`REVOKED`], [`BAD_SUBSCRIBE`], 1001 when the gateway stops, 1011 when the log
//! cannot be read. The reason is the cursor to go on from: the last acknowledged one, else the last that was sent.
//! **Never:** a socket for a page of another origin, whose script would speak with its reader's rights.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use mirage_domain::id::{Cursor, ModuleName};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::subscriber::{self, Beginning, End, Item, Wanted};
use super::{Kind, Seat};
use crate::auth::{Principal, Shown};
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::rest::Shared;
use crate::rest::answer::Refusal;
use crate::rest::query::Query;

/// Closed because the reader did not read.
pub const SLOW: u16 = 4000;
/// Closed because the credential opens nothing any more.
pub const REVOKED: u16 = 4001;
/// Closed because the client said what is not understood, or nothing.
pub const BAD_SUBSCRIBE: u16 = 4002;
/// RFC 6455 §7.4.1.
pub(super) const GOING_AWAY: u16 = 1001;
pub(super) const FAILED: u16 = 1011;

/// Between two pings.
const PING: Duration = Duration::from_secs(20);
/// Pings that may stay unanswered.
const UNHEARD_MAX: u32 = 3;
/// How long a client may take to subscribe, and to answer a close.
const WORD_MAX: Duration = Duration::from_secs(10);
/// Events of one message, at most.
const TOGETHER: usize = 64;
/// Largest message of a client, in bytes.
const SAID_BYTES_MAX: usize = 16 * 1024;
/// Largest reason of a close, in bytes (RFC 6455 §5.5).
const REASON_BYTES_MAX: usize = 123;

/// What a client says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    /// First, and once.
    Subscribe(Subscribe),
    /// Everything up to this cursor has arrived.
    Ack(String),
}

/// From where on, and which events; as the parameters of `/events`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subscribe {
    after: Option<String>,
    scan: Option<String>,
    #[serde(default)]
    kind: Vec<Kind>,
    #[serde(default)]
    module: Vec<ModuleName>,
}

/// What an address may say.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Opening {
    /// In the place of a header, where none can be sent: see `/events/tickets`.
    #[serde(default)]
    #[expect(dead_code, reason = "whoever let the request in has read it")]
    ticket: Option<String>,
}

/// What happens in the workspace, over a WebSocket
///
/// The client sends `{"subscribe": {"after": CURSOR, "scan": ID, "kind": […], "module": […]}}` once, each member of it
/// optional, and then gets messages that are arrays of CloudEvents; it may send `{"ack": CURSOR}`. `{"reset": {"head":
/// POSITION}}` says that the log ends before the cursor and the history begins anew. Close codes: 4000 the client did not
/// read, 4001 the credential was revoked, 4002 the subscription is not understood, 1001 the server stops, 1011 it failed;
/// the reason is the cursor to go on from, and with 4002 what was wrong.
#[utoipa::path(get, path = "/events/ws", operation_id = "open_events", tag = "log", params(Opening),
    responses((status = 101, description = "The protocol is WebSocket from here on"),
        (status = 426, body = crate::rest::answer::Document, content_type = "application/problem+json",
            description = "Upgrade Required")))]
pub(crate) async fn open(
    State(gateway): Shared,
    who: Principal,
    Extension(Shown(token)): Extension<Shown>,
    headers: HeaderMap,
    _: Query<Opening>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refusal> {
    if !is_own_page(&headers) {
        let problem = Problem::new("forbidden", "the page is of another origin");
        return Err(problem
            .try_this("connect from a page of this server")
            .into());
    }
    let upgrade = upgrade.map_err(|error| Problem::new("upgrade_needed", error.body_text()))?;
    let caller = Caller {
        token,
        seat: gateway.live.seat(&who)?,
        who,
    };
    // Small, for there may be thousands of them.
    let upgrade = upgrade
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0)
        .max_message_size(SAID_BYTES_MAX)
        .max_frame_size(SAID_BYTES_MAX);
    Ok(upgrade.on_upgrade(|socket| serve(gateway, caller, socket)))
}

/// Whether no page asks, or one of this server (RFC 6455 §10.2).
fn is_own_page(headers: &HeaderMap) -> bool {
    let text = |name| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    let Some(origin) = text(header::ORIGIN) else {
        return true;
    };
    let own = origin.split_once("://").map(|(_, authority)| authority);
    own.is_some_and(|own| text(header::HOST).is_some_and(|host| host.eq_ignore_ascii_case(own)))
}

struct Caller {
    who: Principal,
    token: String,
    seat: Seat,
}

/// Why a socket is closed from here.
struct Close {
    code: u16,
    reason: String,
}

impl Close {
    fn bad(problem: impl ToString) -> Self {
        let (code, mut reason) = (BAD_SUBSCRIBE, problem.to_string());
        let end = (0..=REASON_BYTES_MAX.min(reason.len())).rev();
        let end = end.into_iter().find(|end| reason.is_char_boundary(*end));
        reason.truncate(end.unwrap_or_default());
        Self { code, reason }
    }

    fn of(end: End, after: Cursor) -> Self {
        let code = match end {
            End::Slow | End::Gone => SLOW,
            End::Revoked => REVOKED,
            End::Stopped => GOING_AWAY,
            End::Failed => FAILED,
        };
        let reason = after.to_string();
        Self { code, reason }
    }
}

/// `None`: the other side is gone, or closed it.
type Over = Option<Close>;

async fn serve(gateway: Arc<Gateway>, caller: Caller, mut socket: WebSocket) {
    let patience = gateway.live.limits().patience;
    let Err(over) = talk(gateway, caller, &mut socket).await;
    let Some(Close { code, reason }) = over else {
        return;
    };
    let reason = reason.into();
    let close = socket.send(Message::Close(Some(CloseFrame { code, reason })));
    if let Ok(Ok(())) = timeout(patience, close).await {
        // The other side's close, after whatever it said before.
        let rest = async { while let Some(Ok(_)) = socket.recv().await {} };
        let _ = timeout(WORD_MAX, rest).await;
    }
}

async fn talk(
    gateway: Arc<Gateway>,
    caller: Caller,
    socket: &mut WebSocket,
) -> Result<std::convert::Infallible, Over> {
    let patience = gateway.live.limits().patience;
    let subscribe = timeout(WORD_MAX, subscribe(socket)).await;
    let subscribe = subscribe.map_err(|_| Some(Close::bad("nothing was subscribed to")))??;
    let items = begin(gateway, caller, subscribe).await.map_err(Some)?;
    let mut conversation = Conversation {
        socket,
        patience,
        sent: subscriber::BEFORE_ALL,
        acknowledged: None,
        heard: Instant::now(),
    };
    conversation.run(items).await
}

/// The first word of a client.
async fn subscribe(socket: &mut WebSocket) -> Result<Subscribe, Over> {
    loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
                Ok(Said::Subscribe(subscribe)) => return Ok(subscribe),
                Ok(Said::Ack(_)) => return Err(Some(Close::bad("subscribe first"))),
                Err(error) => return Err(Some(Close::bad(error))),
            },
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Binary(_))) => return Err(Some(Close::bad("messages are text"))),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(None),
        }
    }
}

async fn begin(
    gateway: Arc<Gateway>,
    caller: Caller,
    asked: Subscribe,
) -> Result<mpsc::Receiver<Item>, Close> {
    let after = subscriber::cursor(asked.after.as_deref()).map_err(Close::bad)?;
    let wanted = Wanted::new(asked.scan.as_deref(), asked.kind, asked.module);
    let beginning = Beginning {
        who: caller.who,
        token: caller.token,
        seat: caller.seat,
        after,
        wanted: wanted.map_err(Close::bad)?,
    };
    let begun = subscriber::begin(gateway, beginning).await;
    begun.map_err(|_| Close::of(End::Failed, after))
}

/// A socket that was subscribed on.
struct Conversation<'a> {
    socket: &'a mut WebSocket,
    patience: Duration,
    sent: Cursor,
    acknowledged: Option<Cursor>,
    heard: Instant,
}

impl Conversation<'_> {
    async fn run(
        &mut self,
        mut items: mpsc::Receiver<Item>,
    ) -> Result<std::convert::Infallible, Over> {
        let mut pings = interval_at(Instant::now() + PING, PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut taken = Vec::new();
        loop {
            tokio::select! {
                said = self.socket.recv() => {
                    self.heard = Instant::now();
                    self.hear(said)?;
                }
                count = items.recv_many(&mut taken, TOGETHER) => {
                    if count == 0 {
                        return Err(None);
                    }
                    self.tell(&mut taken).await?;
                }
                _ = pings.tick() => {
                    if self.heard.elapsed() > PING * UNHEARD_MAX {
                        return Err(Some(self.close(End::Slow)));
                    }
                    self.send(Message::Ping(Vec::new().into())).await?;
                }
            }
        }
    }

    fn close(&self, end: End) -> Close {
        Close::of(end, self.acknowledged.unwrap_or(self.sent))
    }

    fn hear(&mut self, said: Option<Result<Message, axum::Error>>) -> Result<(), Over> {
        let text = match said {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Binary(_))) => return Err(Some(Close::bad("messages are text"))),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(None),
        };
        let cursor = match serde_json::from_str(&text) {
            Ok(Said::Ack(cursor)) => subscriber::cursor(Some(&cursor)),
            Ok(Said::Subscribe(_)) => return Err(Some(Close::bad("subscribed already"))),
            Err(error) => return Err(Some(Close::bad(error))),
        };
        let cursor = cursor.map_err(|problem| Some(Close::bad(problem)))?;
        if cursor > self.sent {
            return Err(Some(Close::bad("this cursor was not sent")));
        }
        self.acknowledged = self.acknowledged.max(Some(cursor));
        Ok(())
    }

    /// Sends the events that wait as one message.
    async fn tell(&mut self, taken: &mut Vec<Item>) -> Result<(), Over> {
        let mut array = String::new();
        let mut end = None;
        for item in taken.drain(..) {
            match item {
                Item::Event(shown) => {
                    array.push(if array.is_empty() { '[' } else { ',' });
                    array.push_str(std::str::from_utf8(&shown.json).expect("JSON is UTF-8"));
                    self.sent = shown.cursor;
                }
                // Always the first.
                Item::Reset(head) => {
                    let reset = format!("{{\"reset\":{{\"head\":{head}}}}}");
                    self.send(Message::text(reset)).await?;
                }
                Item::End(ended, after) => {
                    self.sent = after;
                    end = Some(ended);
                }
            }
        }
        if !array.is_empty() {
            array.push(']');
            self.send(Message::text(array)).await?;
        }
        end.map_or(Ok(()), |end| Err(Some(self.close(end))))
    }

    async fn send(&mut self, message: Message) -> Result<(), Over> {
        match timeout(self.patience, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(None),
            // It stays before the close: who sees that has seen this.
            Err(_) => Err(Some(self.close(End::Slow))),
        }
    }
}
