//! Somebody is let in by an issuer's word, and by nobody else's.

mod forged;
mod issuer;
mod linked;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use mirage_api::auth::oidc::{Named, Oidc, Settings};
use mirage_api::gateway::Gateway;
use mirage_domain::id::UserId;
use mirage_projections::testing::made_scan::workspace;
use serde_json::{Value, json};

use crate::rig::{Answered, Rig, request};
use issuer::{ADDRESS, CLIENT, Issuer, SECRET, SUBJECT};

const PASSWORD: &str = "correct horse battery";

fn settings(issuer: &Issuer) -> Settings {
    Settings {
        issuer: issuer.url.clone(),
        client_id: CLIENT.into(),
        secret: Some(SECRET.into()),
        label: "the staff's directory".into(),
        address: ADDRESS.into(),
        landing: None,
        authorities: Vec::new(),
    }
}

/// A gateway with its issuer, and a viewer named ada.
struct World {
    rig: Rig,
    issuer: Arc<Issuer>,
    ada: UserId,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let issuer = Issuer::start().await;
        let mut settings = settings(&issuer);
        change(&mut settings);
        let oidc = Oidc::new(settings).unwrap();
        let rig = Rig::built(|gateway: Gateway| gateway.with_oidc(Some(oidc))).await;
        let new = json!({"name": "ada", "role": "viewer", "password": PASSWORD});
        rig.owner(Method::POST, "/members", Some(new)).await.good();
        let ada = rig.gateway.identities.user_id("ada").await.unwrap();
        Self {
            ada: ada.unwrap(),
            rig,
            issuer,
        }
    }

    /// Whom the issuer names is ada.
    async fn linked(self) -> Self {
        self.link(&self.ada, SUBJECT).await.unwrap();
        self
    }

    async fn link(&self, user: &UserId, subject: &str) -> Result<(), mirage_api::error::Problem> {
        let identities = &self.rig.gateway.identities;
        let named = Named {
            issuer: self.issuer.url.clone(),
            subject: subject.into(),
        };
        let envelope = identities.envelope(user);
        identities.link(user, named, envelope).await.map(|_| ())
    }

    fn browser(&self) -> Browser<'_> {
        Browser {
            rig: &self.rig,
            cookie: None,
        }
    }
}

/// A browser, as far as it is of use: it keeps one cookie.
struct Browser<'a> {
    rig: &'a Rig,
    cookie: Option<String>,
}

impl Browser<'_> {
    async fn send(&mut self, mut request: Request<Body>) -> Answered {
        if let Some(cookie) = &self.cookie {
            let text = format!("theme=dark; {cookie}");
            request
                .headers_mut()
                .insert(header::COOKIE, text.parse().unwrap());
        }
        let answered = self.rig.send(request).await;
        if let Some(set) = answered.headers.get(header::SET_COOKIE) {
            let text = set.to_str().unwrap();
            self.cookie = Some(text.split(';').next().unwrap().to_owned());
        }
        answered
    }

    async fn get(&mut self, path: &str) -> Answered {
        let request = Request::get(format!("/api/v1{path}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn post(&mut self, path: &str, body: Value) -> Answered {
        let request = Request::post(format!("/api/v1{path}"))
            .header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(body.to_string().into()).unwrap())
            .await
    }

    /// Where the issuer's page is.
    async fn start(&mut self) -> String {
        let path = format!("/oidc/start?workspace={}", workspace(0));
        let answered = self.get(&path).await;
        assert_eq!(answered.status, StatusCode::SEE_OTHER, "{answered:?}");
        location(&answered)
    }

    async fn come_back(&mut self, query: &[(String, String)]) -> Answered {
        let query = serde_urlencoded::to_string(query).unwrap();
        self.get(&format!("/oidc/callback?{query}")).await
    }

    async fn redeem(&mut self, code: &str) -> Answered {
        self.post("/oidc/token", json!({"code": code})).await
    }
}

fn location(answered: &Answered) -> String {
    let location = &answered.headers[header::LOCATION];
    location.to_str().unwrap().to_owned()
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().expect(field).to_owned()
}

