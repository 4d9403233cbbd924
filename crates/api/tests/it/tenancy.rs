//! Workspaces and teams over the gateway.

use axum::http::{Method, StatusCode};
use mirage_domain::id::WorkspaceId;
use mirage_domain::role::Role;
use mirage_projections::testing::made_scan::workspace;
use serde_json::{Value, json};

use crate::rig::{Answered, Rig, request};

const PASSWORD: &str = "correct horse battery";

async fn signed_in(rig: &Rig, name: &str, workspace: &str) -> Answered {
    let asked = json!({"name": name, "password": PASSWORD, "workspace": workspace});
    let asked = request("", Method::POST, "/sign-in", Some(asked));
    rig.send(asked).await
}

async fn let_in(rig: &Rig, name: &str) -> String {
    let new = json!({"name": name, "role": "viewer", "password": PASSWORD});
    let let_in = rig.owner(Method::POST, "/members", Some(new)).await.good();
    let_in["user_id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn an_owner_of_the_system_makes_a_workspace_and_its_owner_works_there() {
    let rig = Rig::new().await;
    let_in(&rig, "ada").await;
    let key = rig.issue(&WorkspaceId::system(), Role::Owner, None).await;
    let key = key.reveal();
    let make = async |body: Value| {
        let asked = request(&key, Method::POST, "/workspaces", Some(body));
        rig.send(asked).await
    };
    let nobody = make(json!({"name": "delta"})).await;
    assert_eq!(nobody.code(), "bad_value", "a key owns no workspace");
    let unknown = make(json!({"name": "delta", "owner": "bob"})).await;
    assert_eq!(unknown.code(), "no_such_user");
    let strange = make(json!({"name": "../delta", "owner": "ada"})).await;
    assert_eq!(strange.code(), "bad_body");
    let made = make(json!({"name": "delta", "owner": "ada"})).await;
    assert_eq!(
        made.status,
        StatusCode::CREATED,
        "{}",
        String::from_utf8_lossy(&made.body)
    );
    assert_eq!(
        make(json!({"name": "delta", "owner": "ada"})).await.code(),
        "workspace_exists"
    );
    let signed = signed_in(&rig, "ada", "delta").await.good();
    let token = signed["access_token"].as_str().expect("a token");
    let scan = json!({"seeds": ["example.com"], "profile": "passive"});
    let started = request(token, Method::POST, "/scans", Some(scan));
    rig.send(started).await.good();
    let seen = rig.send(request(&key, Method::GET, "/workspaces", None));
    let seen = seen.await.good();
    let names: Vec<&str> = (seen["items"].as_array().expect("a list").iter())
        .filter_map(|item| item["workspace"].as_str())
        .collect();
    assert!(
        names.contains(&"delta") && names.contains(&workspace(1).as_str()),
        "{names:?}"
    );
}

#[tokio::test]
async fn nobody_else_makes_or_sees_another_workspace() {
    let rig = Rig::new().await;
    let before = rig.head().await;
    let body = json!({"name": "delta", "owner": "ada"});
    let refused = rig.owner(Method::POST, "/workspaces", Some(body)).await;
    assert_eq!(refused.code(), "forbidden");
    assert!(rig.changes(before).await.is_empty());
    let seen = rig.owner(Method::GET, "/workspaces", None).await.good();
    let items = seen["items"].as_array().expect("a list");
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["workspace"], workspace(0).as_str());
}

#[tokio::test]
async fn who_is_in_a_team_may_do_what_the_team_may() {
    let rig = Rig::new().await;
    let bob = let_in(&rig, "bob").await;
    rig.owner(Method::DELETE, &format!("/members/{bob}"), None)
        .await;
    let refused = signed_in(&rig, "bob", workspace(0).as_str()).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let owner = rig
        .owner(
            Method::POST,
            "/teams",
            Some(json!({"name": "red", "role": "owner"})),
        )
        .await;
    assert_eq!(owner.code(), "bad_value");
    let made = rig
        .owner(
            Method::POST,
            "/teams",
            Some(json!({"name": "red", "role": "analyst"})),
        )
        .await
        .good();
    let team = format!("/teams/{}", made["team_id"].as_str().expect("an id"));
    let place = format!("{team}/members/{bob}");
    rig.owner(Method::PUT, &place, None).await.good();
    let signed = signed_in(&rig, "bob", workspace(0).as_str()).await.good();
    let token = signed["access_token"].as_str().expect("a token").to_owned();
    let start = async || {
        let body = json!({"seeds": ["example.com"], "profile": "passive"});
        let asked = request(&token, Method::POST, "/scans", Some(body));
        rig.send(asked).await.status
    };
    assert!(start().await.is_success());
    let viewer = json!({"role": "viewer"});
    rig.owner(Method::PUT, &team, Some(viewer)).await.good();
    assert_eq!(
        start().await,
        StatusCode::FORBIDDEN,
        "from the next request on"
    );
    let listed = rig.owner(Method::GET, "/teams", None).await.good();
    assert_eq!(listed["items"][0]["members"], json!([bob]));
    assert_eq!(listed["items"][0]["name"], "red");
    let left = rig.owner(Method::DELETE, &place, None).await;
    assert_eq!(left.status, StatusCode::NO_CONTENT);
    assert_eq!(start().await, StatusCode::UNAUTHORIZED);
    assert_eq!(
        rig.owner(Method::DELETE, &place, None).await.code(),
        "no_such_member"
    );
    let gone = rig.owner(Method::DELETE, &team, None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let listed = rig.owner(Method::GET, "/teams", None).await.good();
    assert_eq!(listed["items"], json!([]));
}

#[tokio::test]
async fn a_team_that_is_asked_for_twice_with_one_key_is_one_team() {
    let rig = Rig::new().await;
    let key = rig.key(0, Role::Owner);
    let make = async |name: &str| {
        let body = json!({"name": name, "role": "viewer"});
        let mut asked = request(&key, Method::POST, "/teams", Some(body));
        asked
            .headers_mut()
            .insert("idempotency-key", "one".parse().expect("a header"));
        rig.send(asked).await
    };
    let (one, other) = (make("red").await.good(), make("red").await.good());
    assert_eq!(one["team_id"], other["team_id"]);
    assert_eq!(make("blue").await.code(), "key_reused");
}

#[tokio::test]
async fn a_team_of_another_workspace_is_as_one_that_there_is_not() {
    let rig = Rig::new().await;
    let foreign = rig.key(1, Role::Owner);
    let body = json!({"name": "red", "role": "viewer"});
    let made = rig.send(request(&foreign, Method::POST, "/teams", Some(body)));
    let made = made.await.good();
    let team = format!("/teams/{}", made["team_id"].as_str().expect("an id"));
    let before = rig.head().await;
    for (method, path, body) in [
        (Method::PUT, team.clone(), Some(json!({"role": "viewer"}))),
        (Method::DELETE, team.clone(), None),
        (Method::PUT, format!("{team}/members/usr_x"), None),
        (Method::DELETE, format!("{team}/members/usr_x"), None),
    ] {
        let answered = rig.owner(method, &path, body).await;
        assert_eq!(answered.code(), "no_such_team", "{path}");
    }
    assert!(rig.changes(before).await.is_empty());
}
