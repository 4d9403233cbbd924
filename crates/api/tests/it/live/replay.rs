//! Replays of a scan: every event once, in its time, and to an end.

use mirage_domain::role::Role;
use mirage_projections::testing::made_scan::workspace;
use serde_json::{Value, json};

use super::reader::{Message, Reader};
use crate::matrix::ids;
use crate::rig::Rig;

/// A scan and its events, as an export tells them.
async fn scan(rig: &Rig) -> (String, Vec<Value>) {
    let scan = ids(rig, 0).await.scan;
    let path = format!("/scans/{scan}/export?format=cloudevents");
    let text = String::from_utf8(rig.get(&path).await.body).unwrap();
    let events = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (scan, events.collect())
}

/// All messages up to the last, and the reason of that one.
async fn whole(mut reader: Reader) -> (Vec<Message>, String) {
    let mut all = Vec::new();
    loop {
        let message = reader.next().await.expect("an end that is told");
        if message.event == "close" {
            return (all, message.data["reason"].as_str().unwrap().to_owned());
        }
        all.push(message);
    }
}

fn data(messages: Vec<Message>) -> Vec<Value> {
    messages.into_iter().map(|message| message.data).collect()
}

#[tokio::test]
async fn a_replay_holds_each_event_once_and_goes_on_where_it_broke() {
    let rig = Rig::new().await;
    let (at, key) = (rig.serve().await, rig.key(0, Role::Viewer));
    let (scan, events) = scan(&rig).await;
    assert!(events.len() > 20);
    let open = async |query: &str, headers: &str| {
        let path = format!("/scans/{scan}/replay?speed=max{query}");
        whole(Reader::of(at, &key, &path, headers).await).await
    };
    let (all, reason) = open("", "").await;
    assert_eq!((data(all.clone()), &*reason), (events.clone(), "over"));
    let middle = events.len() / 2;
    let header = format!("Last-Event-ID: {}\r\n", all[middle - 1].id);
    assert_eq!(data(open("", &header).await.0), events[middle..]);
    let position = |event: &Value| -> u64 {
        let cursor = event["sequence"].as_str().unwrap().split_once('.');
        cursor.unwrap().0.parse().unwrap()
    };
    let (from, to) = (position(&events[5]), position(&events[middle]));
    let within = events
        .iter()
        .filter(|event| (from..=to).contains(&position(event)));
    let within: Vec<Value> = within.cloned().collect();
    let stretch = open(&format!("&from={from}&to={to}"), "").await;
    assert_eq!(data(stretch.0), within);
    let commits = data(open("&shape=commits", "").await.0);
    let kinds = commits
        .iter()
        .flat_map(|commit| commit["commit"]["events"].as_array().unwrap());
    assert_eq!(kinds.count(), events.len());
}

#[tokio::test]
async fn a_replay_keeps_its_time_and_ends_with_the_right_to_it() {
    let rig = Rig::new().await;
    let at = rig.serve().await;
    let (scan, events) = scan(&rig).await;
    let secret = rig.issue(&workspace(0), Role::Viewer, None).await;
    let path = format!("/scans/{scan}/replay?speed=0.000001");
    let mut reader = Reader::of(at, &secret.reveal(), &path, "").await;
    let first = reader.next().await.expect("the first event, at once");
    assert_eq!(first.data, events[0]);
    rig.revoke(&secret).await;
    let (rest, reason) = whole(reader).await;
    assert_eq!(reason, "revoked");
    assert!(1 + rest.len() < events.len());
}

#[tokio::test]
async fn what_is_no_speed_no_shape_and_no_position_is_refused() {
    let rig = Rig::new().await;
    let scan = ids(&rig, 0).await.scan;
    for (query, code) in [
        ("speed=0", "bad_query"),
        ("speed=fast", "bad_query"),
        ("shape=rows", "bad_query"),
        ("at=3", "bad_query"),
        ("from=9999999", "no_such_position"),
        ("to=9999999", "no_such_position"),
    ] {
        let refused = rig.get(&format!("/scans/{scan}/replay?{query}")).await;
        assert_eq!(refused.code(), code, "{query}");
    }
    let refused = rig.get("/scans/scn_nothing/replay").await;
    assert_eq!(refused.json()["code"], json!("no_such_scan"));
}
