//! Reads: pages, moments, parameters, and what an answer may tell.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::Value;

use crate::rig::Rig;

async fn all(rig: &Rig, path: &str, limit: usize) -> Vec<Value> {
    let (mut items, mut next) = (Vec::new(), String::new());
    loop {
        let page = rig.get(&format!("{path}limit={limit}{next}")).await.good();
        let rows = page["items"].as_array().unwrap();
        assert!(rows.len() <= limit);
        items.extend(rows.iter().cloned());
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => return items,
        }
    }
}

#[tokio::test]
async fn pages_of_any_size_hold_the_same_list() {
    let rig = Rig::new().await;
    let entity = rig.get("/entities?limit=1").await.good()["items"][0]["entity_id"].clone();
    let neighbors = format!("/entities/{}/neighbors?", entity.as_str().unwrap());
    for path in [
        "/findings?",
        "/entities?",
        "/scans?",
        "/search?q=host&",
        &neighbors,
        "/marks?",
    ] {
        let mut whole = all(&rig, path, 1000).await;
        let mut small = all(&rig, path, 3).await;
        if path.starts_with("/search") {
            // What fits a page is ranked.
            let by_id = |hit: &Value| hit["finding_id"].to_string();
            whole.sort_by_key(by_id);
            small.sort_by_key(by_id);
        }
        assert!(path == "/marks?" || !whole.is_empty(), "{path}");
        assert_eq!(whole, small, "{path}");
    }
}

#[tokio::test]
async fn a_cursor_continues_its_own_list_only() {
    let rig = Rig::new().await;
    let page = rig.get("/findings?limit=2").await.good();
    let cursor = page["next_cursor"].as_str().unwrap();
    for path in [
        "/findings?kind=domain&limit=2&cursor=",
        "/entities?limit=2&cursor=",
    ] {
        let refused = rig.get(&format!("{path}{cursor}")).await;
        assert_eq!(refused.code(), "bad_cursor", "{path}");
    }
    let refused = rig.get("/findings?cursor=x").await;
    assert_eq!(refused.code(), "bad_cursor");
}

#[tokio::test]
async fn a_read_of_the_past_names_its_position_and_a_future_one_is_refused() {
    let rig = Rig::new().await;
    let head = rig.get("/findings").await.good()["as_of"].as_u64().unwrap();
    let early = rig.get("/findings?at=20&limit=1000").await.good();
    assert_eq!(early["as_of"], 20);
    let late = rig.get("/findings?limit=1000").await.good();
    let count = |page: &Value| page["items"].as_array().unwrap().len();
    assert!(count(&early) < count(&late));
    // The views may still be folding what the rig wrote last.
    let future = rig.get(&format!("/findings?at={}", head + 1_000)).await;
    assert_eq!(future.code(), "no_such_position");
    let awaited = rig.get("/findings?min_position=9223372036854775808").await;
    assert_eq!(awaited.code(), "no_such_position");
    let refused = rig.get("/findings?at=tomorrow").await;
    assert_eq!(refused.code(), "bad_query");
}

#[tokio::test]
async fn a_read_waits_for_views_that_nobody_has_folded_yet() {
    let mut rig = Rig::new().await;
    let runner = rig.without_views();
    let later = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        runner.fold_to_head().await.unwrap();
    });
    for path in ["/scans", "/search?q=host"] {
        rig.get(path).await.good();
    }
    later.await.unwrap();
}

#[tokio::test]
async fn unknown_parameters_and_values_are_refused() {
    let rig = Rig::new().await;
    for path in [
        "/findings?knd=domain",
        "/findings?kind=domian",
        "/findings?limit=0",
        "/findings?limit=1001",
        "/findings?in_scope=maybe",
        "/scans?archived=1",
        "/whoami?x=1",
        "/search",
        "/log?x",
        "/graph/paths?from=ip:192.0.2.0&to=ip:192.0.2.3&max_hops=99",
        "/search?q=%22open",
    ] {
        let refused = rig.get(path).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(refused.code(), "bad_query", "{path}");
    }
}

#[tokio::test]
async fn what_lies_nowhere_and_what_has_other_methods_is_told_as_a_document() {
    let rig = Rig::new().await;
    assert_eq!(rig.get("/nothing").await.code(), "no_such_resource");
    let refused = rig.owner(Method::DELETE, "/scans", None).await;
    assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(refused.headers.contains_key("allow"));
    assert_eq!(refused.code(), "method_not_allowed");
}

#[tokio::test]
async fn an_answer_has_safe_headers_and_a_refusal_names_its_trace_and_its_page() {
    let rig = Rig::new().await;
    let request = Request::get("/api/v1/scans")
        .header(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        .body(Body::empty());
    let refused = rig.send(request.unwrap()).await;
    assert_eq!(refused.headers["x-content-type-options"], "nosniff");
    assert_eq!(
        refused.json()["trace_id"],
        "0af7651916cd43dd8448eb211c80319c"
    );
    let page = refused.json()["type"].as_str().unwrap().to_owned();
    let page = rig
        .send(Request::get(page).body(Body::empty()).unwrap())
        .await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.body.is_empty());
}

#[tokio::test]
async fn a_read_may_wait_for_its_own_write() {
    let rig = Rig::new().await;
    let finding = rig.get("/findings?limit=1").await.good()["items"][0]["finding_id"].clone();
    let path = format!("/findings/{}/mark", finding.as_str().unwrap());
    let body = serde_json::json!({"verdict": "confirmed"});
    let marked = rig.owner(Method::PUT, &path, Some(body)).await.good();
    let marks = rig
        .get(&format!("/marks?min_position={}", marked["position"]))
        .await
        .good();
    let marked = marks["items"]
        .as_array()
        .unwrap()
        .iter()
        .any(|mark| mark["finding_id"] == finding);
    assert!(marked, "{marks}");
}

#[tokio::test]
async fn a_position_that_was_answered_is_waited_for_where_it_is_asked_about() {
    let rig = Rig::new().await;
    for _ in 0..20 {
        let body = serde_json::json!({"seeds": ["example.com"]});
        let started = rig.owner(Method::POST, "/scans", Some(body)).await.good();
        let at = &started["position"];
        for path in ["/scans?at=", "/search?q=host&at="] {
            let read = rig.get(&format!("{path}{at}")).await.good();
            assert_eq!(read["as_of"], *at, "{path}");
        }
    }
}

#[tokio::test]
async fn why_reaches_a_seed_and_is_told_as_prov_too() {
    let rig = Rig::new().await;
    let findings = rig.get("/findings?limit=1000").await.good();
    let items = findings["items"].as_array().unwrap();
    let child = items
        .iter()
        .find(|finding| !finding["parent_id"].is_null())
        .unwrap();
    let path = format!("/findings/{}/why", child["finding_id"].as_str().unwrap());
    let why = rig.get(&path).await.good();
    assert_eq!(why["reaches_seed"], true);
    assert!(why["proofs"].as_array().unwrap().len() > 1);
    let prov = rig.get(&format!("{path}?shape=prov")).await.good();
    assert!(prov["entity"].is_object(), "{prov}");
}
