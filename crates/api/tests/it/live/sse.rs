//! Streams of server-sent events: order, resumption, filters, rights, limits.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use http_body_util::BodyExt;
use mirage_api::live::Limits;
use mirage_domain::id::Cursor;
use mirage_domain::role::Role;
use mirage_projections::testing::made_scan::workspace;
use serde_json::{Value, json};
use tokio::time::timeout;
use tower::ServiceExt;

use super::reader::{Message, PATIENCE, Reader};
use super::{expected, start_scan};
use crate::rig::{Rig, request};

#[tokio::test]
async fn history_comes_first_and_then_what_happens_each_event_once() {
    let rig = Rig::new().await;
    let at = rig.serve().await;
    let mut reader = Reader::open(at, &rig.key(0, Role::Viewer), "", "").await;
    let history = expected(&rig, 0, rig.head().await).await;
    assert!(history.len() > 100, "{}", history.len());
    assert_eq!(reader.take(history.len()).await, history);
    for _ in 0..3 {
        // The other workspace's is not told.
        start_scan(&rig, 1).await;
        start_scan(&rig, 0).await;
    }
    // Who was refused what is for few, and asked for.
    let refused = request(&rig.key(0, Role::Viewer), Method::GET, "/audit", None);
    assert_eq!(rig.send(refused).await.code(), "forbidden");
    start_scan(&rig, 0).await;
    let all = expected(&rig, 0, rig.head().await).await;
    let news = &all[history.len()..];
    assert!(news.len() >= 3);
    assert_eq!(reader.take(news.len()).await, news);
    let first = &all[0].data;
    assert_eq!(first["specversion"], "1.0");
    assert_eq!(first["source"], format!("/mirage/{}", workspace(0)));
    assert_eq!(first["sequence"], json!(all[0].id));
}

#[tokio::test]
async fn a_stream_goes_on_in_the_middle_of_a_commit() {
    let rig = Rig::new().await;
    let at = rig.serve().await;
    let key = rig.key(0, Role::Auditor);
    let all = expected(&rig, 0, rig.head().await).await;
    let cursor = |n: usize| all[n].id.parse::<Cursor>().unwrap();
    let inside = (1..all.len())
        .filter(|n| cursor(*n).position == cursor(n - 1).position)
        .step_by(9);
    let mut tried = 0;
    for n in inside {
        let header = format!("Last-Event-ID: {}\r\n", all[n - 1].id);
        let mut by_header = Reader::open(at, &key, "?after=1", &header).await;
        let query = format!("?after={}", all[n - 1].id);
        let mut by_query = Reader::open(at, &key, &query, "").await;
        assert_eq!(by_header.take(all.len() - n).await, all[n..]);
        assert_eq!(by_query.take(all.len() - n).await, all[n..]);
        tried += 1;
    }
    assert!(tried > 3, "{tried}");
}

