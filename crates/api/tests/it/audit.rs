//! Who did what is on record: every change, every refusal, every read that few may make.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use axum::http::{Method, StatusCode};
use mirage_api::auth::operations;
use mirage_domain::role::Role;
use serde_json::{Value, json};

use crate::rig::{Rig, request};

async fn records(rig: &Rig, n: usize, query: &str) -> Vec<Value> {
    let (key, at) = (rig.key(n, Role::Auditor), rig.head().await);
    let path = format!("/audit?min_position={at}&limit=1000{query}");
    let answered = rig.send(request(&key, Method::GET, &path, None)).await;
    answered.good()["items"].as_array().unwrap().clone()
}

fn told(record: &Value, fields: &[&str]) -> Vec<String> {
    let text = |field: &&str| record[*field].as_str().unwrap_or("-").to_owned();
    fields.iter().map(text).collect()
}

#[tokio::test]
async fn a_refusal_is_on_record_in_the_workspace_of_who_was_refused() {
    let rig = Rig::new().await;
    let key = rig.key(0, Role::Viewer);
    for _ in 0..3 {
        let refused = rig
            .send(request(&key, Method::GET, "/api-keys", None))
            .await;
        assert_eq!(refused.code(), "forbidden");
    }
    let unknown = rig
        .send(request("mirage.x.y.z", Method::GET, "/scans", None))
        .await;
    assert_eq!(unknown.code(), "bad_credential");
    let own = records(&rig, 0, "&outcome=refused").await;
    assert_eq!(
        own.len(),
        1,
        "the second and third are counted later: {own:?}"
    );
    let fields = ["operation", "code", "actor_kind", "kind"];
    let expected = ["list_api_keys", "forbidden", "service", "audit.refused"];
    assert_eq!(told(&own[0], &fields), expected);
    assert_eq!(own[0]["count"], 1);
    assert_eq!(own[0]["trace_id"].as_str().unwrap().len(), 32);
    assert_eq!(
        records(&rig, 1, "&outcome=refused").await,
        Vec::<Value>::new()
    );
}

#[tokio::test]
async fn a_sign_in_that_fails_is_on_record_without_the_password() {
    let rig = Rig::new().await;
    let before = rig.head().await;
    let wrong = json!({"name": "nobody", "password": "a password that is wrong"});
    let answered = rig.send(request("", Method::POST, "/sign-in", Some(wrong)));
    assert_eq!(answered.await.status, StatusCode::UNAUTHORIZED);
    let head = rig.head().await;
    assert_eq!(head.0, before.0 + 1);
    let recorded = rig.log.commit(head).await.unwrap();
    assert_eq!(recorded.commit.stream.workspace.as_str(), "system");
    let text = String::from_utf8_lossy(&recorded.bytes);
    assert!(
        text.contains("audit.refused") && text.contains("\"sign_in\""),
        "{text}"
    );
    assert!(!text.contains("a password that"), "{text}");
}

#[tokio::test]
async fn a_read_that_few_may_make_is_on_record_before_it_is_answered() {
    let rig = Rig::new().await;
    let privileged: Vec<_> = operations::ALL
        .iter()
        .filter(|operation| operation.is_privileged_read())
        .collect();
    assert!(privileged.len() >= 4, "{privileged:?}");
    for operation in privileged {
        let path = operation.path.replace("{position}", "2");
        let subject = format!("/api/v1{path}");
        let before = rig.head().await;
        rig.owner(Method::GET, &path, None).await;
        assert_eq!(rig.head().await.0, before.0 + 1, "{}", operation.id);
        let read = records(&rig, 0, "&outcome=read").await;
        let is_there = read
            .iter()
            .any(|record| record["operation"] == operation.id && record["subject"] == subject);
        assert!(is_there, "{}: {read:?}", operation.id);
        let before = rig.head().await;
        rig.refusing.store(true, Ordering::SeqCst);
        let refused = rig.owner(Method::GET, &path, None).await;
        rig.refusing.store(false, Ordering::SeqCst);
        assert_eq!(
            refused.status,
            StatusCode::INSUFFICIENT_STORAGE,
            "{}",
            operation.id
        );
        assert_eq!(refused.code(), "disk_full");
        assert_eq!(rig.head().await, before);
    }
}

/// Each request that changes something, in an order in which all are sound.
fn changes(finding: &str, scan: &str) -> Vec<(Method, String, Option<Value>)> {
    vec![
        (
            Method::POST,
            "/scans".into(),
            Some(json!({"seeds": ["example.com"]})),
        ),
        (
            Method::PATCH,
            format!("/scans/{scan}"),
            Some(json!({"is_archived": true})),
        ),
        (
            Method::PUT,
            format!("/findings/{finding}/mark"),
            Some(json!({"verdict": "confirmed"})),
        ),
        (Method::DELETE, format!("/findings/{finding}/mark"), None),
        (
            Method::POST,
            "/api-keys".into(),
            Some(json!({"name": "x", "role": "viewer"})),
        ),
    ]
}

#[tokio::test]
async fn nothing_changes_without_a_record_of_who_did_it() {
    let rig = Rig::new().await;
    let first = async |path: &str, field: &str| {
        let listed = rig.get(path).await.good();
        listed["items"][0][field].as_str().unwrap().to_owned()
    };
    let finding = first("/findings?limit=1", "finding_id").await;
    let scan = first("/scans", "scan_id").await;
    for (method, path, body) in changes(&finding, &scan) {
        let send = async || {
            let key = rig.key(0, Role::Owner);
            let mut request = request(&key, method.clone(), &path, body.clone());
            request
                .headers_mut()
                .insert("if-match", "*".parse().unwrap());
            rig.send(request).await
        };
        let before = rig.head().await;
        rig.refusing.store(true, Ordering::SeqCst);
        let refused = send().await;
        rig.refusing.store(false, Ordering::SeqCst);
        assert_eq!(refused.code(), "disk_full", "{method} {path}");
        assert_eq!(rig.head().await, before, "{method} {path}");
        let done = send().await;
        done.good();
        let recorded = rig.log.commit(rig.head().await).await.unwrap();
        let actor = recorded.commit.actor.id.clone();
        assert!(actor.starts_with("api-key:"), "{method} {path}: {actor}");
        let since: BTreeSet<u64> = (before.0 + 1..=rig.head().await.0).collect();
        let told = records(&rig, 0, &format!("&actor={actor}&outcome=changed")).await;
        let told: BTreeSet<u64> = told
            .iter()
            .map(|record| record["position"].as_u64().unwrap())
            .collect();
        assert!(
            since.is_subset(&told),
            "{method} {path}: {since:?} of {told:?}"
        );
    }
}

#[tokio::test]
async fn records_are_told_to_owners_and_auditors_in_pages_and_of_a_past_moment() {
    let rig = Rig::new().await;
    let all = records(&rig, 0, "").await;
    assert!(all.len() > 10, "{}", all.len());
    let mut paged = Vec::new();
    let mut path = format!("/audit?limit=7&at={}", rig.head().await);
    loop {
        let page = rig.get(&path).await.good();
        paged.extend(page["items"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => path = format!("{}&cursor={next}", path.split("&cursor").next().unwrap()),
            None => break,
        }
    }
    // The reads of the audit themselves are younger.
    assert_eq!(paged[..all.len()], all);
    let family = records(&rig, 0, "&kind=workspace").await;
    assert!(!family.is_empty());
    assert!(
        family
            .iter()
            .all(|record| record["kind"].as_str().unwrap().starts_with("workspace."))
    );
    let wrong = rig.get("/audit?outcome=lost").await;
    assert_eq!(wrong.code(), "bad_query");
}
