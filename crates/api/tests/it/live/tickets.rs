//! Streams that a page in a browser opens: by a ticket, once, with the rights of who asked for it.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use mirage_domain::role::Role;
use mirage_projections::testing::made_scan::workspace;

use crate::rig::{Answered, Rig, request};

async fn ticket(rig: &Rig, key: &str) -> String {
    let issued = rig.send(request(key, Method::POST, "/events/tickets", None));
    let issued = issued.await.good();
    assert_eq!(issued["expires_in"], 30);
    issued["ticket"].as_str().unwrap().to_owned()
}

/// A request without a header of who asks.
async fn open(rig: &Rig, path: &str) -> Answered {
    let asked = Request::get(format!("/api/v1{path}"));
    rig.send(asked.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_ticket_opens_one_stream_of_who_asked_for_it() {
    let rig = Rig::new().await;
    let ticket = ticket(&rig, &rig.key(0, Role::Viewer)).await;
    let path = format!("/events?after=1&ticket={ticket}");
    assert_eq!(open(&rig, &path).await.status, StatusCode::OK);
    assert_eq!(open(&rig, &path).await.code(), "bad_credential");
}

#[tokio::test]
async fn a_ticket_opens_a_socket_and_nothing_else() {
    let rig = Rig::new().await;
    let key = rig.key(0, Role::Viewer);
    let first = ticket(&rig, &key).await;
    // It was let in: what is missing is the upgrade.
    let socket = open(&rig, &format!("/events/ws?ticket={first}")).await;
    assert_eq!(socket.code(), "upgrade_needed");
    let other = ticket(&rig, &key).await;
    let findings = open(&rig, &format!("/findings?ticket={other}")).await;
    assert_eq!(findings.code(), "sign_in_needed");
    let both = request(&key, Method::GET, &format!("/events?ticket={other}"), None);
    assert_eq!(rig.send(both).await.code(), "bad_credential");
}

#[tokio::test]
async fn a_ticket_of_a_key_that_was_revoked_opens_nothing() {
    let rig = Rig::new().await;
    let secret = rig.issue(&workspace(0), Role::Viewer, None).await;
    let ticket = ticket(&rig, &secret.reveal()).await;
    rig.revoke(&secret).await;
    let refused = open(&rig, &format!("/events?ticket={ticket}")).await;
    assert_eq!(refused.code(), "bad_credential");
}

#[tokio::test]
async fn no_ticket_stands_in_what_is_on_record() {
    let rig = Rig::new().await;
    let spent = ticket(&rig, &rig.key(0, Role::Viewer)).await;
    let path = format!("/events?ticket={spent}");
    open(&rig, &path).await;
    open(&rig, &path).await;
    assert!(!rig.refusals().await.is_empty());
    for at in 1..=rig.head().await.0 {
        let recorded = rig
            .log
            .commit(mirage_domain::id::Position(at))
            .await
            .unwrap();
        let text = format!("{:?}", recorded.commit);
        assert!(!text.contains(&spent), "{text}");
    }
}
