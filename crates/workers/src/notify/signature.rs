//! Signatures as Standard Webhooks has them: HMAC-SHA-256 over id, time and body.

use data_encoding::BASE64;
use hmac::{Hmac, Mac};
use mirage_domain::subscription::SECRET_PREFIX;
use sha2::Sha256;

/// Bytes of a secret that is made here; the specification wants 24 to 64.
const SECRET_BYTES: usize = 32;
/// How long the earlier secret signs beside one that took its place.
pub const ROTATION: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// A secret that nobody had before.
pub fn fresh_secret() -> std::io::Result<String> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(format!("{SECRET_PREFIX}{}", BASE64.encode(&bytes)))
}

/// What is signed.
pub(super) struct Signed<'a> {
    /// Without a full stop, which parts the three.
    pub(super) id: &'a str,
    pub(super) second: i64,
    pub(super) body: &'a [u8],
}

impl Signed<'_> {
    /// The header's value: a signature for each secret; `None` if one is no secret.
    pub(super) fn with(&self, secrets: &[String]) -> Option<String> {
        let signatures: Option<Vec<_>> = secrets.iter().map(|secret| self.one(secret)).collect();
        signatures.map(|signatures| signatures.join(" "))
    }

    fn one(&self, secret: &str) -> Option<String> {
        let key = BASE64.decode(secret.strip_prefix(SECRET_PREFIX)?.as_bytes());
        let mut mac = <Hmac<Sha256>>::new_from_slice(&key.ok()?).ok()?;
        mac.update(format!("{}.{}.", self.id, self.second).as_bytes());
        mac.update(self.body);
        Some(format!(
            "v1,{}",
            BASE64.encode(&mac.finalize().into_bytes())
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_is_signed_as_there() {
        let signed = Signed {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
            second: 1_614_265_330,
            body: br#"{"test": 2432232314}"#,
        };
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let wanted = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signed.with(std::slice::from_ref(&secret)).unwrap(), wanted);
        let both = signed.with(&[fresh_secret().unwrap(), secret]).unwrap();
        assert!(both.ends_with(&format!(" {wanted}")), "{both}");
        assert_eq!(signed.with(&["whsec_?".to_owned()]), None);
    }

    #[test]
    fn a_fresh_secret_is_one_that_the_domain_takes() {
        let [one, other] = [(); 2].map(|()| fresh_secret().unwrap());
        assert_ne!(one, other);
        let bytes = BASE64.decode(one.strip_prefix(SECRET_PREFIX).unwrap().as_bytes());
        assert_eq!(bytes.unwrap().len(), SECRET_BYTES);
    }
}
