//! Access tokens: JWTs of our own (RFC 9068), signed with Ed25519, good for a quarter of an hour.
//!
//! The one algorithm and the key are ours to know: the header's `kid` only chooses among the keys of our ring, and a
//! header with anything more than `alg`, `typ` and `kid` (`jku`, `x5u`, `jwk`, `crit`, …) is not one that we wrote.
//! **Invariant:** what does not read back as exactly our claims is refused, whoever signed it.

use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation};
use mirage_domain::id::{SessionId, UserId, WorkspaceId};
use mirage_domain::role::Role;
use serde::{Deserialize, Serialize};

use super::key_ring::KeyRing;

/// How long an access token lasts.
pub const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How far the clock of the gateway that signed may be ahead of ours. None behind: nothing lasts beyond its end.
pub const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(30);
/// Longest token that is looked at, in bytes; ours have some 600.
pub const BYTES_MAX: usize = 2_048;
/// For whom our tokens are.
pub const AUDIENCE: &str = "mirage";
/// RFC 9068, section 2.1: so no other kind of token passes for one.
const TYPE: &str = "at+jwt";

/// What an access token says. Whether it still holds, the workspace's stream tells: the role is as of the signing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: UserId,
    /// Seconds since 1970, as the other times.
    pub exp: i64,
    pub nbf: i64,
    pub iat: i64,
    /// Random, one of its own for each token.
    pub jti: String,
    pub sid: SessionId,
    pub workspace: WorkspaceId,
    pub role: Role,
}

/// For whom an access token is to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub user: UserId,
    pub session: SessionId,
    pub workspace: WorkspaceId,
    pub role: Role,
}

/// Why a token opens nothing. Told to nobody outside: to them it is not good, and that is all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("it is longer than {BYTES_MAX} bytes")]
    Long,
    #[error("its header is not one of ours")]
    Header,
    #[error("its key is not in our ring")]
    Key,
    #[error("its signature, issuer or audience is wrong")]
    Signature,
    #[error("its claims are not ours")]
    Claims,
    #[error("it is over")]
    Over,
    #[error("it is not good yet")]
    Early,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OurHeader {
    alg: String,
    typ: String,
    kid: String,
}

/// Signs and verifies the access tokens of one issuer.
pub struct Tokens {
    /// The gateway's public address, or a name of the installation.
    issuer: String,
    pub ring: KeyRing,
}

impl Tokens {
    pub fn new(issuer: String, ring: KeyRing) -> Self {
        Self { issuer, ring }
    }

    /// A token that is good from now on for [`LIFETIME`].
    pub fn sign(&self, subject: Subject, now: Timestamp) -> String {
        let key = self.ring.signing(now);
        let iat = now.as_second();
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: subject.user,
            exp: iat + LIFETIME.as_secs() as i64,
            nbf: iat,
            iat,
            jti: uuid::Uuid::now_v7().to_string(),
            sid: subject.session,
            workspace: subject.workspace,
            role: subject.role,
        };
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(key.id.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        jsonwebtoken::encode(&header, &claims, &key.signing)
            .expect("an Ed25519 key signs any claims")
    }

    /// What a good token says.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, Refusal> {
        if token.len() > BYTES_MAX {
            return Err(Refusal::Long);
        }
        let header = header(token).ok_or(Refusal::Header)?;
        let key = self.ring.key(&header.kid).ok_or(Refusal::Key)?;
        let decoded = jsonwebtoken::decode::<Claims>(token, &key.verifying, &self.validation());
        let claims = decoded.map_err(|error| refusal(error.kind()))?.claims;
        in_time(&claims, now.as_second())?;
        Ok(claims)
    }

    /// The library's share: the one algorithm, the signature, issuer and audience. Times are held against our own clock.
    fn validation(&self) -> Validation {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation
    }
}

fn header(token: &str) -> Option<OurHeader> {
    let (encoded, _) = token.split_once('.')?;
    let bytes = data_encoding::BASE64URL_NOPAD
        .decode(encoded.as_bytes())
        .ok()?;
    let header: OurHeader = serde_json::from_slice(&bytes).ok()?;
    (header.alg == "EdDSA" && header.typ == TYPE).then_some(header)
}

fn refusal(kind: &ErrorKind) -> Refusal {
    match kind {
        ErrorKind::Json(_) | ErrorKind::Utf8(_) => Refusal::Claims,
        _ => Refusal::Signature,
    }
}

fn in_time(claims: &Claims, now: i64) -> Result<(), Refusal> {
    let (lifetime, ahead) = (LIFETIME.as_secs() as i64, CLOCK_AHEAD_MAX.as_secs() as i64);
    if claims.exp <= now {
        return Err(Refusal::Over);
    }
    if claims.nbf > now + ahead || claims.iat > now + ahead {
        return Err(Refusal::Early);
    }
    // We never sign for longer: a key that somebody copied is no licence for a year.
    if claims.exp - claims.iat > lifetime || claims.nbf < claims.iat {
        return Err(Refusal::Claims);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
