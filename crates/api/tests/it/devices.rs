//! A program without a browser is let in by somebody who is in.

use axum::http::{Method, StatusCode};
use mirage_domain::role::Role;
use mirage_projections::testing::made_scan::workspace;
use serde_json::{Value, json};

use crate::rig::{Answered, Rig, request};

const PASSWORD: &str = "correct horse battery";

async fn post(rig: &Rig, token: &str, path: &str, body: Value) -> Answered {
    rig.send(request(token, Method::POST, path, Some(body)))
        .await
}

/// The access token of a viewer who has signed in by password.
pub(crate) async fn viewer(rig: &Rig) -> String {
    let new = json!({"name": "ada", "role": "viewer", "password": PASSWORD});
    rig.owner(Method::POST, "/members", Some(new)).await.good();
    let asked = json!({"name": "ada", "password": PASSWORD, "workspace": workspace(0).as_str()});
    text(
        &post(rig, "", "/sign-in", asked).await.good(),
        "access_token",
    )
}

fn text(answered: &Value, field: &str) -> String {
    answered[field].as_str().expect(field).to_owned()
}

async fn begin(rig: &Rig) -> (String, String) {
    let asked = json!({"client_name": "mirage on laptop"});
    let codes = post(rig, "", "/device", asked).await.good();
    assert_eq!(
        (&codes["expires_in"], &codes["interval"]),
        (&json!(600), &json!(5))
    );
    (text(&codes, "device_code"), text(&codes, "user_code"))
}

async fn poll(rig: &Rig, device_code: &str) -> Answered {
    post(
        rig,
        "",
        "/device/token",
        json!({"device_code": device_code}),
    )
    .await
}

pub(crate) async fn decide(rig: &Rig, token: &str, user_code: &str, is_allowed: bool) -> Answered {
    let decision = json!({"user_code": user_code, "is_allowed": is_allowed});
    post(rig, token, "/device/confirm", decision).await
}

#[tokio::test]
async fn a_device_gets_a_session_of_who_allowed_it() {
    let rig = Rig::new().await;
    let access = viewer(&rig).await;
    let (device_code, user_code) = begin(&rig).await;
    let shown = post(
        &rig,
        &access,
        "/device/show",
        json!({"user_code": user_code}),
    )
    .await;
    assert_eq!(shown.good()["client_name"], "mirage on laptop");
    decide(&rig, &access, &user_code, true).await.good();
    let granted = poll(&rig, &device_code).await.good();
    assert_eq!(granted["role"], "viewer");
    let token = text(&granted, "access_token");
    let sessions = rig.send(request(&token, Method::GET, "/sessions", None));
    let sessions = sessions.await.good();
    assert_eq!(sessions["items"][1]["method"], "device");
    assert_eq!(sessions["items"][1]["is_own"], true);
    let refresh = json!({"refresh_token": granted["refresh_token"]});
    post(&rig, "", "/refresh", refresh).await.good();
    let replayed = poll(&rig, &device_code).await;
    assert_eq!(replayed.code(), "expired_token", "a code is used once");
}

#[tokio::test]
async fn a_device_is_told_why_it_is_not_in() {
    let rig = Rig::new().await;
    let access = viewer(&rig).await;
    let (device_code, user_code) = begin(&rig).await;
    assert_eq!(
        poll(&rig, &device_code).await.code(),
        "authorization_pending"
    );
    let early = poll(&rig, &device_code).await;
    assert_eq!(early.code(), "slow_down");
    assert_eq!(early.headers["retry-after"], "10");
    assert_eq!(poll(&rig, "nothing").await.code(), "expired_token");
    decide(&rig, &access, &user_code, true).await.good();
    assert_eq!(
        decide(&rig, &access, &user_code, true).await.code(),
        "bad_user_code"
    );
    let (device_code, user_code) = begin(&rig).await;
    decide(&rig, &access, &user_code, false).await.good();
    assert_eq!(poll(&rig, &device_code).await.code(), "access_denied");
}

#[tokio::test]
async fn a_device_is_not_in_once_who_allowed_it_is_out() {
    let rig = Rig::new().await;
    let access = viewer(&rig).await;
    let (device_code, user_code) = begin(&rig).await;
    decide(&rig, &access, &user_code, true).await.good();
    rig.send(request(&access, Method::POST, "/sign-out", None))
        .await
        .good();
    assert_eq!(poll(&rig, &device_code).await.code(), "access_denied");
}

#[tokio::test]
async fn nobody_but_a_person_lets_a_device_in() {
    let rig = Rig::new().await;
    let (device_code, user_code) = begin(&rig).await;
    for token in ["", &rig.key(0, Role::Owner)] {
        let tried = decide(&rig, token, &user_code, true).await;
        assert_eq!(tried.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(
        poll(&rig, &device_code).await.code(),
        "authorization_pending"
    );
}

#[tokio::test]
async fn guesses_are_few_and_on_record() {
    let rig = Rig::new().await;
    let access = viewer(&rig).await;
    let mut codes = Vec::new();
    for _ in 0..11 {
        codes.push(decide(&rig, &access, "BBBB-BBBB", true).await.code());
    }
    assert!(
        codes[..10].iter().all(|code| code == "bad_user_code"),
        "{codes:?}"
    );
    assert_eq!(codes[10], "too_many_requests");
    let path = format!("/audit?outcome=refused&min_position={}", rig.head().await);
    let audit = rig.get(&path).await;
    let audit = String::from_utf8_lossy(&audit.body).into_owned();
    assert!(audit.contains("confirm_device"), "{audit}");
    assert!(!audit.contains("BBBB"), "a code is in no record");
}

#[tokio::test]
async fn a_name_that_could_deceive_is_refused() {
    let rig = Rig::new().await;
    for name in ["", "a\u{202e}b", "a\nb", &"x".repeat(65)] {
        let asked = post(&rig, "", "/device", json!({"client_name": name})).await;
        assert_eq!(asked.code(), "bad_value", "{name:?}");
    }
}
