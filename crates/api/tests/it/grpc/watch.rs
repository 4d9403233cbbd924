//! Streams of events: all that happened, then what happens, in order and once, across restarts.

use std::time::Duration;

use mirage_api::grpc::v1::close::Reason;
use mirage_api::grpc::v1::watch_events_response::Message;
use mirage_api::grpc::v1::watch_service_client::WatchServiceClient;
use mirage_api::grpc::v1::{Close, Event, WatchEventsRequest};
use mirage_api::live::Limits;
use mirage_domain::role::Role;
use mirage_projections::testing::made_scan::workspace;
use serde_json::{Value, json};
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

use super::{call, channel, code};
use crate::live::reader::{self, PATIENCE};
use crate::live::{expected, start_scan};
use crate::rig::Rig;

/// An open stream.
struct Watcher(Streaming<mirage_api::grpc::v1::WatchEventsResponse>);

impl Watcher {
    async fn open(channel: &Channel, key: &str, asked: WatchEventsRequest) -> Self {
        Self::try_open(channel, key, asked).await.unwrap()
    }

    async fn try_open(
        channel: &Channel,
        key: &str,
        asked: WatchEventsRequest,
    ) -> Result<Self, Status> {
        let mut client = WatchServiceClient::new(channel.clone());
        let opened = client.watch_events(call(key, asked)).await?;
        Ok(Self(opened.into_inner()))
    }

    async fn next(&mut self) -> Result<Message, Status> {
        let next = timeout(PATIENCE, self.0.message())
            .await
            .expect("in time")?;
        Ok(next.expect("a status ends a stream").message.unwrap())
    }

