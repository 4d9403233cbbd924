//! Arrays over a WebSocket, and each of the codes that close it.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::{HeaderValue, Method, StatusCode};
use futures::{SinkExt, StreamExt};
use mirage_api::live::{Limits, ws};
use mirage_domain::role::Role;
use mirage_projections::testing::made_scan::workspace;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::reader::PATIENCE;
use super::{expected, start_scan};
use crate::rig::{Rig, request};

struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn open(at: SocketAddr, key: &str, origin: Option<&str>) -> Result<Self, StatusCode> {
        let url = format!("ws://{at}/api/v1/events/ws");
        let mut request = url.into_client_request().unwrap();
        let header = |text: &str| HeaderValue::from_str(text).unwrap();
        let headers = request.headers_mut();
        headers.insert("authorization", header(&format!("Bearer {key}")));
        if let Some(origin) = origin {
            headers.insert("origin", header(origin));
        }
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        let socket = socket.connect(at).await.unwrap();
        match tokio_tungstenite::client_async(request, socket).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(answered)) => Err(answered.status()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn subscribed(at: SocketAddr, key: &str, subscribe: Value) -> Self {
        let mut socket = Self::open(at, key, None).await.unwrap();
        socket.say(json!({"subscribe": subscribe})).await;
        socket
    }

    async fn say(&mut self, said: Value) {
        self.0.send(Message::text(said.to_string())).await.unwrap();
    }

    /// The next message with something in it: text, or a close.
    async fn next(&mut self) -> Message {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.next()).await;
            match next.expect("in time").expect("a close first").unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    /// The next `n` events; messages are arrays of them.
    async fn take(&mut self, n: usize) -> Vec<Value> {
        let mut taken = Vec::new();
        while taken.len() < n {
            let message = self.next().await;
            let text = message.to_text().unwrap();
            let events: Vec<Value> = serde_json::from_str(text).unwrap();
            assert!(!events.is_empty());
            taken.extend(events);
        }
        assert_eq!(taken.len(), n);
        taken
    }

    /// Code and reason of the close that comes after all else.
    async fn close(&mut self) -> (u16, String) {
        loop {
            if let Message::Close(Some(close)) = self.next().await {
                return (close.code.into(), close.reason.to_string());
            }
        }
    }
}

async fn told(rig: &Rig, n: usize) -> Vec<Value> {
    let all = expected(rig, n, rig.head().await).await;
    all.into_iter().map(|message| message.data).collect()
}

#[tokio::test]
async fn a_socket_gets_arrays_of_the_history_and_of_what_happens() {
    let rig = Rig::new().await;
    let at = rig.serve().await;
    let key = rig.key(0, Role::Viewer);
    let all = told(&rig, 0).await;
    let mut socket = Socket::subscribed(at, &key, json!({})).await;
    assert_eq!(socket.take(all.len()).await, all);
    start_scan(&rig, 1).await;
    start_scan(&rig, 0).await;
    let now = told(&rig, 0).await;
    assert_eq!(socket.take(now.len() - all.len()).await, now[all.len()..]);
    let after = &now[40]["sequence"];
    let mut socket = Socket::subscribed(at, &key, json!({"after": after})).await;
    assert_eq!(socket.take(now.len() - 41).await, now[41..]);
    let kind = json!({"kind": ["scan.requested"], "after": "0"});
    let wanted = now
        .iter()
        .filter(|event| event["type"] == "mirage.scan.requested");
    let wanted: Vec<_> = wanted.cloned().collect();
    let mut socket = Socket::subscribed(at, &key, kind).await;
    assert_eq!(socket.take(wanted.len()).await, wanted);
}

#[tokio::test]
async fn a_cursor_beyond_the_log_is_told_first() {
    let rig = Rig::new().await;
    let at = rig.serve().await;
    let (key, head) = (rig.key(0, Role::Owner), rig.head().await.0);
    let beyond = json!({"after": format!("{}.1", head + 5)});
    let mut socket = Socket::subscribed(at, &key, beyond).await;
    let reset: Value = serde_json::from_str(socket.next().await.to_text().unwrap()).unwrap();
    assert_eq!(reset, json!({"reset": {"head": head}}));
    let all = told(&rig, 0).await;
    assert_eq!(socket.take(all.len()).await, all);
}

