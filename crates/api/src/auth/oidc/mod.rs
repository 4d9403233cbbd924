//! Sign-in by OpenID Connect: an issuer says who somebody is (authorization code with PKCE).
//!
//! The operator names the issuer; the gateway is the relying party. A browser is sent to the issuer with a state, a nonce
//! and the hash of a verifier, all of which stay here; it comes back with a code, which is redeemed for an ID token, and
//! gets a code of ours, good for a minute, for which it is given the same session as by any other sign-in. All of that is
//! bound to the browser by a cookie.
//!
//! **Invariant:** who somebody is, issuer and subject of a token say that was verified; never a name or a mail address.
//! **Never:** a code, a token, a verifier or the secret in a log or in an answer that is not its own.

pub mod flows;
pub mod id_token;
pub mod issuer;

use jiff::Timestamp;
use mirage_domain::id::{SessionId, UserId, WorkspaceId};
use reqwest::{Certificate, Url};

use crate::error::Problem;
use flows::Flows;
use issuer::Issuer;

/// Where the issuer sends the browser back to, under the gateway's public address.
pub const CALLBACK: &str = "/api/v1/oidc/callback";

/// What the operator says about sign-in by an issuer.
#[derive(Clone)]
pub struct Settings {
    /// As its own document and its tokens name it, letter for letter.
    pub issuer: String,
    pub client_id: String,
    /// None for a public client: PKCE alone shows that the code is ours.
    pub secret: Option<String>,
    /// What the console writes on its button.
    pub label: String,
    /// The gateway's own public address, `https://HOST:PORT`.
    pub address: String,
    /// A page of the console that takes the code over, `/`; without one the code is answered as it is.
    pub landing: Option<String>,
    /// Who signs the issuer's certificate, beside those that the system trusts.
    pub authorities: Vec<Certificate>,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error(
        "{0} is no address of https, or of http on this machine, without a name, a query or a fragment"
    )]
    Address(&'static str),
    #[error("the landing is a path of this gateway, such as /")]
    Landing,
    #[error("the client id has 1 to 255 printable characters")]
    Client,
    #[error("there is no TLS for speaking to the issuer")]
    Tls(#[source] reqwest::Error),
}

/// Why nobody gets in. Told to nobody outside: to them the sign-in failed, and that is all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no sign-in waits with this state, or not any more")]
    State,
    #[error("it was begun in another browser")]
    Browser,
    #[error("the answer is of another issuer")]
    Issuer,
    #[error("the issuer let nobody in")]
    Declined,
    #[error("the answer has no code")]
    NoCode,
    #[error("the issuer does not take the code")]
    Code,
    #[error("its ID token is not good: {0}")]
    Token(#[from] id_token::Wrong),
    #[error("the code is not good, or not any more")]
    Grant,
}

/// What a sign-in by the issuer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    SignIn(WorkspaceId),
    /// Somebody who is in by this session links whoever the issuer names to themselves.
    Link(UserId, SessionId),
}

/// Why a sign-in did not come about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Issuer(#[from] issuer::Fault),
    #[error(transparent)]
    Full(#[from] flows::Full),
}

/// See the module's doc.
pub struct Oidc {
    pub settings: Settings,
    pub flows: Flows,
    issuer: Issuer,
}

/// Whom the issuer named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub issuer: String,
    pub subject: String,
}

/// What the issuer sent the browser back with. Not to be printed: it holds a code.
#[derive(Default)]
pub struct Returned {
    pub state: Option<String>,
    pub code: Option<String>,
    /// RFC 9207.
    pub iss: Option<String>,
    pub error: Option<String>,
}

impl Oidc {
    pub fn new(settings: Settings) -> Result<Self, Unusable> {
        check(&settings)?;
        Ok(Self {
            issuer: Issuer::new(&settings)?,
            flows: Flows::default(),
            settings,
        })
    }

