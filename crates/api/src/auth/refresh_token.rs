//! Refresh tokens as they are handed out: `mirage-refresh.SESSION.SECRET`.
//!
//! **Never:** the secret in a log line, an event or a debug print; the log keeps its SHA-256.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use mirage_domain::id::{Digest, SessionId};

const PREFIX: &str = "mirage-refresh";

/// A refresh token of a session.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    pub session: SessionId,
    secret: [u8; 32],
}

/// The text is no refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no refresh token")]
pub struct NoToken;

impl RefreshToken {
    /// The next token of a session.
    pub fn random(session: SessionId) -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self { session, secret })
    }

    /// What the log keeps of it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.secret)
    }

    /// The text that is shown once.
    pub fn reveal(&self) -> String {
        let secret = BASE32_NOPAD.encode(&self.secret).to_ascii_lowercase();
        format!("{PREFIX}.{}.{secret}", self.session)
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}.{}.…", self.session)
    }
}

impl FromStr for RefreshToken {
    type Err = NoToken;
    fn from_str(text: &str) -> Result<Self, NoToken> {
        let parts: Vec<&str> = text.split('.').take(4).collect();
        let [PREFIX, session, secret] = parts[..] else {
            return Err(NoToken);
        };
        // One spelling only: upper case is another text.
        if secret.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(NoToken);
        }
        let bytes = BASE32_NOPAD.decode(secret.to_ascii_uppercase().as_bytes());
        Ok(Self {
            session: SessionId::new(session).map_err(|_| NoToken)?,
            secret: bytes
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or(NoToken)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_prints_no_secret() {
        let token = RefreshToken::random(SessionId::random([7; 16])).unwrap();
        let shown = token.reveal();
        assert_eq!(shown.parse(), Ok(token.clone()));
        let hidden = shown.rsplit_once('.').unwrap().1;
        assert!(!format!("{token:?}").contains(hidden));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let shown = RefreshToken::random(SessionId::random([7; 16]))
            .unwrap()
            .reveal();
        let upper = shown.to_ascii_uppercase();
        for text in [
            "",
            "mirage-refresh",
            &upper,
            &shown[1..],
            &shown[..shown.len() - 1],
            &format!("{shown}.x"),
        ] {
            assert_eq!(text.parse::<RefreshToken>(), Err(NoToken), "{text}");
        }
    }
}
