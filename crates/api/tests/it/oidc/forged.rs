//! What is forged, replayed, swapped or endless lets nobody in, looks the same, and is on record.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::issuer::{Comes, Signed, Ways};
use super::{Answered, World, text};

/// Five seconds are the gateway's bound; an issuer that is slow takes sixty, and this machine may be busy.
const SOON: Duration = Duration::from_secs(30);

/// Ways in which an issuer, or who stands between, could deceive.
type Forgery = (&'static str, fn(&mut Ways));

const FORGED: &[Forgery] = &[
    ("wrong nonce", |ways| {
        ways.claims = |claims| claims["nonce"] = "other".into()
    }),
    ("no nonce", |ways| {
        ways.claims = |claims| drop(taken(claims, "nonce"))
    }),
    ("wrong audience", |ways| {
        ways.claims = |claims| claims["aud"] = "other".into()
    }),
    ("no audience", |ways| {
        ways.claims = |claims| claims["aud"] = json!([])
    }),
    ("several audiences without azp", |ways| {
        ways.claims = |claims| claims["aud"] = json!([super::CLIENT, "other"]);
    }),
    ("another azp", |ways| {
        ways.claims = |claims| claims["azp"] = "other".into()
    }),
    ("expired", |ways| {
        ways.claims = |claims| move_by(claims, "exp", -400)
    }),
    ("signed far ahead", |ways| {
        ways.claims = |claims| move_by(claims, "iat", 120)
    }),
    ("signed long ago", |ways| {
        ways.claims = |claims| move_by(claims, "iat", -3600)
    }),
    ("not good yet", |ways| {
        ways.claims = |claims| {
            claims["nbf"] = claims["iat"].clone();
            move_by(claims, "nbf", 120);
        };
    }),
    ("another issuer named", |ways| {
        ways.claims = |claims| claims["iss"] = "https://other.example".into()
    }),
    ("no subject", |ways| {
        ways.claims = |claims| claims["sub"] = "".into()
    }),
    ("a subject that deceives", |ways| {
        ways.claims = |claims| claims["sub"] = "a\u{202e}b".into()
    }),
    ("times that are texts", |ways| {
        ways.claims = |claims| claims["exp"] = "tomorrow".into()
    }),
    ("no end", |ways| {
        ways.claims = |claims| drop(taken(claims, "exp"))
    }),
    ("alg none", |ways| ways.signed = Signed::Unsigned),
    ("HS256 with the public key", |ways| {
        ways.signed = Signed::BySecret
    }),
    ("HS256 with the public RSA key", |ways| {
        ways.algorithm = Algorithm::RS256;
        ways.signed = Signed::BySecret;
    }),
    ("another issuer's key", |ways| ways.signed = Signed::Foreign),
    ("a key that the token carries", |ways| {
        ways.signed = Signed::Carried
    }),
    ("a header that must be understood", |ways| {
        ways.signed = Signed::Critical
    }),
    ("claims changed afterwards", |ways| {
        ways.signed = Signed::Tampered
    }),
];

fn taken(claims: &mut Value, name: &str) -> Option<Value> {
    claims.as_object_mut().unwrap().remove(name)
}

fn move_by(claims: &mut Value, name: &str, seconds: i64) {
    claims[name] = (claims[name].as_i64().unwrap() + seconds).into();
}

/// The issuer as it should be.
fn sound(ways: &mut Ways) {
    ways.algorithm = Algorithm::ES256;
    ways.signed = Signed::Well;
    ways.claims = |_| {};
    ways.description = |_| {};
    (ways.discovery, ways.keys, ways.token) = (Comes::Well, Comes::Well, Comes::Well);
}

impl World {
    /// A whole sign-in, up to what the browser comes back to.
    async fn sign_in(&self) -> Answered {
        let mut browser = self.browser();
        let start = browser.start().await;
        browser.come_back(&self.issuer.consent(&start)).await
    }

    /// Refusals of an operation that are on record, counted.
    async fn refused(&self, operation: &str, code: &str) -> u64 {
        let stop = CancellationToken::new();
        stop.cancel();
        self.rig.gateway.audit.tend(stop).await;
        let refusals = self.rig.refusals().await;
        let own = refusals
            .iter()
            .filter(|one| (one.0.as_str(), one.1.as_str()) == (operation, code));
        own.map(|one| one.2).sum()
    }
}

/// What a browser comes back with.
type Query = Vec<(String, String)>;

/// What is told, whatever was wrong.
fn is_uniform(answered: &Answered) -> bool {
    let json = answered.json();
    answered.status == StatusCode::UNAUTHORIZED
        && json["code"] == "oidc_refused"
        && json["detail"] == "what came back does not fit what was asked for here"
}

#[tokio::test]
async fn a_forged_token_lets_nobody_in() {
    let world = World::new().await.linked().await;
    for (what, forge) in FORGED {
        world.issuer.told(sound);
        world.issuer.told(forge);
        let answered = world.sign_in().await;
        assert!(is_uniform(&answered), "{what}: {answered:?}");
    }
    let recorded = world.refused("finish_oidc", "oidc_refused").await;
    assert_eq!(recorded, FORGED.len() as u64);
    world.issuer.told(sound);
    world.sign_in().await.good();
}

#[tokio::test]
async fn each_algorithm_that_is_taken_lets_in() {
    let world = World::new().await.linked().await;
    for algorithm in mirage_api::auth::oidc::id_token::ALLOWED {
        world.issuer.told(|ways| ways.algorithm = *algorithm);
        world.sign_in().await.good();
    }
    // Spelled in other ways that are as good.
    let variants: [fn(&mut Value); 3] = [
        |claims| claims["aud"] = json!([super::CLIENT]),
        |claims| {
            claims["aud"] = json!(["other", super::CLIENT]);
            claims["azp"] = super::CLIENT.into();
        },
        |claims| claims["exp"] = json!(claims["exp"].as_i64().unwrap() as f64 + 0.5),
    ];
    for claims in variants {
        world.issuer.told(|ways| ways.claims = claims);
        world.sign_in().await.good();
    }
    assert_eq!(world.issuer.keys_read.load(Ordering::SeqCst), 1);
    assert_eq!(world.issuer.descriptions_read.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_is_no_flood_of_requests() {
    let world = World::new().await.linked().await;
    world.issuer.told(|ways| ways.signed = Signed::Unknown);
    for _ in 0..40 {
        assert!(is_uniform(&world.sign_in().await));
    }
    let looks = mirage_api::auth::oidc::issuer::LOOKS as usize;
    assert_eq!(world.issuer.keys_read.load(Ordering::SeqCst), 1 + looks);
    assert_eq!(world.refused("finish_oidc", "oidc_refused").await, 40);
}

#[tokio::test]
async fn keys_that_the_issuer_began_to_sign_with_are_found() {
    let world = World::new().await.linked().await;
    world.sign_in().await.good();
    world.issuer.rotate();
    world.sign_in().await.good();
    assert_eq!(world.issuer.keys_read.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn nothing_is_used_twice_or_by_another_browser() {
    let world = World::new().await.linked().await;
    let mut browser = world.browser();
    let start = browser.start().await;
    let query = world.issuer.consent(&start);
    let code = text(&browser.come_back(&query).await.good(), "code");
    assert!(is_uniform(&browser.come_back(&query).await), "the state");
    let mut stranger = world.browser();
    assert!(is_uniform(&stranger.redeem(&code).await), "the code");
    assert!(is_uniform(&browser.redeem(&code).await), "it is used up");

    let start = browser.start().await;
    let query = world.issuer.consent(&start);
    let before = world.issuer.codes_shown.load(Ordering::SeqCst);
    assert!(is_uniform(&stranger.come_back(&query).await), "no cookie");
    stranger.start().await;
    assert!(is_uniform(&stranger.come_back(&query).await), "its own");
    assert!(
        is_uniform(&browser.come_back(&query).await),
        "it is used up"
    );
    let after = world.issuer.codes_shown.load(Ordering::SeqCst);
    assert_eq!(before, after, "no code was shown to the issuer");

    let code = text(&world_code(&world, &mut browser).await, "code");
    browser.redeem(&code).await.good();
    assert!(is_uniform(&browser.redeem(&code).await), "replayed");
    assert_eq!(world.refused("finish_oidc", "oidc_refused").await, 4);
    assert_eq!(world.refused("redeem_oidc", "oidc_refused").await, 3);
}

async fn world_code(world: &World, browser: &mut super::Browser<'_>) -> Value {
    let start = browser.start().await;
    browser
        .come_back(&world.issuer.consent(&start))
        .await
        .good()
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_not_taken() {
    let world = World::new().await.linked().await;
    let changes: [fn(&mut Query); 6] = [
        |query| query[2].1 = "https://other.example".into(),
        |query| drop(query.remove(2)),
        |query| query[1].1 = "code-of-another".into(),
        |query| drop(query.remove(1)),
        |query| drop(query.remove(0)),
        |query| query[0].1 = "made-up".into(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut browser = world.browser();
        let start = browser.start().await;
        let mut query = world.issuer.consent(&start);
        change(&mut query);
        let answered = browser.come_back(&query).await;
        assert!(is_uniform(&answered), "{number}: {answered:?}");
    }
    let refused = world.refused("finish_oidc", "oidc_refused").await;
    assert_eq!(refused, 6);
    assert_eq!(world.issuer.codes_shown.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_issuer_that_names_itself_nowhere_need_not_in_its_answers() {
    let world = World::new().await.linked().await;
    world.issuer.told(|ways| {
        let name = |described: &mut Value| {
            drop(taken(
                described,
                "authorization_response_iss_parameter_supported",
            ));
        };
        ways.description = name;
    });
    let mut browser = world.browser();
    let start = browser.start().await;
    let query = world.issuer.consent(&start);
    browser.come_back(&query[..2]).await.good();
}

#[tokio::test]
async fn who_says_no_at_the_issuer_is_not_in() {
    let world = World::new().await.linked().await;
    let mut browser = world.browser();
    let start = browser.start().await;
    let mut query = world.issuer.consent(&start);
    query[1] = ("error".into(), "access_denied".into());
    let answered = browser.come_back(&query).await;
    assert_eq!(answered.code(), "oidc_refused");
    assert_eq!(answered.json()["detail"], "the issuer let nobody in");
    assert!(is_uniform(&browser.come_back(&query).await), "used up");
}

#[tokio::test]
async fn an_issuer_that_is_of_no_use_holds_nobody_up() {
    const SPOILED: &[Forgery] = &[
        ("redirecting", |ways| ways.discovery = Comes::Elsewhere),
        ("endless", |ways| ways.discovery = Comes::Endless),
        ("huge", |ways| ways.discovery = Comes::Huge),
        ("slow", |ways| ways.discovery = Comes::Never),
        ("broken", |ways| ways.discovery = Comes::Broken),
        ("of another name", |ways| {
            ways.description = |it| it["issuer"] = "https://other.example".into()
        }),
        ("with a slash more", |ways| {
            ways.description =
                |it| it["issuer"] = format!("{}/", it["issuer"].as_str().unwrap()).into();
        }),
        ("without PKCE", |ways| {
            ways.description = |it| it["code_challenge_methods_supported"] = json!(["plain"]);
        }),
        ("with keys in the clear", |ways| {
            ways.description = |it| it["jwks_uri"] = "http://192.0.2.1/".into()
        }),
        ("with keys in a file", |ways| {
            ways.description = |it| it["jwks_uri"] = "file:///etc/passwd".into()
        }),
    ];
    for (what, spoil) in SPOILED {
        let world = World::new().await;
        world.issuer.told(spoil);
        let began = Instant::now();
        let answered = world.browser().get("/oidc/start").await;
        assert_eq!(answered.code(), "issuer_unusable", "{what}");
        let detail = answered.json()["detail"].clone();
        assert_eq!(detail, "the issuer cannot be used for signing in");
        assert!(began.elapsed() < SOON, "{what}");
        let again = world.browser().get("/oidc/start").await;
        assert_eq!(again.code(), "issuer_unusable");
        let read = world.issuer.descriptions_read.load(Ordering::SeqCst);
        assert_eq!(read, 1, "{what}: it is left alone for a while");
        assert_eq!(world.refused("begin_oidc", "issuer_unusable").await, 2);
    }
}

#[tokio::test]
async fn keys_and_tokens_that_do_not_end_hold_nobody_up() {
    const SPOILED: &[Forgery] = &[
        ("endless keys", |ways| ways.keys = Comes::Endless),
        ("huge keys", |ways| ways.keys = Comes::Huge),
        ("keys elsewhere", |ways| ways.keys = Comes::Elsewhere),
        ("slow keys", |ways| ways.keys = Comes::Never),
        ("an endless token", |ways| ways.token = Comes::Endless),
        ("a slow token", |ways| ways.token = Comes::Never),
        ("a token elsewhere", |ways| ways.token = Comes::Elsewhere),
        ("a broken token", |ways| ways.token = Comes::Broken),
    ];
    for (what, spoil) in SPOILED {
        let world = World::new().await.linked().await;
        world.issuer.told(spoil);
        let began = Instant::now();
        let answered = world.sign_in().await;
        assert_eq!(answered.code(), "issuer_unusable", "{what}");
        assert!(began.elapsed() < SOON, "{what}");
        assert_eq!(world.refused("finish_oidc", "issuer_unusable").await, 1);
    }
}
