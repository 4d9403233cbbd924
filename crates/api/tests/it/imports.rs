//! Imports: a file becomes a scan once; a bad one changes nothing.

use axum::body::Body;
use axum::http::{Request, header};
use mirage_domain::role::Role;
use serde_json::json;

use crate::rig::{Answered, Rig};

/// A file of BBOT with so many names, and a line behind the first one.
fn file(names: usize, second: &str) -> String {
    let name = |n: usize| {
        json!({
            "type": "DNS_NAME", "id": format!("DNS_NAME:{n}"), "uuid": format!("DNS_NAME:u{n}"),
            "data": format!("n{n}.company.example"), "parent": "SCAN:s", "parent_uuid": "SCAN:s",
            "module": "crt", "tags": ["in-scope"],
        })
        .to_string()
    };
    let mut lines: Vec<String> = (0..names).map(name).collect();
    lines.insert(1, second.to_owned());
    lines.join("\n")
}

async fn send(rig: &Rig, role: Role, query: &str, file: impl Into<Body>) -> Answered {
    let request = Request::post(format!("/api/v1/imports?{query}"))
        .header(
            header::AUTHORIZATION,
            format!("Bearer {}", rig.key(0, role)),
        )
        .header("idempotency-key", "any");
    rig.send(request.body(file.into()).unwrap()).await
}

#[tokio::test]
async fn a_file_is_imported_once_and_its_bad_records_are_told() {
    let rig = Rig::new().await;
    let file = file(3, "{oops");
    let made = send(&rig, Role::Service, "format=bbot&name=x", file.clone()).await;
    let (status, location) = (made.status, made.headers["location"].clone());
    let made = made.good();
    assert_eq!(status, 201, "{made}");
    assert_eq!((&made["records"], &made["bad"]), (&json!(3), &json!(1)));
    assert_eq!(made["unreadable"][0]["line"], 2);
    let scan = made["scan_id"].as_str().unwrap();
    assert_eq!(location, format!("/api/v1/scans/{scan}"));
    let path = format!("/scans/{scan}?min_position={}", made["position"]);
    assert_eq!(rig.get(&path).await.good()["name"], "x");
    let before = rig.head().await;
    let again = send(&rig, Role::Owner, "format=bbot", file).await;
    assert_eq!(again.status, 200);
    let again = again.good();
    assert_eq!(
        (&again["scan_id"], &again["is_new"]),
        (&made["scan_id"], &json!(false))
    );
    assert!(rig.changes(before).await.is_empty());
}

#[tokio::test]
async fn what_is_no_such_file_changes_nothing() {
    let rig = Rig::new().await;
    let before = rig.head().await;
    for (query, file, code) in [
        ("format=bbot", String::new(), "bad_file"),
        ("format=bbot", "\u{1f}\u{8b}".into(), "bad_file"),
        ("format=bbot", "[".repeat(2_000_000), "bad_file"),
        ("format=nmap", "<nmaprun><host>".into(), "bad_file"),
        ("format=commits", "{}".into(), "bad_file"),
        ("format=bbt", file(3, ""), "bad_query"),
        ("name=x", file(3, ""), "bad_query"),
        ("format=bbot&scope=!", file(3, ""), "bad_scope"),
    ] {
        let refused = send(&rig, Role::Analyst, query, file).await;
        assert_eq!(refused.code(), code, "{query}");
    }
    let refused = send(&rig, Role::Viewer, "format=bbot", file(3, "")).await;
    assert_eq!(refused.code(), "forbidden");
    assert!(rig.changes(before).await.is_empty());
}
