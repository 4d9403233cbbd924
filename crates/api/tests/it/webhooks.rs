//! Subscriptions: made once, shown without a secret, changed at the revision that was read.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use mirage_domain::delivery::{Command, Deliveries, Fail};
use mirage_domain::id::{Cursor, Position, StreamId, SubscriptionId};
use mirage_domain::role::Role;
use mirage_log::commit::{Actor, ActorKind};
use mirage_log::execute::{Envelope, Store};
use mirage_projections::testing::made_scan::workspace;
use serde_json::{Value, json};

use crate::rig::{Answered, Rig, now, request};

const URL: &str = "https://example.com/hooks/1234";

fn body() -> Value {
    let filter = json!({"kinds": ["task.found", "scan.finished"], "modules": ["dns"]});
    json!({"name": "alerts", "url": URL, "filter": filter})
}

/// A request of the owner of the first workspace, with one more header.
async fn send(
    rig: &Rig,
    (method, path): (Method, &str),
    (name, value): (&str, &str),
    body: Option<Value>,
) -> Answered {
    let text = body.map(|body| body.to_string()).unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header(
            header::AUTHORIZATION,
            format!("Bearer {}", rig.key(0, Role::Owner)),
        )
        .header(header::CONTENT_TYPE, "application/json")
        .header(name, value)
        .body(Body::from(text));
    rig.send(request.unwrap()).await
}

async fn create(rig: &Rig, key: &str, body: Value) -> Answered {
    let call = (Method::POST, "/subscriptions");
    send(rig, call, ("idempotency-key", key), Some(body)).await
}

#[tokio::test]
async fn a_key_makes_a_subscription_once_and_its_secret_is_in_no_later_read() {
    let rig = Rig::new().await;
    let made = create(&rig, "k", body()).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let head = rig.head().await;
    assert_eq!(create(&rig, "k", body()).await.good(), made.good());
    assert_eq!(rig.head().await, head);
    let other = create(&rig, "k", json!({"name": "x", "url": URL})).await;
    assert_eq!(other.code(), "key_reused");
    let made = made.good();
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    let id = made["subscription_id"].as_str().unwrap();
    let one = rig.get(&format!("/subscriptions/{}", &id[..12])).await;
    let listed = rig.get("/subscriptions").await;
    assert_eq!(listed.good()["items"], json!([one.good()]));
    assert_eq!(
        one.good()["filter"]["kinds"],
        json!(["scan.finished", "task.found"])
    );
    for read in [one, listed] {
        assert!(!String::from_utf8_lossy(&read.body).contains(secret));
    }
    // A commit is told as it was written, or not at all.
    let commit = rig.get(&format!("/log/commits/{}", head.0)).await;
    assert_eq!(commit.code(), "no_such_position");
}

#[tokio::test]
async fn what_is_not_acceptable_makes_nothing() {
    let rig = Rig::new().await;
    let head = rig.head().await;
    for (change, code) in [
        (json!({"url": "ftp://example.com/"}), "bad_value"),
        (json!({"url": "https://a:b@example.com/"}), "bad_value"),
        (json!({"name": ""}), "bad_value"),
        (
            json!({"filter": {"kinds": ["delivery.failed"]}}),
            "bad_value",
        ),
        (json!({"filter": {"modules": ["a b"]}}), "bad_body"),
        (json!({"filter": {"kind": []}}), "bad_body"),
        (json!({"secret": "whsec_x"}), "bad_body"),
    ] {
        let mut body = body();
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        assert_eq!(create(&rig, "k", body).await.code(), code, "{change}");
    }
    assert_eq!(rig.head().await, head);
}

#[tokio::test]
async fn a_change_needs_the_revision_that_was_read_and_another_subscription_is_none() {
    let rig = Rig::new().await;
    let made = create(&rig, "k", body()).await.good();
    let path = format!(
        "/subscriptions/{}",
        made["subscription_id"].as_str().unwrap()
    );
    let tag = rig.get(&path).await.headers[header::ETAG].clone();
    create(&rig, "another", body()).await.good();
    let pause = || Some(json!({"is_paused": true}));
    let missing = rig.owner(Method::PATCH, &path, pause()).await;
    assert_eq!(missing.code(), "precondition_missing");
    let patch = || (Method::PATCH, path.as_str());
    let if_match = ("if-match", tag.to_str().unwrap());
    send(&rig, patch(), if_match, pause()).await.good();
    let paused = rig.get(&path).await.good();
    assert_eq!(
        (&paused["is_paused"], &paused["paused_because"]),
        (&json!(true), &json!("asked"))
    );
    let again = send(&rig, patch(), if_match, Some(json!({"name": "b"}))).await;
    assert_eq!(again.code(), "precondition_failed");
    rig.owner(Method::DELETE, &path, None).await.good();
    assert_eq!(rig.get(&path).await.code(), "no_such_subscription");
    let key = rig.key(1, Role::Owner);
    let foreign = rig
        .send(request(&key, Method::GET, "/subscriptions", None))
        .await;
    assert_eq!(foreign.good()["items"], json!([]));
}

#[tokio::test]
async fn a_rotated_secret_is_another_one_and_the_same_key_makes_one() {
    let rig = Rig::new().await;
    let made = create(&rig, "k", body()).await.good();
    let id = made["subscription_id"].as_str().unwrap();
    let path = format!("/subscriptions/{id}/secret");
    let rotate = || send(&rig, (Method::POST, &path), ("idempotency-key", "r"), None);
    let rotated = rotate().await.good();
    assert_ne!(rotated["secret"], made["secret"]);
    assert!(rotated["earlier_until"].is_string());
    assert_eq!(rotate().await.good(), rotated);
}

#[tokio::test]
async fn deliveries_are_listed_and_one_of_them_is_sent_once_more() {
    let rig = Rig::new().await;
    let made = create(&rig, "k", body()).await.good();
    let id = made["subscription_id"].as_str().unwrap();
    let cursor = Cursor {
        position: Position(3),
        index: 1,
    };
    fail(&rig, id, cursor).await;
    let path = format!("/subscriptions/{id}/deliveries");
    let listed = rig.get(&path).await.good();
    let row = &listed["items"][0];
    assert_eq!(
        (&row["cursor"], &row["state"]),
        (&json!("3.1"), &json!("retrying"))
    );
    assert!(row["next_at"].is_string());
    let resend = async |cursor: &str| {
        let path = format!("{path}/{cursor}/resend");
        rig.owner(Method::POST, &path, None).await
    };
    assert_eq!(resend("3.1").await.status, StatusCode::ACCEPTED);
    assert_eq!(
        rig.get(&path).await.good()["items"][0]["next_at"],
        Value::Null
    );
    assert_eq!(resend("3.2").await.code(), "no_such_delivery");
    assert_eq!(resend("x").await.code(), "bad_cursor");
}

/// As the notifying role writes it.
async fn fail(rig: &Rig, id: &str, cursor: Cursor) {
    let actor = Actor {
        kind: ActorKind::Service,
        id: "notify".into(),
        version: None,
    };
    let holder = "here".to_owned();
    let stream = StreamId::delivery(&workspace(0), &SubscriptionId::new(id).unwrap());
    let store = Store::<Deliveries>::new(rig.log.clone());
    let failed = Fail {
        holder: holder.clone(),
        cursor,
        kind: "task.found".into(),
        status: None,
        reason: "no answer in time".into(),
        at: now(),
    };
    for command in [Command::Claim { holder }, Command::Fail(failed)] {
        let envelope = Envelope::new(actor.clone(), now);
        store.execute(&stream, command, envelope).await.unwrap();
    }
}
