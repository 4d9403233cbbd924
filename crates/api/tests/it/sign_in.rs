//! Somebody is let in by an owner, signs in, is in, and goes out again.

use axum::http::{Method, StatusCode};
use mirage_domain::id::WorkspaceId;
use mirage_domain::role::Role;
use mirage_projections::testing::made_scan::workspace;
use serde_json::{Value, json};

use crate::rig::{Rig, request};

const PASSWORD: &str = "correct horse battery";

async fn post(rig: &Rig, path: &str, body: Value) -> (StatusCode, Value) {
    let answered = rig.send(request("", Method::POST, path, Some(body))).await;
    (answered.status, answered.json())
}

async fn whoami(rig: &Rig, token: &str) -> StatusCode {
    let asked = request(token, Method::GET, "/whoami", None);
    rig.send(asked).await.status
}

#[tokio::test]
async fn a_member_signs_in_refreshes_and_signs_out() {
    let rig = Rig::new().await;
    let new = json!({"name": "ada", "role": "viewer", "password": PASSWORD});
    rig.owner(Method::POST, "/members", Some(new)).await.good();
    let members = rig.get("/members").await.good();
    assert_eq!(members["items"][0]["name"], "ada");

    let asked = json!({"name": "Ada", "password": PASSWORD, "workspace": workspace(0).as_str()});
    let (status, granted) = post(&rig, "/sign-in", asked.clone()).await;
    assert_eq!(status, StatusCode::OK, "{granted}");
    let access = granted["access_token"].as_str().expect("a token");
    assert_eq!(whoami(&rig, access).await, StatusCode::OK);
    let listed = rig
        .send(request(access, Method::GET, "/sessions", None))
        .await
        .good();
    assert_eq!(listed["items"][0]["is_own"], true);
    let refused = rig
        .send(request(access, Method::GET, "/api-keys", None))
        .await;
    assert_eq!(
        refused.status,
        StatusCode::FORBIDDEN,
        "a viewer admits nobody"
    );

    let refresh = json!({"refresh_token": granted["refresh_token"]});
    let (status, next) = post(&rig, "/refresh", refresh).await;
    assert_eq!(status, StatusCode::OK, "{next}");
    let next = next["access_token"].as_str().expect("a token");
    rig.send(request(next, Method::POST, "/sign-out", None))
        .await
        .good();
    for token in [access, next] {
        assert_eq!(whoami(&rig, token).await, StatusCode::UNAUTHORIZED);
    }
    let wrong = json!({"name": "ada", "password": "wrong horse battery"});
    assert_eq!(
        post(&rig, "/sign-in", wrong).await.0,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn no_hash_of_a_password_leaves_with_a_commit() {
    let rig = Rig::new().await;
    let new = json!({"name": "ada", "role": "viewer", "password": PASSWORD});
    rig.owner(Method::POST, "/members", Some(new)).await.good();
    let key = rig.issue(&WorkspaceId::system(), Role::Owner, None).await;
    let (key, head) = (key.reveal(), rig.head().await.0);
    let mut seen = 0;
    for position in 1..=head {
        let path = format!("/log/commits/{position}");
        let answered = rig.send(request(&key, Method::GET, &path, None)).await;
        let text = String::from_utf8_lossy(&answered.body);
        assert!(!text.contains("argon2"), "{text}");
        seen += u64::from(answered.status.is_success());
    }
    assert!(seen > 0, "the owner of `system` sees its other commits");
}

#[tokio::test]
async fn a_stolen_token_tries_few_passwords() {
    let rig = Rig::new().await;
    let new = json!({"name": "ada", "role": "viewer", "password": PASSWORD});
    rig.owner(Method::POST, "/members", Some(new)).await.good();
    let asked = json!({"name": "ada", "password": PASSWORD, "workspace": workspace(0).as_str()});
    let (_, granted) = post(&rig, "/sign-in", asked).await;
    let access = granted["access_token"].as_str().expect("a token");
    let mut last = StatusCode::OK;
    for _ in 0..11 {
        let wrong = json!({"password": "wrong horse battery", "new_password": "another one's now"});
        let tried = request(access, Method::PUT, "/me/password", Some(wrong));
        last = rig.send(tried).await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}
