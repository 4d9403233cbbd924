//! Identities are linked by their users or by the operator, and are one user's at a time.

use axum::http::{Method, StatusCode};
use mirage_api::auth::identities::manage::NewUser;
use mirage_domain::user::{Command, Suspend};
use mirage_projections::testing::made_scan::workspace;
use serde_json::json;

use super::{Answered, PASSWORD, SUBJECT, World, text};
use crate::rig::request;

impl World {
    async fn come_in(&self) -> Answered {
        let mut browser = self.browser();
        let start = browser.start().await;
        let landed = browser.come_back(&self.issuer.consent(&start)).await;
        match landed.status.is_success() {
            true => browser.redeem(&text(&landed.json(), "code")).await,
            false => landed,
        }
    }

    /// The access token of ada, by password.
    async fn ada(&self) -> String {
        let asked =
            json!({"name": "ada", "password": PASSWORD, "workspace": workspace(0).as_str()});
        let asked = request("", Method::POST, "/sign-in", Some(asked));
        text(&self.rig.send(asked).await.good(), "access_token")
    }
}

#[tokio::test]
async fn who_is_not_linked_is_told_how() {
    let world = World::new().await;
    let answered = world.come_in().await;
    assert_eq!(answered.status, StatusCode::FORBIDDEN);
    assert_eq!(answered.code(), "oidc_not_linked");
    let hint = text(&answered.json(), "hint");
    assert!(
        hint.contains("mirage users link") && hint.contains(SUBJECT),
        "{hint}"
    );
    assert!(answered.headers.get("set-cookie").is_none(), "no code");
}

#[tokio::test]
async fn an_identity_is_one_users_until_unlinked() {
    let world = World::new().await.linked().await;
    let identities = &world.rig.gateway.identities;
    let envelope = identities.envelope(&world.ada);
    let bob = NewUser {
        name: "bob",
        email: "",
        password: PASSWORD.into(),
    };
    let (bob, _) = identities.create(bob, envelope).await.unwrap();
    let taken = world.link(&bob, SUBJECT).await.unwrap_err();
    assert_eq!(taken.row.code, "identity_taken");
    world.link(&world.ada, SUBJECT).await.expect("it is hers");

    let granted = world.come_in().await.good();
    let token = text(&granted, "access_token");
    let listed = request(&token, Method::GET, "/me/identities", None);
    let listed = world.rig.send(listed).await.good();
    assert_eq!(listed["items"][0]["subject"], SUBJECT);
    let path = format!(
        "/me/identities/{}",
        text(&listed["items"][0], "identity_id")
    );
    let unlink = request(&token, Method::DELETE, &path, None);
    world.rig.send(unlink).await.good();
    let whoami = request(&token, Method::GET, "/whoami", None);
    let whoami = world.rig.send(whoami).await;
    assert_eq!(whoami.status, StatusCode::UNAUTHORIZED, "sessions end");
    assert_eq!(world.come_in().await.code(), "oidc_not_linked");
    world.link(&bob, SUBJECT).await.expect("it is free");
}

#[tokio::test]
async fn who_may_not_enter_is_not_let_in() {
    let world = World::new().await.linked().await;
    let identities = &world.rig.gateway.identities;
    let mut browser = world.browser();
    let start = browser.start().await;
    let landed = browser.come_back(&world.issuer.consent(&start)).await;
    let code = text(&landed.good(), "code");
    let envelope = identities.envelope(&world.ada);
    let suspend = Command::Suspend(Suspend);
    identities
        .command(&world.ada, suspend, envelope)
        .await
        .unwrap();
    assert_eq!(browser.redeem(&code).await.code(), "sign_in_failed");
    assert_eq!(world.come_in().await.code(), "sign_in_failed");
}

#[tokio::test]
async fn somebody_links_their_own_identity() {
    let world = World::new().await;
    let token = world.ada().await;
    let mut browser = world.browser();
    let wrong = json!({"password": "wrong horse battery"});
    let wrong = request(&token, Method::POST, "/me/identities", Some(wrong));
    let wrong = browser.send(wrong).await;
    assert_eq!(
        wrong.code(),
        "sign_in_failed",
        "a token alone may be stolen"
    );
    let asked = json!({"password": PASSWORD});
    let begin = || request(&token, Method::POST, "/me/identities", Some(asked.clone()));
    let go_to = browser.send(begin()).await.good();
    let query = world.issuer.consent(&text(&go_to, "location"));
    let mut stranger = world.browser();
    stranger.start().await;
    assert_eq!(stranger.come_back(&query).await.code(), "oidc_refused");

    let go_to = browser.send(begin()).await.good();
    let query = world.issuer.consent(&text(&go_to, "location"));
    let landed = browser.come_back(&query).await.good();
    assert!(landed["code"].is_null(), "nobody is let in by linking");
    assert_eq!(world.come_in().await.good()["user_id"], world.ada.as_str());
}

#[tokio::test]
async fn who_has_signed_out_links_nothing() {
    let world = World::new().await;
    let token = world.ada().await;
    let mut browser = world.browser();
    let asked = json!({"password": PASSWORD});
    let begin = request(&token, Method::POST, "/me/identities", Some(asked));
    let go_to = browser.send(begin).await.good();
    let sign_out = request(&token, Method::POST, "/sign-out", None);
    world.rig.send(sign_out).await.good();
    let query = world.issuer.consent(&text(&go_to, "location"));
    assert_eq!(browser.come_back(&query).await.code(), "session_over");
    assert_eq!(world.come_in().await.code(), "oidc_not_linked");
}

#[tokio::test]
async fn a_program_has_no_identities() {
    let world = World::new().await;
    let key = world.rig.key(0, mirage_domain::role::Role::Owner);
    let asked = json!({"password": PASSWORD});
    let begin = request(&key, Method::POST, "/me/identities", Some(asked));
    assert_eq!(world.rig.send(begin).await.code(), "sign_in_needed");
}
