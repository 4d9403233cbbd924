//! The issuer as it answers: its description, its keys, and the ID token for a code.
//!
//! An outside server: each answer is bounded in bytes and in time, no redirect is followed, and what it says of itself is
//! kept, so that a flood of sign-ins is no flood of requests.
//! **Invariant:** https, or http on this machine; for every address that the issuer names, too.
//! **Never:** an answer of the issuer in a log or in an error; it may hold a token.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::Jwk;
use reqwest::{Client, RequestBuilder, Url, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;

use super::{Error, Refusal, Settings, Unusable};
use crate::buckets::Buckets;

/// Longest time for a connection, and for a whole answer: somebody waits for it.
const CONNECT_MAX: Duration = Duration::from_secs(3);
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Largest description and answer to a code, and largest set of keys, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const KEYS_BYTES_MAX: usize = 256 * 1024;
/// Keys that are looked at.
const KEYS_MAX: usize = 64;
/// How long what the issuer says of itself is taken for true.
const FRESH_FOR: Duration = Duration::from_secs(3600);
/// How long an issuer that did not answer is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(5);
/// Looks in a row at the keys for one that a token names and nobody knows; then one for each `LOOK_REFILL`.
pub const LOOKS: u32 = 3;
const LOOK_REFILL: Duration = Duration::from_secs(30);

/// What is wrong with the issuer.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("reading the issuer's {0}")]
    Unreachable(&'static str, #[source] reqwest::Error),
    #[error("the issuer's {0} comes with status {1}")]
    Status(&'static str, u16),
    #[error("the issuer's {0} is longer than {1} bytes")]
    Long(&'static str, usize),
    #[error("the issuer's {0} is not understood")]
    Malformed(&'static str),
    #[error("the issuer calls itself by another name than serve.oidc_issuer")]
    Name,
    #[error("the issuer's {0} is no address of https, or of http beside an issuer on this machine")]
    Address(&'static str),
    #[error("the issuer takes no PKCE with S256")]
    NoPkce,
    #[error("the issuer did not answer a moment ago")]
    LeftAlone,
}

const DESCRIPTION: &str = "description";
const KEYS: &str = "set of keys";
const ANSWER: &str = "answer to a code";

/// The description, as far as it is of use (OpenID Connect Discovery, section 3).
#[derive(Debug, Deserialize)]
struct Described {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    code_challenge_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// The same, looked through.
#[derive(Debug)]
pub struct Metadata {
    pub authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    /// Whether each answer names its issuer (RFC 9207).
    pub says_issuer: bool,
    /// Whether the secret goes into the body, for the issuer takes it in no header.
    has_secret_in_body: bool,
}

#[derive(Deserialize)]
struct Answered {
    id_token: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

struct Known {
    metadata: Option<(Arc<Metadata>, Instant)>,
    keys: Option<(Arc<Vec<Jwk>>, Instant)>,
    failed: Option<Instant>,
    looks: Buckets<()>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            metadata: None,
            keys: None,
            failed: None,
            looks: Buckets::new(LOOKS, LOOK_REFILL),
        }
    }
}

/// See the module's doc.
pub(super) struct Issuer {
    settings: Settings,
    client: Client,
    /// Held while the issuer is asked, so that all who wait are answered by one request.
    known: Mutex<Known>,
}

impl Issuer {
    pub(super) fn new(settings: &Settings) -> Result<Self, Unusable> {
        let client = Client::builder()
            .connect_timeout(CONNECT_MAX)
            .timeout(ANSWER_MAX)
            .redirect(redirect::Policy::none())
            .no_proxy();
        let authorities = settings.authorities.iter().cloned();
        let client = authorities.fold(client, |client, one| client.add_root_certificate(one));
        Ok(Self {
            client: client.build().map_err(Unusable::Tls)?,
            settings: settings.clone(),
            known: Mutex::default(),
        })
    }

    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, Fault> {
        let mut known = self.known.lock().await;
        self.described(&mut known).await
    }

    /// The keys as they are known.
    pub(super) async fn keys(&self) -> Result<Arc<Vec<Jwk>>, Fault> {
        let mut known = self.known.lock().await;
        let is_fresh = |(_, since): &&(_, Instant)| since.elapsed() < FRESH_FOR;
        if let Some((keys, _)) = known.keys.as_ref().filter(is_fresh) {
            return Ok(keys.clone());
        }
        self.read_keys(&mut known).await
    }

    /// The keys as they are now; `None` where they were read too often for that.
    pub(super) async fn keys_anew(&self) -> Result<Option<Arc<Vec<Jwk>>>, Fault> {
        let mut known = self.known.lock().await;
        let now = Instant::now();
        if known.looks.wait(&(), now).is_some() {
            return Ok(None);
        }
        known.looks.filled(&(), now).left -= 1;
        Ok(Some(self.read_keys(&mut known).await?))
    }

    /// The ID token for a code.
    pub(super) async fn redeem(
        &self,
        code: &str,
        verifier: &str,
        redirect: &str,
    ) -> Result<String, Error> {
        let metadata = self.metadata().await?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ];
        let (id, secret) = (&self.settings.client_id, self.settings.secret.as_deref());
        let mut request = self.client.post(metadata.token_endpoint.clone());
        match secret {
            Some(secret) if !metadata.has_secret_in_body => {
                // Each is encoded like a form's value first (RFC 6749, section 2.3.1).
                request = request.basic_auth(encoded(id), Some(encoded(secret)));
            }
            Some(secret) => form.extend([("client_id", id.as_str()), ("client_secret", secret)]),
            None => form.push(("client_id", id)),
        }
        let body = serde_urlencoded::to_string(form).map_err(|_| Fault::Malformed(ANSWER))?;
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        let answered: Result<Answered, Fault> = read(request, ANSWER, ANSWER_BYTES_MAX).await;
        match answered {
            Ok(answered) => Ok(answered.id_token),
            // RFC 6749, section 5.2: the code is not good, or not for us.
            Err(Fault::Status(_, 400..=403)) => Err(Refusal::Code.into()),
            Err(fault) => Err(fault.into()),
        }
    }

    async fn described(&self, known: &mut Known) -> Result<Arc<Metadata>, Fault> {
        let is_fresh = |(_, since): &&(_, Instant)| since.elapsed() < FRESH_FOR;
        if let Some((metadata, _)) = known.metadata.as_ref().filter(is_fresh) {
            return Ok(metadata.clone());
        }
        let base = self.settings.issuer.trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        let asked = async {
            let described = read(self.client.get(url), DESCRIPTION, ANSWER_BYTES_MAX).await?;
            looked_through(described, &self.settings)
        };
        let metadata = Arc::new(left_alone(&mut known.failed, asked).await?);
        known.metadata = Some((metadata.clone(), Instant::now()));
        Ok(metadata)
    }

    async fn read_keys(&self, known: &mut Known) -> Result<Arc<Vec<Jwk>>, Fault> {
        let metadata = self.described(known).await?;
        let request = self.client.get(metadata.jwks_uri.clone());
        let asked = read::<KeySet>(request, KEYS, KEYS_BYTES_MAX);
        let set = left_alone(&mut known.failed, asked).await?;
        // A kind of key that nobody here knows is none, and no reason to refuse the others.
        let keys = set.keys.into_iter().take(KEYS_MAX);
        let keys = keys.filter_map(|key| serde_json::from_value(key).ok());
        let keys = Arc::new(keys.collect::<Vec<Jwk>>());
        known.keys = Some((keys.clone(), Instant::now()));
        Ok(keys)
    }
}

/// An address that the issuer, or the operator, may name: https, or http on this machine.
pub(super) fn endpoint(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    let is_whole = url.host_str().is_some() && url.fragment().is_none();
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    (is_plain && is_whole && is_safe).then_some(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn looked_through(described: Described, settings: &Settings) -> Result<Metadata, Fault> {
    // Letter for letter: else an issuer could speak for another (Discovery, section 4.3).
    if described.issuer != settings.issuer {
        return Err(Fault::Name);
    }
    let takes = |list: &Option<Vec<String>>, word: &str| {
        let has = |all: &Vec<String>| all.iter().any(|one| one == word);
        list.as_ref().is_none_or(has)
    };
    if !takes(&described.code_challenge_methods_supported, "S256") {
        return Err(Fault::NoPkce);
    }
    let may_be_plain = settings.issuer.starts_with("http:");
    let address = |text: &str, what| {
        let url = endpoint(text).filter(|url| may_be_plain || url.scheme() == "https");
        url.ok_or(Fault::Address(what))
    };
    let methods = &described.token_endpoint_auth_methods_supported;
    Ok(Metadata {
        authorization_endpoint: address(&described.authorization_endpoint, "page for signing in")?,
        token_endpoint: address(&described.token_endpoint, "address for codes")?,
        jwks_uri: address(&described.jwks_uri, "address of keys")?,
        says_issuer: described.authorization_response_iss_parameter_supported,
        has_secret_in_body: !takes(methods, "client_secret_basic"),
    })
}

/// Asks, unless the issuer did not answer a moment ago.
async fn left_alone<T>(
    failed: &mut Option<Instant>,
    asked: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    if failed.is_some_and(|last| last.elapsed() < LEFT_ALONE) {
        return Err(Fault::LeftAlone);
    }
    let answered = asked.await;
    *failed = answered.is_err().then(Instant::now);
    answered
}

async fn read<T: DeserializeOwned>(
    request: RequestBuilder,
    what: &'static str,
    bytes_max: usize,
) -> Result<T, Fault> {
    let lost = |error: reqwest::Error| Fault::Unreachable(what, error.without_url());
    let request = request.header("accept", "application/json");
    let mut answer = request.send().await.map_err(lost)?;
    if answer.status() != 200 {
        return Err(Fault::Status(what, answer.status().as_u16()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(lost)? {
        if bytes.len() + chunk.len() > bytes_max {
            return Err(Fault::Long(what, bytes_max));
        }
        bytes.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&bytes).map_err(|_| Fault::Malformed(what))
}

fn encoded(text: &str) -> String {
    serde_urlencoded::to_string([("", text)])
        .unwrap_or_default()
        .trim_start_matches('=')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_this_machine_are_spoken_to() {
        for good in [
            "https://id.example.com",
            "https://id.example.com/realms/a",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "http://localhost",
        ] {
            assert!(endpoint(good).is_some(), "{good}");
        }
        for bad in [
            "http://id.example.com",
            "http://169.254.169.254/latest",
            "http://127.0.0.1.example.com",
            "https://ada:secret@id.example.com",
            "https://id.example.com/#a",
            "file:///etc/passwd",
            "id.example.com",
            "",
        ] {
            assert!(endpoint(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_name_and_a_secret_are_encoded_like_a_form() {
        assert_eq!(encoded("a:b c=ä"), "a%3Ab+c%3D%C3%A4");
    }
}
