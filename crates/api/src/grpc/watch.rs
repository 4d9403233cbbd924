//! `WatchService`: the events of the workspace, resumed by cursor.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use jiff::Timestamp;
use mirage_domain::id::Cursor;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::{Code, Request, Response, Status};

use super::call::{Call, answered};
use super::convert::{set, told_time, words};
use super::v1::close::Reason;
use super::v1::watch_events_response::Message;
use super::v1::watch_service_server::WatchService;
use super::v1::{Alive, Close, Event, Reset, WatchEventsRequest, WatchEventsResponse};
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::live::subscriber::{self, Beginning, End, Item, Wanted};
use crate::live::tail::Shown;

/// Between two signs of life.
const ALIVE: Duration = Duration::from_secs(15);

/// See the module's doc.
pub(super) struct Watches(pub(super) Arc<Gateway>);

type Messages = BoxStream<'static, Result<WatchEventsResponse, Status>>;

#[tonic::async_trait]
impl WatchService for Watches {
    type WatchEventsStream = Messages;

    async fn watch_events(
        &self,
        request: Request<WatchEventsRequest>,
    ) -> Result<Response<Messages>, Status> {
        answered(request, |call| watched(&self.0, call)).await
    }
}

async fn watched(
    gateway: &Arc<Gateway>,
    call: Call<WatchEventsRequest>,
) -> Result<Messages, Problem> {
    let asked = call.asked;
    let (kinds, modules) = (
        words("kinds", &asked.kinds)?,
        words("modules", &asked.modules)?,
    );
    let beginning = Beginning {
        wanted: Wanted::new(set(&asked.scan), kinds, modules)?,
        after: subscriber::cursor(set(&asked.after))?,
        token: call.token,
        seat: gateway.live.seat(&call.who)?,
        who: call.who,
    };
    let items = subscriber::begin(gateway.clone(), beginning).await?;
    Ok(messages(items, ALIVE))
}

/// What is left to be told.
enum Rest {
    Items(mpsc::Receiver<Item>),
    Status(Status),
    Nothing,
}

/// A message for each item, signs of life in silence, and the status that says why it ended.
fn messages(items: mpsc::Receiver<Item>, alive: Duration) -> Messages {
    let told = stream::unfold(Rest::Items(items), move |rest| async move {
        let mut items = match rest {
            Rest::Items(items) => items,
            Rest::Status(status) => return Some((Err(status), Rest::Nothing)),
            Rest::Nothing => return None,
        };
        let message = match timeout(alive, items.recv()).await {
            Err(_) => Message::Alive(Alive {}),
            Ok(Some(Item::Event(shown))) => Message::Event(event(&shown)),
            Ok(Some(Item::Reset(head))) => Message::Reset(Reset { head: head.0 }),
            Ok(Some(Item::End(end, after))) => {
                let (close, status) = closed(end, after);
                return Some((Ok(said(Message::Close(close))), Rest::Status(status)));
            }
            Ok(None) => return None,
        };
        Some((Ok(said(message)), Rest::Items(items)))
    });
    told.boxed()
}

fn said(message: Message) -> WatchEventsResponse {
    WatchEventsResponse {
        message: Some(message),
    }
}

fn closed(end: End, after: Cursor) -> (Close, Status) {
    let (reason, code, message) = match end {
        End::Slow | End::Gone => (
            Reason::Slow,
            Code::ResourceExhausted,
            "the reader did not read",
        ),
        End::Revoked => (
            Reason::Revoked,
            Code::Unauthenticated,
            "the credential opens nothing any more",
        ),
        End::Stopped => (Reason::Stopped, Code::Unavailable, "the gateway stops"),
        End::Failed => (
            Reason::Failed,
            Code::Unavailable,
            "the log could not be read",
        ),
    };
    let close = Close {
        reason: reason.into(),
        after: after.to_string(),
    };
    (close, Status::new(code, message))
}

/// The members of a CloudEvent that clients are told one by one.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    subject: Cow<'a, str>,
    time: Timestamp,
    #[serde(borrow)]
    dataschema: Cow<'a, str>,
    #[serde(borrow, default)]
    traceparent: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// The event as every stream tells it, in parts; its data are not copied.
fn event(shown: &Shown) -> Event {
    let members: Members<'_> =
        serde_json::from_slice(&shown.json).expect("it was written by the mapping a moment ago");
    Event {
        cursor: shown.cursor.to_string(),
        id: members.id.into_owned(),
        source: members.source.into_owned(),
        r#type: members.r#type.into_owned(),
        subject: members.subject.into_owned(),
        time: Some(told_time(members.time)),
        data_schema: members.dataschema.into_owned(),
        traceparent: members.traceparent.unwrap_or_default().into_owned(),
        data: shown.json.slice_ref(members.data.get().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use mirage_domain::id::Position;

    use super::*;

    #[tokio::test]
    async fn silence_has_its_signs_of_life_and_the_end_its_status() {
        let (out, items) = mpsc::channel(2);
        let mut told = messages(items, Duration::from_millis(1));
        let mut next = async || told.next().await.map(|told| told.map(|told| told.message));
        let is_alive = |message: &Option<Message>| matches!(message, Some(Message::Alive(_)));
        for _ in 0..3 {
            assert!(is_alive(&next().await.unwrap().unwrap()));
        }
        let after = Cursor {
            position: Position(7),
            index: 2,
        };
        out.send(Item::End(End::Failed, after)).await.unwrap();
        let mut last = next().await.unwrap().unwrap();
        while is_alive(&last) {
            last = next().await.unwrap().unwrap();
        }
        let Some(Message::Close(close)) = last else {
            panic!("{last:?}");
        };
        assert_eq!((close.reason(), &*close.after), (Reason::Failed, "7.2"));
        let status = next().await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(next().await.is_none());
    }
}
