//! Views that are made anew: by whom, once at a time, and on record.

use std::time::Duration;

use axum::http::Method;
use mirage_domain::id::WorkspaceId;
use mirage_domain::role::Role;
use serde_json::json;

use crate::rig::{Answered, Rig, request};

/// A key of an owner of the workspace `system`, which begins with the first user.
async fn administrators_key(rig: &Rig) -> String {
    let new = json!({"name": "ada", "role": "viewer", "password": "correct horse battery"});
    rig.owner(Method::POST, "/members", Some(new)).await.good();
    let key = rig.issue(&WorkspaceId::system(), Role::Owner, None).await;
    key.reveal()
}

async fn ask(rig: &Rig, key: &str, method: Method, path: &str) -> Answered {
    rig.send(request(key, method, path, None)).await
}

#[tokio::test]
async fn a_view_is_made_anew_while_the_old_one_answers_and_that_is_on_record() {
    let rig = Rig::new().await;
    let key = administrators_key(&rig).await;
    let before = rig.get("/entities?limit=1000").await.good();
    let begun = ask(&rig, &key, Method::POST, "/views/catalog/rebuild").await;
    assert_eq!(begun.status.as_u16(), 202);
    assert_eq!(begun.headers["location"], "/api/v1/views");
    assert_eq!(begun.good()["stage"], "running");
    rig.get("/entities?limit=1000").await.good();
    let rebuilt = loop {
        let views = rig.get("/views").await.good();
        let views = views["items"].as_array().unwrap();
        let catalog = views.iter().find(|view| view["view"] == "catalog").unwrap();
        if catalog["rebuild"]["stage"] != "running" {
            break catalog["rebuild"].clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(rebuilt["stage"], "done", "{rebuilt}");
    assert!(rebuilt["position"].as_u64() >= before["as_of"].as_u64());
    let path = format!("/entities?limit=1000&at={}", before["as_of"]);
    assert_eq!(rig.get(&path).await.good()["items"], before["items"]);
    let records = ask(&rig, &key, Method::GET, "/audit").await.good();
    let is_told = |record: &serde_json::Value| record["operation"] == "rebuild_view";
    let records = records["items"].as_array().unwrap();
    assert!(records.iter().any(is_told), "{records:?}");
}

#[tokio::test]
async fn nobody_else_makes_a_view_anew_and_there_must_be_one() {
    let rig = Rig::new().await;
    let key = administrators_key(&rig).await;
    let absent = ask(&rig, &key, Method::POST, "/views/nothing/rebuild").await;
    assert_eq!(absent.code(), "no_such_view");
    for role in Role::ALL {
        let refused = ask(
            &rig,
            &rig.key(0, role),
            Method::POST,
            "/views/graph/rebuild",
        )
        .await;
        assert_eq!(refused.code(), "forbidden");
    }
    let views = rig.get("/views").await.good();
    let views = views["items"].as_array().unwrap();
    assert!(
        views.iter().all(|view| view["rebuild"].is_null()),
        "{views:?}"
    );
}

#[tokio::test]
async fn a_log_is_proven_and_tells_a_workspace_nothing_of_others() {
    let rig = Rig::new().await;
    let key = administrators_key(&rig).await;
    let proven = rig.get("/log/verify").await.good();
    assert_eq!(proven["position"], rig.head().await.0);
    assert!(proven["events"].is_null() && proven["streams"].is_null());
    let proven = ask(&rig, &key, Method::GET, "/log/verify").await.good();
    assert!(proven["events"].as_u64() > Some(500), "{proven}");
}