    async fn event(&mut self) -> Event {
        match self.next().await.unwrap() {
            Message::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    /// The next `n` events as the other streams tell them.
    async fn take(&mut self, n: usize) -> Vec<reader::Message> {
        let mut taken = Vec::with_capacity(n);
        while taken.len() < n {
            taken.push(as_told(self.event().await));
        }
        taken
    }

    /// How the stream ends.
    async fn end(&mut self) -> (Close, Status) {
        let Message::Close(close) = self.next().await.unwrap() else {
            panic!("a close is the last message");
        };
        (close, self.next().await.unwrap_err())
    }
}

/// An event as a message of server-sent events.
fn as_told(event: Event) -> reader::Message {
    let time = event.time.unwrap();
    let time = jiff::Timestamp::new(time.seconds, time.nanos).unwrap();
    let data: Value = serde_json::from_slice(&event.data).unwrap();
    let mut told = json!({
        "specversion": "1.0", "id": event.id, "source": event.source, "type": event.r#type,
        "subject": event.subject, "time": time, "datacontenttype": "application/json",
        "dataschema": event.data_schema, "sequence": event.cursor, "data": data,
    });
    if !event.traceparent.is_empty() {
        told["traceparent"] = event.traceparent.into();
    }
    reader::Message {
        id: event.cursor,
        event: String::new(),
        data: told,
    }
}

fn after(cursor: &str) -> WatchEventsRequest {
    WatchEventsRequest {
        after: cursor.to_owned(),
        ..WatchEventsRequest::default()
    }
}

#[tokio::test]
async fn a_watch_goes_on_by_its_cursor_when_the_server_was_restarted() {
    let mut rig = Rig::new().await;
    let key = rig.key(0, Role::Viewer);
    let mut seen = Vec::new();
    let mut cursor = String::new();
    let history = expected(&rig, 0, rig.head().await).await.len();
    for read in [40, history - 60, 21] {
        let channel = channel(rig.serve().await).await;
        let mut watcher = Watcher::open(&channel, &key, after(&cursor)).await;
        let news = watcher.take(read).await;
        cursor = news.last().unwrap().id.clone();
        seen.extend(news);
        // What happens while the server is down, and in the other workspace, too.
        rig.restart();
        start_scan(&rig, 1).await;
        start_scan(&rig, 0).await;
    }
    let all = expected(&rig, 0, rig.head().await).await;
    let channel = channel(rig.serve().await).await;
    let mut watcher = Watcher::open(&channel, &key, after(&cursor)).await;
    seen.extend(watcher.take(all.len() - seen.len()).await);
    assert_eq!(seen, all);
    start_scan(&rig, 0).await;
    let all = expected(&rig, 0, rig.head().await).await;
    let news = &all[seen.len()..];
    assert_eq!(watcher.take(news.len()).await, news);
}

#[tokio::test]
async fn a_server_that_stops_says_where_to_go_on() {
    let mut rig = Rig::new().await;
    let key = rig.key(0, Role::Viewer);
    let one = channel(rig.serve().await).await;
    let mut watcher = Watcher::open(&one, &key, after("")).await;
    let all = expected(&rig, 0, rig.head().await).await;
    assert_eq!(watcher.take(all.len()).await, all);
    rig.restart();
    let (close, status) = watcher.end().await;
    assert_eq!(close.reason(), Reason::Stopped);
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(close.after, all.last().unwrap().id);
    start_scan(&rig, 0).await;
    let now = expected(&rig, 0, rig.head().await).await;
    let other = channel(rig.serve().await).await;
    let mut watcher = Watcher::open(&other, &key, after(&close.after)).await;
    assert_eq!(watcher.take(now.len() - all.len()).await, now[all.len()..]);
}

#[tokio::test]
async fn a_revoked_key_ends_its_watches_and_no_others() {
    let rig = Rig::new().await;
    let channel = channel(rig.serve().await).await;
    let secret = rig.issue(&workspace(0), Role::Viewer, None).await;
    let all = expected(&rig, 0, rig.head().await).await;
    let mut revoked = Watcher::open(&channel, &secret.reveal(), after("")).await;
    let mut other = Watcher::open(&channel, &rig.key(0, Role::Viewer), after("")).await;
    revoked.take(all.len()).await;
    other.take(all.len()).await;
    rig.revoke(&secret).await;
    start_scan(&rig, 0).await;
    let (close, status) = revoked.end().await;
    assert_eq!(close.reason(), Reason::Revoked);
    assert_eq!(close.after, all.last().unwrap().id);
    assert_eq!(status.code(), Code::Unauthenticated);
    other.event().await;
}

#[tokio::test]
async fn filters_let_through_what_they_name() {
    let rig = Rig::new().await;
    let channel = channel(rig.serve().await).await;
    let key = rig.key(0, Role::Viewer);
    let all = expected(&rig, 0, rig.head().await).await;
    let scan = rig.get("/scans").await.good()["items"][0]["scan_id"].clone();
    let scan = scan.as_str().unwrap();
    let asked = WatchEventsRequest {
        scan: scan.to_owned(),
        kinds: vec!["scan.requested".to_owned(), "task.found".to_owned()],
        ..WatchEventsRequest::default()
    };
    let subject = format!("scan/{scan}");
    let mut watcher = Watcher::open(&channel, &key, asked).await;
    let first = as_told(watcher.event().await);
    assert_eq!(
        (&first.data["subject"], &first.data["type"]),
        (&json!(subject), &json!("mirage.scan.requested"))
    );
    assert_eq!(watcher.event().await.r#type, "mirage.task.found");
    let found = all
        .iter()
        .filter(|told| told.data["type"] == "mirage.task.found");
    let found: Vec<_> = found.cloned().collect();
    let asked = WatchEventsRequest {
        kinds: vec!["task.found".to_owned()],
        ..WatchEventsRequest::default()
    };
    let mut watcher = Watcher::open(&channel, &key, asked).await;
    assert_eq!(watcher.take(found.len()).await, found);
    let wrong = [
        WatchEventsRequest {
            kinds: vec!["no.such".to_owned()],
            ..WatchEventsRequest::default()
        },
        WatchEventsRequest {
            modules: vec![" ".to_owned()],
            ..WatchEventsRequest::default()
        },
        WatchEventsRequest {
            scan: "x y".to_owned(),
            ..WatchEventsRequest::default()
        },
        after("x"),
    ];
    for asked in wrong {
        let refused = Watcher::try_open(&channel, &key, asked).await;
        let refused = refused.err().unwrap();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert_ne!(code(&refused), "none");
    }
}

#[tokio::test]
async fn a_cursor_beyond_the_log_begins_anew_and_says_so() {
    let rig = Rig::new().await;
    let channel = channel(rig.serve().await).await;
    let head = rig.head().await;
    let beyond = after(&format!("{}.1", head.0 + 1));
    let mut watcher = Watcher::open(&channel, &rig.key(1, Role::Owner), beyond).await;
    let Message::Reset(reset) = watcher.next().await.unwrap() else {
        panic!("the log ends before the cursor");
    };
    assert_eq!(reset.head, head.0);
    let all = expected(&rig, 1, head).await;
    assert_eq!(watcher.take(all.len()).await, all);
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_dropped_and_others_go_on() {
    let limits = Limits {
        patience: Duration::from_millis(500),
        ..Limits::default()
    };
    let rig = Rig::with(limits).await;
    let at = rig.serve().await;
    let key = rig.key(0, Role::Viewer);
    // Little is on its way before it is read.
    let narrow = Endpoint::from_shared(format!("http://{at}")).unwrap();
    let narrow = narrow
        .initial_stream_window_size(1024)
        .connect()
        .await
        .unwrap();
    let mut idle = Watcher::open(&narrow, &key, after("")).await;
    let mut other = Watcher::open(&channel(at).await, &key, after("")).await;
    let all = expected(&rig, 0, rig.head().await).await;
    assert_eq!(other.take(all.len()).await, all);
    let mut subscribers = rig.gateway.live.subscribers();
    subscribers.wait_for(|count| *count == 1).await.unwrap();
    start_scan(&rig, 0).await;
    let now = expected(&rig, 0, rig.head().await).await;
    assert_eq!(other.take(now.len() - all.len()).await, now[all.len()..]);
    // What was on its way before it was dropped, and from where on to ask again.
    let mut seen = Vec::new();
    let (close, status) = loop {
        match idle.next().await.unwrap() {
            Message::Event(event) => seen.push(as_told(event)),
            Message::Close(close) => break (close, idle.next().await.unwrap_err()),
            other => panic!("{other:?}"),
        }
    };
    assert!(seen.len() < all.len());
    assert_eq!(seen, all[..seen.len()]);
    assert_eq!(close.reason(), Reason::Slow);
    assert_eq!(close.after, seen.last().unwrap().id);
    assert_eq!(status.code(), Code::ResourceExhausted);
}
