//! An issuer of OpenID Connect on loopback, with keys of its own, that can be told to misbehave.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawForm, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use mirage_domain::id::Digest;
use serde_json::{Value, json};

pub(crate) const CLIENT: &str = "mirage-gateway";
pub(crate) const SECRET: &str = "a secret: of the client";
/// Whom the issuer names.
pub(crate) const SUBJECT: &str = "248289761001";
/// What the gateway calls itself before the browser.
pub(crate) const ADDRESS: &str = "http://127.0.0.1:8640";

/// How a document comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comes {
    Well,
    /// As a redirect to where it would come well.
    Elsewhere,
    /// Without an end.
    Endless,
    Huge,
    Never,
    Broken,
}

/// How an ID token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signed {
    Well,
    /// `alg: none`, and no signature.
    Unsigned,
    /// HS256 with the public key as the secret.
    BySecret,
    /// By another issuer's key, under this one's `kid`.
    Foreign,
    /// By a `kid` that is not in the set.
    Unknown,
    /// With a header that must be understood.
    Critical,
    /// With a key that the header itself carries.
    Carried,
    /// With a byte of the claims changed afterwards.
    Tampered,
}

/// What the issuer is told to do.
pub(crate) struct Ways {
    pub(crate) algorithm: Algorithm,
    pub(crate) signed: Signed,
    /// Changes the claims of a token.
    pub(crate) claims: fn(&mut Value),
    /// Changes the description.
    pub(crate) description: fn(&mut Value),
    pub(crate) discovery: Comes,
    pub(crate) keys: Comes,
    pub(crate) token: Comes,
}

/// What was consented to, by its code.
struct Consented {
    nonce: String,
    challenge: String,
    redirect: String,
}

pub(crate) struct Issuer {
    pub(crate) url: String,
    pub(crate) ways: Mutex<Ways>,
    /// How often the keys were read.
    pub(crate) keys_read: AtomicUsize,
    pub(crate) descriptions_read: AtomicUsize,
    /// How often a code was shown.
    pub(crate) codes_shown: AtomicUsize,
    codes: Mutex<HashMap<String, Consented>>,
    own: Mutex<Keys>,
    foreign: Keys,
}

/// A key of each algorithm, of one generation.
struct Keys {
    generation: usize,
    keys: Vec<(Algorithm, EncodingKey)>,
    /// The public half of the Ed25519 key.
    x: String,
}

impl Keys {
    fn fresh(generation: usize) -> Self {
        let ed = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let x = BASE64URL_NOPAD.encode(ed.public_key_raw());
        let ec = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        // Version 1 of PKCS #8, which ends after the 48 bytes of the private half.
        let mut ed = ed.serialize_der();
        ed.truncate(ed.len() - 35);
        (ed[1], ed[4]) = (46, 0);
        let ed = EncodingKey::from_ed_der(&ed);
        let ec = EncodingKey::from_ec_pem(ec.serialize_pem().as_bytes()).unwrap();
        // Making one takes seconds; it signs nothing but what tests read.
        let rsa = EncodingKey::from_rsa_pem(include_bytes!("rsa.pem")).unwrap();
        let keys = vec![
            (Algorithm::EdDSA, ed),
            (Algorithm::ES256, ec),
            (Algorithm::RS256, rsa.clone()),
            (Algorithm::PS256, rsa),
        ];
        Self {
            generation,
            keys,
            x,
        }
    }

    fn kid(&self, algorithm: Algorithm) -> String {
        format!("{algorithm:?}-{}", self.generation)
    }

    fn of(&self, algorithm: Algorithm) -> &EncodingKey {
        let found = self.keys.iter().find(|(one, _)| *one == algorithm);
        &found.unwrap().1
    }

