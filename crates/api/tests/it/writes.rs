//! Writes: keys that make them happen once, preconditions, and bodies that are refused.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use mirage_domain::role::Role;
use serde_json::{Value, json};

use crate::rig::{Answered, Rig};

async fn start(rig: &Rig, idempotency_key: &str, body: Value) -> Answered {
    let request = Request::post("/api/v1/scans")
        .header(
            header::AUTHORIZATION,
            format!("Bearer {}", rig.key(0, Role::Service)),
        )
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", idempotency_key)
        .body(Body::from(body.to_string()));
    rig.send(request.unwrap()).await
}

async fn change(rig: &Rig, scan: &str, if_match: Option<&str>, body: Value) -> Answered {
    let mut request = Request::patch(format!("/api/v1/scans/{scan}"))
        .header(
            header::AUTHORIZATION,
            format!("Bearer {}", rig.key(0, Role::Analyst)),
        )
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(tag) = if_match {
        request = request.header(header::IF_MATCH, tag);
    }
    rig.send(request.body(Body::from(body.to_string())).unwrap())
        .await
}

#[tokio::test]
async fn a_key_starts_a_scan_once_and_another_body_under_it_is_refused() {
    let rig = Rig::new().await;
    let body = json!({"seeds": ["example.com"], "profile": "passive"});
    let first = start(&rig, "k1", body.clone()).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert!(first.headers.contains_key(header::LOCATION));
    let head = rig.head().await;
    let again = start(&rig, "k1", body).await;
    assert_eq!(again.good(), first.good());
    assert_eq!(rig.head().await, head);
    let other = start(&rig, "k1", json!({"seeds": ["example.org"]})).await;
    assert_eq!(
        (other.status.as_u16(), other.code().as_str()),
        (422, "key_reused")
    );
}

#[tokio::test]
async fn a_request_that_asks_for_too_much_changes_nothing() {
    let rig = Rig::new().await;
    let head = rig.head().await;
    for (body, code) in [
        (json!({"seeds": []}), "bad_seed"),
        (json!({"seeds": ["\u{0}"]}), "bad_seed"),
        (
            json!({"seeds": ["example.com"], "profile": "active"}),
            "consent_missing",
        ),
        (
            json!({"seeds": ["example.com"], "modules": ["ports"]}),
            "bad_value",
        ),
        (
            json!({"seeds": ["example.com"], "modules": ["nmap"]}),
            "unknown_module",
        ),
        (
            json!({"seeds": ["example.com"], "allow_private": ["127.0.0.0/8"]}),
            "bad_value",
        ),
        (
            json!({"seeds": ["example.com"], "scope": ["!"]}),
            "bad_scope",
        ),
        (
            json!({"seeds": ["example.com"], "settings": {"crtsh.nothing": "1"}}),
            "bad_setting",
        ),
        (
            json!({"seeds": ["example.com"], "name": "x".repeat(201)}),
            "bad_value",
        ),
        (
            json!({"seeds": ["example.com"], "workspace": "other"}),
            "bad_body",
        ),
        (json!({"seeds": "example.com"}), "bad_body"),
    ] {
        let refused = start(&rig, "k2", body.clone()).await;
        assert_eq!(refused.code(), code, "{body}");
        assert!(refused.status.is_client_error(), "{body}");
    }
    assert_eq!(rig.head().await, head);
}

#[tokio::test]
async fn a_change_needs_the_version_that_was_read() {
    let rig = Rig::new().await;
    let started = start(&rig, "k3", json!({"seeds": ["example.com"]}))
        .await
        .good();
    let scan = started["scan_id"].as_str().unwrap();
    let path = format!("/scans/{scan}?min_position={}", started["position"]);
    let read = rig.get(&path).await;
    let tag = read.headers[header::ETAG].to_str().unwrap().to_owned();
    let pause = json!({"state": "paused"});
    assert_eq!(
        change(&rig, scan, None, pause.clone()).await.code(),
        "precondition_missing"
    );
    let stale = change(&rig, scan, Some("\"1\""), pause.clone()).await;
    assert_eq!(
        (stale.status.as_u16(), stale.code().as_str()),
        (412, "precondition_failed")
    );
    let paused = change(&rig, scan, Some(&tag), pause.clone()).await.good();
    let read = rig
        .get(&format!(
            "/scans/{scan}?min_position={}",
            paused["position"]
        ))
        .await;
    assert_eq!(read.good()["state"], "paused");
    assert_eq!(
        change(&rig, scan, Some(&tag), pause).await.code(),
        "precondition_failed"
    );
    change(&rig, scan, Some("*"), json!({"state": "stopped"}))
        .await
        .good();
    let both = json!({"state": "paused", "is_archived": true});
    assert_eq!(change(&rig, scan, Some("*"), both).await.code(), "bad_body");
}

#[tokio::test]
async fn a_body_of_another_kind_or_beyond_its_size_is_refused() {
    let rig = Rig::new().await;
    let post = async |media: &str, body: Vec<u8>| {
        let request = Request::post("/api/v1/scans")
            .header(
                header::AUTHORIZATION,
                format!("Bearer {}", rig.key(0, Role::Owner)),
            )
            .header(header::CONTENT_TYPE, media)
            .body(Body::from(body));
        rig.send(request.unwrap()).await
    };
    assert_eq!(
        post("text/plain", b"{}".to_vec()).await.code(),
        "unsupported_media"
    );
    assert_eq!(
        post("application/json", vec![b' '; 2 << 20]).await.code(),
        "body_too_large"
    );
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    assert_eq!(post("application/json", deep).await.code(), "bad_body");
    assert_eq!(
        post("application/json", vec![0xff, 0xfe]).await.code(),
        "bad_body"
    );
}

#[tokio::test]
async fn a_key_that_is_issued_opens_and_its_listing_shows_no_secret() {
    let rig = Rig::new().await;
    let body = json!({"name": "ci", "role": "viewer"});
    let issued = rig
        .owner(Method::POST, "/api-keys", Some(body))
        .await
        .good();
    let secret = issued["api_key"].as_str().unwrap();
    let who = crate::rig::request(secret, Method::GET, "/whoami", None);
    assert_eq!(rig.send(who).await.good()["role"], "viewer");
    let listed = rig.get("/api-keys").await;
    let text = String::from_utf8(listed.body.clone()).unwrap();
    assert!(!text.contains(secret.rsplit_once('.').unwrap().1));
    assert!(text.contains(issued["key_id"].as_str().unwrap()));
    let path = format!("/api-keys/{}", issued["key_id"].as_str().unwrap());
    let revoked = rig.owner(Method::DELETE, &path, None).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    let who = crate::rig::request(secret, Method::GET, "/whoami", None);
    assert_eq!(rig.send(who).await.code(), "bad_credential");
}