#[tokio::test]
async fn what_is_not_understood_closes_the_socket() {
    let rig = Rig::new().await;
    let at = rig.serve().await;
    let key = rig.key(0, Role::Viewer);
    for said in [
        json!({"ack": "1.1"}),
        json!({"subscribe": {"after": "x"}}),
        json!({"subscribe": {"kind": ["no.such.kind".repeat(30)]}}),
        json!({"subscribe": {"scan": "a b"}}),
        json!({"subscribe": {"other": 1}}),
        json!([]),
    ] {
        let mut socket = Socket::open(at, &key, None).await.unwrap();
        socket.say(said.clone()).await;
        assert_eq!(socket.close().await.0, ws::BAD_SUBSCRIBE, "{said}");
    }
    for said in [json!({"subscribe": {}}), json!({"ack": "999999.1"})] {
        let mut socket = Socket::subscribed(at, &key, json!({})).await;
        socket.say(said.clone()).await;
        assert_eq!(socket.close().await.0, ws::BAD_SUBSCRIBE, "{said}");
    }
}

#[tokio::test]
async fn a_revoked_key_closes_its_socket_and_the_reason_is_what_was_acknowledged() {
    let rig = Rig::new().await;
    let at = rig.serve().await;
    let secret = rig.issue(&workspace(0), Role::Viewer, None).await;
    let all = told(&rig, 0).await;
    let mut socket = Socket::subscribed(at, &secret.reveal(), json!({})).await;
    socket.take(all.len()).await;
    let acknowledged = &all[7]["sequence"];
    socket.say(json!({"ack": acknowledged})).await;
    // Its answer comes after the acknowledgement was heard.
    socket.0.send(Message::Ping("x".into())).await.unwrap();
    let pong = socket.0.next().await.unwrap().unwrap();
    assert_eq!(pong, Message::Pong("x".into()));
    rig.revoke(&secret).await;
    let reason = acknowledged.as_str().unwrap().to_owned();
    assert_eq!(socket.close().await, (ws::REVOKED, reason));
}

#[tokio::test]
async fn a_socket_that_is_not_read_is_closed_with_where_to_go_on() {
    let limits = Limits {
        patience: Duration::from_millis(500),
        ..Limits::default()
    };
    let rig = Rig::with(limits).await;
    let at = rig.serve().await;
    let key = rig.key(0, Role::Viewer);
    let all = told(&rig, 0).await;
    let mut idle = Socket::subscribed(at, &key, json!({})).await;
    let mut other = Socket::subscribed(at, &key, json!({})).await;
    assert_eq!(other.take(all.len()).await, all);
    let mut subscribers = rig.gateway.live.subscribers();
    subscribers.wait_for(|count| *count == 1).await.unwrap();
    let mut seen = Vec::new();
    let close = loop {
        match idle.next().await {
            Message::Text(text) => {
                let events: Vec<Value> = serde_json::from_str(&text).unwrap();
                seen.extend(events);
            }
            Message::Close(close) => break close.expect("a reason"),
            message => panic!("{message:?}"),
        }
    };
    assert_eq!(u16::from(close.code), ws::SLOW);
    assert!(!seen.is_empty() && seen.len() < all.len(), "{}", seen.len());
    assert_eq!(seen, all[..seen.len()]);
    assert_eq!(close.reason.as_str(), seen.last().unwrap()["sequence"]);
}

#[tokio::test]
async fn a_page_of_another_origin_gets_no_socket() {
    let rig = Rig::new().await;
    let at = rig.serve().await;
    let key = rig.key(0, Role::Owner);
    for foreign in [
        "https://elsewhere.example",
        "null",
        "",
        &format!("http://{at}.elsewhere.example"),
        "http://127.0.0.1:1",
    ] {
        let refused = Socket::open(at, &key, Some(foreign)).await.err();
        assert_eq!(refused, Some(StatusCode::FORBIDDEN), "{foreign}");
    }
    let own = format!("http://{at}");
    assert!(Socket::open(at, &key, Some(&own)).await.is_ok());
    let refused = Socket::open(at, "mirage.x.y.z", None).await.err();
    assert_eq!(refused, Some(StatusCode::UNAUTHORIZED));
    let plain = request(&key, Method::GET, "/events/ws", None);
    assert_eq!(rig.send(plain).await.code(), "upgrade_needed");
}