#[tokio::test]
async fn whom_the_issuer_names_is_let_in() {
    let world = World::new().await.linked().await;
    let mut browser = world.browser();
    let location = browser.start().await;
    let query = world.issuer.consent(&location);
    let landed = browser.come_back(&query).await.good();
    let code = text(&landed, "code");
    let granted = browser.redeem(&code).await.good();
    assert_eq!(granted["role"], "viewer");
    assert_eq!(granted["user_id"], world.ada.as_str());
    let token = text(&granted, "access_token");
    let whoami = request(&token, Method::GET, "/whoami", None);
    world.rig.send(whoami).await.good();
    let sessions = request(&token, Method::GET, "/sessions", None);
    let sessions = world.rig.send(sessions).await.good();
    assert_eq!(sessions["items"][0]["method"], "oidc");
    let refresh = json!({"refresh_token": granted["refresh_token"]});
    browser.post("/refresh", refresh).await.good();
    for (path, value) in [(&code, "code"), (&token, "token"), (&location, "address")] {
        let parts = path.split(['&', '=', '.']);
        let secret = parts.max_by_key(|part| part.len()).unwrap();
        assert!(!world.is_on_log(secret).await, "{value}");
    }
}

impl World {
    async fn is_on_log(&self, text: &str) -> bool {
        for at in 1..=self.rig.head().await.0 {
            let position = mirage_domain::id::Position(at);
            let recorded = self.rig.log.commit(position).await.unwrap();
            if format!("{recorded:?}").contains(text) {
                return true;
            }
        }
        false
    }
}

#[tokio::test]
async fn the_cookie_is_for_this_browser_and_no_script() {
    let world = World::new().await;
    let path = format!("/oidc/start?workspace={}", workspace(0));
    let plain = world.browser().get(&path).await;
    let plain = plain.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(plain.starts_with("mirage-oidc="), "{plain}");
    assert!(plain.ends_with("; HttpOnly; SameSite=Lax"), "{plain}");
    let world = World::with(|settings| settings.address = "https://mirage.example".into()).await;
    let secure = world.browser().get(&path).await;
    let secure = secure.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(secure.starts_with("__Host-mirage-oidc="), "{secure}");
    assert!(secure.contains("; Path=/;"), "{secure}");
    assert!(secure.ends_with("; HttpOnly; SameSite=Lax; Secure"));
}

#[tokio::test]
async fn the_console_gets_the_code_in_a_fragment() {
    let world = World::with(|settings| settings.landing = Some("/".into())).await;
    let world = world.linked().await;
    let mut browser = world.browser();
    let start = browser.start().await;
    let landed = browser.come_back(&world.issuer.consent(&start)).await;
    assert_eq!(landed.status, StatusCode::SEE_OTHER);
    let location = location(&landed);
    let code = location.strip_prefix("/#oidc_code=").expect("a fragment");
    browser.redeem(code).await.good();
}

#[tokio::test]
async fn without_an_issuer_nothing_of_it_is_there() {
    let rig = Rig::new().await;
    let mut browser = Browser {
        rig: &rig,
        cookie: None,
    };
    for path in ["/oidc", "/oidc/start", "/oidc/callback?state=a&code=b"] {
        assert_eq!(browser.get(path).await.code(), "oidc_off", "{path}");
    }
    assert_eq!(browser.redeem("a").await.code(), "oidc_off");
    let world = World::new().await;
    let shown = world.browser().get("/oidc").await.good();
    assert_eq!(shown["label"], "the staff's directory");
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let good = || Settings {
        issuer: "https://id.example".into(),
        client_id: CLIENT.into(),
        secret: None,
        label: String::new(),
        address: "https://mirage.example:8640".into(),
        landing: None,
        authorities: Vec::new(),
    };
    assert!(Oidc::new(good()).is_ok());
    let changes: [fn(&mut Settings); 8] = [
        |settings| settings.issuer = "http://id.example".into(),
        |settings| settings.issuer = "https://id.example?a".into(),
        |settings| settings.address = "http://mirage.example".into(),
        |settings| settings.address = "https://mirage.example/path".into(),
        |settings| settings.client_id = String::new(),
        |settings| settings.client_id = "a\nb".into(),
        |settings| settings.landing = Some("//elsewhere.example".into()),
        |settings| settings.landing = Some("https://elsewhere.example".into()),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut settings = good();
        change(&mut settings);
        assert!(Oidc::new(settings).is_err(), "{number}");
    }
}
