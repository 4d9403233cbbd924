//! The device flow and refreshing in the words of OAuth: forms in, and its refusals.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};

use crate::devices::{decide, viewer};
use crate::rig::{Answered, Rig};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

async fn form(rig: &Rig, path: &str, fields: &[(&str, &str)]) -> Answered {
    let body = serde_urlencoded::to_string(fields).unwrap();
    let request = Request::post(format!("/api/v1/oauth{path}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(body));
    rig.send(request.unwrap()).await
}

async fn begin(rig: &Rig) -> Value {
    let fields = [("client_id", "laptop"), ("scope", "whatever")];
    form(rig, "/device_authorization", &fields).await.good()
}

async fn poll(rig: &Rig, codes: &Value) -> Answered {
    let code = codes["device_code"].as_str().unwrap();
    let fields = [("grant_type", DEVICE_CODE), ("device_code", code)];
    form(rig, "/token", &fields).await
}

async fn refresh(rig: &Rig, token: &Value) -> Answered {
    let token = token.as_str().unwrap();
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    form(rig, "/token", &fields).await
}

fn error(answered: &Answered) -> String {
    assert_eq!(answered.status, StatusCode::BAD_REQUEST);
    assert_eq!(answered.headers[header::CONTENT_TYPE], "application/json");
    answered.json()["error"].as_str().unwrap().to_owned()
}

async fn rig() -> Rig {
    let address = Some("https://mirage.example/".to_owned());
    Rig::built(|gateway| gateway.with_address(address)).await
}

#[tokio::test]
async fn a_device_is_let_in_refreshes_once_and_is_out_by_a_second_use() {
    let rig = rig().await;
    let access = viewer(&rig).await;
    let codes = begin(&rig).await;
    assert_eq!(codes["verification_uri"], "https://mirage.example/device");
    assert_eq!(error(&poll(&rig, &codes).await), "authorization_pending");
    assert_eq!(error(&poll(&rig, &codes).await), "slow_down");
    let codes = begin(&rig).await;
    let user_code = codes["user_code"].as_str().unwrap();
    decide(&rig, &access, user_code, true).await.good();
    let granted = poll(&rig, &codes).await.good();
    assert_eq!(granted["token_type"], "Bearer");
    assert_eq!(error(&poll(&rig, &codes).await), "expired_token");
    let used = &granted["refresh_token"];
    let next = refresh(&rig, used).await.good();
    assert_eq!(error(&refresh(&rig, used).await), "invalid_grant");
    let over = refresh(&rig, &next["refresh_token"]).await;
    assert_eq!(error(&over), "invalid_grant", "the session is over");
}

#[tokio::test]
async fn what_is_no_request_is_told_so_in_its_words() {
    let rig = rig().await;
    for (fields, expected) in [
        (&[][..], "invalid_request"),
        (&[("grant_type", DEVICE_CODE)], "invalid_request"),
        (&[("grant_type", "refresh_token")], "invalid_request"),
        (&[("grant_type", "password")], "unsupported_grant_type"),
        (
            &[("grant_type", "a"), ("grant_type", "b")],
            "invalid_request",
        ),
        (
            &[("grant_type", DEVICE_CODE), ("device_code", "a")],
            "expired_token",
        ),
    ] {
        let answered = form(&rig, "/token", fields).await;
        assert_eq!(error(&answered), expected, "{fields:?}");
    }
    let unnamed = form(&rig, "/device_authorization", &[("client_id", "")]).await;
    assert_eq!(error(&unnamed), "invalid_request");
    let json = Request::post("/api/v1/oauth/token")
        .header(header::CONTENT_TYPE, "application/json")
        .body(json!({"grant_type": "refresh_token"}).to_string().into());
    let json = rig.send(json.unwrap()).await;
    assert_eq!(error(&json), "invalid_request");
    let refusals = rig.refusals().await;
    let own = ("grant_token".to_owned(), "expired_token".to_owned(), 1);
    assert!(refusals.contains(&own), "{refusals:?}");
}

#[tokio::test]
async fn a_gateway_says_what_it_offers_where_it_knows_its_address() {
    let metadata = || {
        let request = Request::get("/.well-known/oauth-authorization-server");
        request.body(Body::empty()).unwrap()
    };
    let told = rig().await.send(metadata()).await.good();
    assert_eq!(told["issuer"], "https://mirage.example");
    let endpoint = "https://mirage.example/api/v1/oauth/token";
    assert_eq!(told["token_endpoint"], endpoint);
    let untold = Rig::new().await.send(metadata()).await;
    assert_eq!(untold.code(), "no_such_resource");
}