    fn public(&self, algorithm: Algorithm) -> Value {
        if algorithm == Algorithm::EdDSA {
            let kid = self.kid(algorithm);
            return json!({"kty": "OKP", "crv": "Ed25519", "x": self.x, "kid": kid, "alg": "EdDSA"});
        }
        let mut jwk = Jwk::from_encoding_key(self.of(algorithm), algorithm).unwrap();
        jwk.common.key_id = Some(self.kid(algorithm));
        serde_json::to_value(jwk).unwrap()
    }

    fn all(&self) -> Vec<Value> {
        self.keys.iter().map(|(one, _)| self.public(*one)).collect()
    }
}

impl Issuer {
    pub(crate) async fn start() -> Arc<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            ways: Mutex::new(Ways {
                algorithm: Algorithm::ES256,
                signed: Signed::Well,
                claims: |_| {},
                description: |_| {},
                discovery: Comes::Well,
                keys: Comes::Well,
                token: Comes::Well,
            }),
            keys_read: AtomicUsize::default(),
            descriptions_read: AtomicUsize::default(),
            codes_shown: AtomicUsize::default(),
            codes: Mutex::default(),
            own: Mutex::new(Keys::fresh(1)),
            foreign: Keys::fresh(1),
        });
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route("/elsewhere", get(well_described))
            .route("/jwks", get(keys))
            .route("/token", post(token))
            .with_state(issuer.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        issuer
    }

    pub(crate) fn told(&self, tell: impl FnOnce(&mut Ways)) {
        tell(&mut self.ways.lock().unwrap());
    }

    /// Somebody is in at the issuer and says yes: the query that the browser comes back with.
    pub(crate) fn consent(&self, location: &str) -> Vec<(String, String)> {
        let (page, query) = location.split_once('?').unwrap();
        assert_eq!(page, format!("{}/authorize", self.url));
        let asked: HashMap<String, String> = serde_urlencoded::from_str(query).unwrap();
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["client_id"], CLIENT);
        assert_eq!(asked["code_challenge_method"], "S256");
        let code = format!("code-{}", self.codes.lock().unwrap().len());
        let consented = Consented {
            nonce: asked["nonce"].clone(),
            challenge: asked["code_challenge"].clone(),
            redirect: asked["redirect_uri"].clone(),
        };
        self.codes.lock().unwrap().insert(code.clone(), consented);
        let pairs = [
            ("state", &asked["state"]),
            ("code", &code),
            ("iss", &self.url),
        ];
        pairs
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .to_vec()
    }

    /// Signs with other keys from now on.
    pub(crate) fn rotate(&self) {
        *self.own.lock().unwrap() = Keys::fresh(2);
    }

    fn description(&self) -> Value {
        let url = &self.url;
        let mut described = json!({
            "issuer": url,
            "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        });
        (self.ways.lock().unwrap().description)(&mut described);
        described
    }

    fn id_token(&self, nonce: &str) -> String {
        let now = jiff::Timestamp::now().as_second();
        let mut claims = json!({"iss": self.url, "sub": SUBJECT, "aud": CLIENT, "nonce": nonce,
            "iat": now, "exp": now + 300});
        let ways = self.ways.lock().unwrap();
        (ways.claims)(&mut claims);
        let (algorithm, own) = (ways.algorithm, self.own.lock().unwrap());
        let kid = own.kid(algorithm);
        let mut header = json!({"alg": format!("{algorithm:?}"), "kid": kid});
        match ways.signed {
            Signed::Unsigned => header["alg"] = "none".into(),
            Signed::BySecret => header["alg"] = "HS256".into(),
            Signed::Unknown => header["kid"] = "unknown".into(),
            Signed::Critical => header["crit"] = json!(["exp"]),
            Signed::Carried => header["jwk"] = self.foreign.public(algorithm),
            Signed::Well | Signed::Foreign | Signed::Tampered => {}
        }
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let mut message = format!("{}.{}", part(&header), part(&claims));
        let sign = |key: &EncodingKey, algorithm| {
            jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap()
        };
        let signature = match ways.signed {
            Signed::Unsigned => String::new(),
            Signed::BySecret => {
                let public = own.public(algorithm);
                let secret = public["x"].as_str().or(public["n"].as_str()).unwrap();
                let secret = EncodingKey::from_secret(secret.as_bytes());
                sign(&secret, Algorithm::HS256)
            }
            Signed::Foreign | Signed::Carried => sign(self.foreign.of(algorithm), algorithm),
            Signed::Well | Signed::Unknown | Signed::Critical | Signed::Tampered => {
                sign(own.of(algorithm), algorithm)
            }
        };
        if ways.signed == Signed::Tampered {
            claims["sub"] = "somebody else".into();
            message = format!("{}.{}", part(&header), part(&claims));
        }
        format!("{message}.{signature}")
    }
}

async fn describe(State(issuer): State<Arc<Issuer>>) -> Response {
    issuer.descriptions_read.fetch_add(1, Ordering::SeqCst);
    let comes = issuer.ways.lock().unwrap().discovery;
    come(comes, issuer.description()).await
}

async fn well_described(State(issuer): State<Arc<Issuer>>) -> Response {
    come(Comes::Well, issuer.description()).await
}

async fn keys(State(issuer): State<Arc<Issuer>>) -> Response {
    issuer.keys_read.fetch_add(1, Ordering::SeqCst);
    let comes = issuer.ways.lock().unwrap().keys;
    let mut keys = issuer.own.lock().unwrap().all();
    // A kind of key that is of no use here, and one that nobody knows.
    keys.push(json!({"kty": "oct", "kid": "oct", "k": "c2VjcmV0"}));
    keys.push(json!({"kty": "XYZ", "kid": "xyz", "q": 1}));
    come(comes, json!({"keys": keys})).await
}

async fn token(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    RawForm(form): RawForm,
) -> Response {
    issuer.codes_shown.fetch_add(1, Ordering::SeqCst);
    let sent: HashMap<String, String> = serde_urlencoded::from_bytes(&form).unwrap();
    let refused = (StatusCode::BAD_REQUEST, r#"{"error":"invalid_grant"}"#);
    let authorization = headers.get(header::AUTHORIZATION);
    let expected = format!("{CLIENT}:{}", "a+secret%3A+of+the+client");
    let expected = format!("Basic {}", BASE64.encode(expected.as_bytes()));
    if authorization.is_none_or(|sent| sent != expected.as_str()) {
        return (StatusCode::UNAUTHORIZED, r#"{"error":"invalid_client"}"#).into_response();
    }
    let code = issuer.codes.lock().unwrap().remove(&sent["code"]);
    let Some(code) = code else {
        return refused.into_response();
    };
    let hash = BASE64URL_NOPAD.encode(&Digest::of(sent["code_verifier"].as_bytes()).0);
    let is_whole = sent["grant_type"] == "authorization_code"
        && sent["redirect_uri"] == code.redirect
        && hash == code.challenge;
    if !is_whole {
        return refused.into_response();
    }
    let comes = issuer.ways.lock().unwrap().token;
    let answer = json!({"access_token": "of no use", "token_type": "Bearer",
        "id_token": issuer.id_token(&code.nonce)});
    come(comes, answer).await
}

async fn come(comes: Comes, document: Value) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    let spaces = || Bytes::from(vec![b' '; 64 * 1024]);
    match comes {
        Comes::Well => (json, document.to_string()).into_response(),
        Comes::Elsewhere => {
            let to = [(header::LOCATION, "/elsewhere")];
            (StatusCode::FOUND, to).into_response()
        }
        Comes::Endless => {
            let stream = futures::stream::repeat_with(move || Ok::<_, Infallible>(spaces()));
            (json, Body::from_stream(stream)).into_response()
        }
        Comes::Huge => (json, document.to_string() + &" ".repeat(512 * 1024)).into_response(),
        Comes::Never => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            (json, document.to_string()).into_response()
        }
        Comes::Broken => (json, "{\"issuer\":").into_response(),
    }
}