#[tokio::test]
async fn filters_let_through_what_they_name() {
    let rig = Rig::new().await;
    let at = rig.serve().await;
    let key = rig.key(0, Role::Viewer);
    let all = expected(&rig, 0, rig.head().await).await;
    let scan = rig.get("/scans").await.good()["items"][0]["scan_id"].clone();
    let scan = scan.as_str().unwrap();
    let of = |is_wanted: &dyn Fn(&Value) -> bool| -> Vec<Message> {
        let wanted = all.iter().filter(|message| is_wanted(&message.data));
        wanted.cloned().collect()
    };
    let mut reader = Reader::open(at, &key, "?kind=task.found,scan.requested", "").await;
    let wanted =
        of(&|data| data["type"] == "mirage.task.found" || data["type"] == "mirage.scan.requested");
    assert!(wanted.len() > 10);
    assert_eq!(reader.take(wanted.len()).await, wanted);
    let mut reader = Reader::open(at, &key, &format!("?scan={scan}&kind=scan.requested"), "").await;
    let subject = format!("scan/{scan}");
    let wanted = of(&|data| data["subject"] == subject && data["type"] == "mirage.scan.requested");
    assert_eq!(wanted.len(), 1);
    assert_eq!(reader.take(1).await, wanted);
    for wrong in [
        "?kind=no.such",
        "?scan=x%20y",
        "?after=x",
        "?other=1",
        "?module=%20",
    ] {
        let answered = rig.get(&format!("/events{wrong}")).await;
        assert_eq!(answered.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn a_cursor_beyond_the_log_begins_anew_and_says_so() {
    let rig = Rig::new().await;
    let at = rig.serve().await;
    let head = rig.head().await;
    let query = format!("?after={}.1", head.0 + 1);
    let mut reader = Reader::open(at, &rig.key(1, Role::Owner), &query, "").await;
    let reset = reader.next().await.unwrap();
    assert_eq!((reset.event.as_str(), reset.id.as_str()), ("reset", "0.0"));
    assert_eq!(reset.data["head"], head.0);
    let all = expected(&rig, 1, head).await;
    assert_eq!(reader.take(all.len()).await, all);
}

#[tokio::test]
async fn a_revoked_key_ends_its_streams_and_no_others() {
    let rig = Rig::new().await;
    let at = rig.serve().await;
    let secret = rig.issue(&workspace(0), Role::Viewer, None).await;
    let all = expected(&rig, 0, rig.head().await).await;
    let mut revoked = Reader::open(at, &secret.reveal(), "", "").await;
    let mut other = Reader::open(at, &rig.key(0, Role::Viewer), "", "").await;
    revoked.take(all.len()).await;
    other.take(all.len()).await;
    rig.revoke(&secret).await;
    start_scan(&rig, 0).await;
    let last = revoked.next().await.unwrap();
    assert_eq!(
        (last.event.as_str(), &last.data["reason"]),
        ("close", &json!("revoked"))
    );
    assert_eq!(last.data["after"], json!(all.last().unwrap().id));
    assert_eq!(revoked.next().await, None);
    assert_eq!(other.next().await.unwrap().event, "");
}

#[tokio::test]
async fn who_signs_out_ends_the_streams_of_the_session() {
    let rig = Rig::new().await;
    let at = rig.serve().await;
    let password = "correct horse battery";
    let new = json!({"name": "ada", "role": "viewer", "password": password});
    rig.owner(Method::POST, "/members", Some(new)).await.good();
    let asked = json!({"name": "ada", "password": password, "workspace": workspace(0).as_str()});
    let asked = request("", Method::POST, "/sign-in", Some(asked));
    let granted = rig.send(asked).await.good();
    let access = granted["access_token"].as_str().unwrap();
    let all = expected(&rig, 0, rig.head().await).await;
    let mut reader = Reader::open(at, access, "", "").await;
    reader.take(all.len()).await;
    let out = request(access, Method::POST, "/sign-out", None);
    rig.send(out).await.good();
    start_scan(&rig, 0).await;
    let last = reader.next().await.unwrap();
    assert_eq!(last.data["reason"], "revoked");
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
    let open = request(&key, Method::GET, "/events", None);
    let idle = rig.router.clone().oneshot(open).await.unwrap();
    let mut other = Reader::open(at, &key, "", "").await;
    let all = expected(&rig, 0, rig.head().await).await;
    assert_eq!(other.take(all.len()).await, all);
    let mut subscribers = rig.gateway.live.subscribers();
    subscribers.wait_for(|count| *count == 1).await.unwrap();
    start_scan(&rig, 0).await;
    let now = expected(&rig, 0, rig.head().await).await;
    assert_eq!(other.take(now.len() - all.len()).await, now[all.len()..]);
    // What was on its way before it was dropped, and from where on to ask again.
    let body = idle.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    let ids: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .collect();
    assert!(
        ids.iter()
            .eq(all[..ids.len()].iter().map(|message| &message.id))
    );
    let last = format!(
        "{{\"reason\":\"slow\",\"after\":\"{}\"}}\n\n",
        ids.last().unwrap()
    );
    assert!(text.ends_with(&last), "{text}");
    assert!(ids.len() < all.len());
}

/// More commits than the gateway keeps for those who are behind.
const BURST: usize = 300;

#[tokio::test]
async fn a_reader_that_falls_behind_the_tail_misses_nothing_and_repeats_nothing() {
    let rig = Rig::new().await;
    let key = rig.key(0, Role::Viewer);
    let open = request(&key, Method::GET, "/events", None);
    let mut body = rig.router.clone().oneshot(open).await.unwrap().into_body();
    let mut text = String::new();
    for scans in [1, BURST] {
        for _ in 0..scans {
            start_scan(&rig, 0).await;
        }
        let all = expected(&rig, 0, rig.head().await).await;
        while text.matches("\nid: ").count() < all.len() {
            let frame = timeout(PATIENCE, body.frame()).await.expect("in time");
            let frame = frame.unwrap().unwrap().into_data().unwrap();
            text += std::str::from_utf8(&frame).unwrap();
        }
        let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
        assert!(ids.eq(all.iter().map(|message| &message.id)));
    }
}

#[tokio::test]
async fn no_more_streams_are_opened_than_the_gateway_bears() {
    let limits = Limits {
        subscribers: 2,
        subscribers_of_one: 1,
        ..Limits::default()
    };
    let rig = Rig::with(limits).await;
    let at = rig.serve().await;
    let viewer = rig.key(0, Role::Viewer);
    let first = Reader::open(at, &viewer, "", "").await;
    let refused = async |role| {
        let asked = request(&rig.key(0, role), Method::GET, "/events", None);
        let answered = rig.send(asked).await;
        // Opened, it is dropped at once.
        answered.status
    };
    assert_eq!(refused(Role::Viewer).await, StatusCode::TOO_MANY_REQUESTS);
    let second = Reader::open(at, &rig.key(0, Role::Owner), "", "").await;
    assert_eq!(
        refused(Role::Auditor).await,
        StatusCode::SERVICE_UNAVAILABLE
    );
    drop((first, second));
    let mut subscribers = rig.gateway.live.subscribers();
    subscribers.wait_for(|count| *count == 0).await.unwrap();
    assert_eq!(refused(Role::Viewer).await, StatusCode::OK);
}

#[tokio::test]
async fn a_gateway_that_stops_ends_its_streams() {
    let rig = Rig::new().await;
    let at = rig.serve().await;
    let all = expected(&rig, 0, rig.head().await).await;
    let mut reader = Reader::open(at, &rig.key(0, Role::Viewer), "", "").await;
    reader.take(all.len()).await;
    rig.gateway.live.stop();
    let last = reader.next().await.unwrap();
    assert_eq!(
        last.data,
        json!({"reason": "stopped", "after": all.last().unwrap().id})
    );
    assert_eq!(reader.next().await, None);
}

#[tokio::test]
async fn five_hundred_streams_get_each_event_once() {
    let rig = Rig::new().await;
    let at = rig.serve().await;
    let head = rig.head().await;
    let history = expected(&rig, 0, head).await.len();
    let mut readers = Vec::new();
    for role in Role::ALL {
        let key = rig.key(0, role);
        for n in 0..500 / Role::ALL.len() as u64 {
            let query = format!("?after={}", head.0 - n % 3);
            readers.push(Reader::open(at, &key, &query, "").await);
        }
    }
    assert_eq!(readers.len(), 500);
    for _ in 0..5 {
        start_scan(&rig, 0).await;
    }
    let all = expected(&rig, 0, rig.head().await).await;
    assert!(all.len() > history);
    for (n, mut reader) in readers.into_iter().enumerate() {
        let after = head.0 - (n as u64 % 100) % 3;
        let wanted: Vec<_> = all
            .iter()
            .filter(|message| message.id.parse::<Cursor>().unwrap().position.0 > after)
            .collect();
        let taken = reader.take(wanted.len()).await;
        assert!(taken.iter().eq(wanted), "{n}");
    }
}