    /// Begins a sign-in: where the browser is to go, and what its cookie is to hold.
    pub async fn begin(
        &self,
        purpose: Purpose,
        from: std::net::IpAddr,
    ) -> Result<(Url, String), Error> {
        let metadata = self.issuer.metadata().await?;
        let begun = self.flows.begin(purpose, from, std::time::Instant::now())?;
        let mut url = metadata.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &self.redirect())
            .append_pair("scope", "openid")
            .append_pair("state", &begun.state)
            .append_pair("nonce", &begun.nonce)
            .append_pair("code_challenge", &begun.challenge)
            .append_pair("code_challenge_method", "S256");
        Ok((url, begun.cookie))
    }

    /// Whom the issuer named to a browser that came back, and what for. Whatever comes of it, the state is used up.
    pub async fn finish(
        &self,
        returned: Returned,
        cookie: Option<&str>,
        now: Timestamp,
    ) -> Result<(Named, Purpose), Error> {
        let state = returned.state.as_deref().ok_or(Refusal::State)?;
        let waiting = self.flows.take(state, cookie, std::time::Instant::now())?;
        let metadata = self.issuer.metadata().await?;
        // Before the code is shown to anybody: an answer of another issuer may carry that one's code (RFC 9207).
        match &returned.iss {
            Some(iss) if *iss != self.settings.issuer => return Err(Refusal::Issuer.into()),
            None if metadata.says_issuer => return Err(Refusal::Issuer.into()),
            _ => {}
        }
        if returned.error.is_some() {
            return Err(Refusal::Declined.into());
        }
        let code = returned.code.ok_or(Refusal::NoCode)?;
        let token = self
            .issuer
            .redeem(&code, &waiting.verifier, &self.redirect())
            .await?;
        let subject = self.subject(&token, &waiting.nonce, now).await?;
        let named = Named {
            issuer: self.settings.issuer.clone(),
            subject,
        };
        Ok((named, waiting.purpose))
    }

    async fn subject(&self, token: &str, nonce: &str, now: Timestamp) -> Result<String, Error> {
        let expected = id_token::Expected {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            nonce,
            now: now.as_second(),
        };
        let keys = self.issuer.keys().await?;
        match id_token::verify(token, &keys, &expected) {
            // The issuer may have begun to sign with another key.
            Err(id_token::Wrong::Key) => match self.issuer.keys_anew().await? {
                Some(keys) => Ok(id_token::verify(token, &keys, &expected).map_err(Refusal::from)?),
                None => Err(Refusal::Token(id_token::Wrong::Key).into()),
            },
            verified => Ok(verified.map_err(Refusal::from)?),
        }
    }

    /// Whether the browser has TLS, so that its cookie can say so.
    pub fn is_secure(&self) -> bool {
        self.settings.address.starts_with("https:")
    }

    fn redirect(&self) -> String {
        format!("{}{CALLBACK}", self.settings.address.trim_end_matches('/'))
    }
}

impl From<Error> for Problem {
    /// Whoever is refused is told nothing of why; the node's own log is.
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(reason) => {
                tracing::warn!(%reason, "a sign-in by the issuer was refused");
                let detail = match reason {
                    Refusal::Declined => "the issuer let nobody in",
                    _ => "what came back does not fit what was asked for here",
                };
                Self::new("oidc_refused", detail)
            }
            Error::Issuer(fault) => Self::of("issuer_unusable", &fault),
            Error::Full(full) => {
                Self::of("too_many_requests", &full).retry_after(flows::LIFETIME.as_secs())
            }
        }
    }
}

fn check(settings: &Settings) -> Result<(), Unusable> {
    if issuer::endpoint(&settings.issuer).is_none() || settings.issuer.contains('?') {
        return Err(Unusable::Address("the issuer"));
    }
    let address = issuer::endpoint(&settings.address);
    if !address.is_some_and(|url| url.path() == "/" && url.query().is_none()) {
        return Err(Unusable::Address("the gateway's public address"));
    }
    let is_printable = settings
        .client_id
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~'));
    if !(1..=255).contains(&settings.client_id.len()) || !is_printable {
        return Err(Unusable::Client);
    }
    let is_path = |path: &String| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
        path.starts_with('/') && !path.starts_with("//") && path.bytes().all(plain)
    };
    match settings.landing.as_ref().is_none_or(is_path) {
        true => Ok(()),
        false => Err(Unusable::Landing),
    }
}
