//! ID tokens of an issuer: whom it names (OpenID Connect Core, section 3.1.3.7).
//!
//! **Invariant:** the algorithm is one of [`ALLOWED`] and fits the key's own kind, so that nothing is signed by `none`,
//! and no public key is taken for a secret.
//! **Never:** a key that the token itself names or carries (`jku`, `x5u`, `jwk`); only those of the issuer's own set.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use mirage_domain::user::SUBJECT_BYTES_MAX;
use serde::Deserialize;
use serde_json::Value;

/// Asymmetric, and in use: HS* would make a secret of ours the issuer's key.
pub const ALLOWED: &[Algorithm] = &[
    Algorithm::EdDSA,
    Algorithm::ES256,
    Algorithm::PS256,
    Algorithm::RS256,
];
/// Longest token that is looked at, in bytes.
pub const BYTES_MAX: usize = 16 * 1024;
/// How far the issuer's clock may be off ours, in seconds, either way.
pub const CLOCK_OFF_MAX_S: i64 = 60;
/// How long ago the issuer may have signed, in seconds: no longer than a sign-in may wait.
pub const AGE_MAX_S: i64 = 600;
/// Smallest and largest modulus of an RSA key, in bytes: 2048 to 8192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// Why a token names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("it is longer than {BYTES_MAX} bytes")]
    Long,
    #[error("its header is not that of an ID token")]
    Header,
    #[error("its algorithm is none that is taken")]
    Algorithm,
    #[error("its key is none of the issuer's")]
    Key,
    #[error("its signature is wrong")]
    Signature,
    #[error("its claims are not those of an ID token")]
    Claims,
    #[error("another issuer is named in it")]
    Issuer,
    #[error("it is not for this client")]
    Audience,
    #[error("it is over")]
    Over,
    #[error("it is not good yet, or was signed long ago")]
    Time,
    #[error("it answers another sign-in")]
    Nonce,
    #[error("its subject has not 1 to {SUBJECT_BYTES_MAX} printable ASCII characters")]
    Subject,
}

/// What a good token says.
pub struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    /// Seconds since 1970.
    pub now: i64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// What has to be understood; nothing that may stand there is.
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    /// Numbers, which need not be whole (RFC 7519, section 2).
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
    nonce: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(all) => all,
        }
    }
}

/// The subject of a good token.
pub fn verify(token: &str, keys: &[Jwk], expected: &Expected<'_>) -> Result<String, Wrong> {
    if token.len() > BYTES_MAX {
        return Err(Wrong::Long);
    }
    let header = header(token)?;
    let allowed = ALLOWED.iter().copied();
    let algorithm = allowed
        .into_iter()
        .find(|algorithm| name(*algorithm) == header.alg)
        .ok_or(Wrong::Algorithm)?;
    let key = key(keys, header.kid.as_deref(), algorithm).ok_or(Wrong::Key)?;
    let key = DecodingKey::from_jwk(key).map_err(|_| Wrong::Key)?;
    let claims = jsonwebtoken::decode::<Value>(token, &key, &validation(algorithm));
    let claims = claims.map_err(|_| Wrong::Signature)?.claims;
    let claims: Claims = serde_json::from_value(claims).map_err(|_| Wrong::Claims)?;
    check(&claims, expected)?;
    Ok(claims.sub)
}

fn header(token: &str) -> Result<Header, Wrong> {
    let (encoded, _) = token.split_once('.').ok_or(Wrong::Header)?;
    let bytes = data_encoding::BASE64URL_NOPAD.decode(encoded.as_bytes());
    let header = serde_json::from_slice::<Header>(&bytes.map_err(|_| Wrong::Header)?);
    let header = header.map_err(|_| Wrong::Header)?;
    match header.crit {
        None => Ok(header),
        Some(_) => Err(Wrong::Header),
    }
}

/// The key that a token was signed with: the one it names, or the only one that could be.
fn key<'a>(keys: &'a [Jwk], kid: Option<&str>, algorithm: Algorithm) -> Option<&'a Jwk> {
    let mut fit = keys.iter().filter(|key| {
        let is_named = kid.is_none_or(|kid| key.common.key_id.as_deref() == Some(kid));
        is_named && fits(key, algorithm)
    });
    let key = fit.next()?;
    fit.next().is_none().then_some(key)
}

/// Whether a key is one for this algorithm, by its kind, its size and what the issuer says of it.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let is_for_signing = matches!(
        key.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    );
    let said = key.common.key_algorithm;
    let is_said = said.is_none_or(|said| said.to_string() == name(algorithm));
    let is_of_kind = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(rsa), Algorithm::RS256 | Algorithm::PS256) => {
            let modulus = data_encoding::BASE64URL_NOPAD.decode(rsa.n.as_bytes());
            modulus.is_ok_and(|modulus| MODULUS_BYTES.contains(&modulus.len()))
        }
        (AlgorithmParameters::EllipticCurve(ec), Algorithm::ES256) => {
            ec.curve == EllipticCurve::P256
        }
        (AlgorithmParameters::OctetKeyPair(pair), Algorithm::EdDSA) => {
            pair.curve == EllipticCurve::Ed25519
        }
        _ => false,
    };
    is_for_signing && is_said && is_of_kind
}

fn name(algorithm: Algorithm) -> String {
    format!("{algorithm:?}")
}

/// The library's share is the signature; what the claims say is held against what we know.
fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

fn check(claims: &Claims, expected: &Expected<'_>) -> Result<(), Wrong> {
    if claims.iss != expected.issuer {
        return Err(Wrong::Issuer);
    }
    let audience = claims.aud.all();
    let is_ours = audience.iter().any(|one| one == expected.client_id);
    let is_to_us = match &claims.azp {
        Some(azp) => azp == expected.client_id,
        None => audience.len() == 1,
    };
    if !is_ours || !is_to_us {
        return Err(Wrong::Audience);
    }
    let (now, off) = (expected.now as f64, CLOCK_OFF_MAX_S as f64);
    if claims.exp + off <= now {
        return Err(Wrong::Over);
    }
    let is_signed_now = claims.iat <= now + off && claims.iat + AGE_MAX_S as f64 + off >= now;
    if !is_signed_now || claims.nbf.is_some_and(|nbf| nbf > now + off) {
        return Err(Wrong::Time);
    }
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err(Wrong::Nonce);
    }
    let is_printable = claims.sub.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    match is_printable && (1..=SUBJECT_BYTES_MAX).contains(&claims.sub.len()) {
        true => Ok(()),
        false => Err(Wrong::Subject),
    }
}
