//! API keys as they are handed out: `mirage.WORKSPACE.KEY.SECRET`.
//!
//! The secret is 32 random bytes in base 32.
//!
//! **Never:** the secret in a log line, an event or a debug print; the log keeps its SHA-256.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use mirage_domain::id::{Digest, KeyId, WorkspaceId};

const PREFIX: &str = "mirage";
/// How the text of every API key begins.
pub(crate) const PREFIX_DOT: &str = "mirage.";

/// A key with its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    pub workspace: WorkspaceId,
    pub key: KeyId,
    secret: [u8; 32],
}

/// The text is no API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no API key")]
pub struct NoKey;

impl Secret {
    /// A fresh key of a workspace.
    pub fn random(workspace: &WorkspaceId) -> std::io::Result<Self> {
        let (mut id, mut secret) = ([0; 16], [0; 32]);
        let filled = getrandom::fill(&mut id).and_then(|()| getrandom::fill(&mut secret));
        filled.map_err(|error| std::io::Error::other(error.to_string()))?;
        let id = BASE32_NOPAD.encode(&id).to_ascii_lowercase();
        Ok(Self {
            workspace: workspace.clone(),
            key: KeyId::new(&format!("key_{id}")).expect("letters and digits"),
            secret,
        })
    }

    /// What the log keeps of it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.secret)
    }

    /// Whether this is the secret that was issued; the time it takes tells nothing.
    pub fn opens(&self, issued: Digest) -> bool {
        let own = self.digest();
        let differs = own
            .0
            .iter()
            .zip(issued.0)
            .fold(0, |all, (a, b)| all | (a ^ b));
        differs == 0
    }

    /// The text that is shown once.
    pub fn reveal(&self) -> String {
        let secret = BASE32_NOPAD.encode(&self.secret).to_ascii_lowercase();
        format!("{PREFIX}.{}.{}.{secret}", self.workspace, self.key)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}.{}.{}.…", self.workspace, self.key)
    }
}

impl FromStr for Secret {
    type Err = NoKey;
    fn from_str(text: &str) -> Result<Self, NoKey> {
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(NoKey);
        let (prefix, workspace, key, secret) = (next()?, next()?, next()?, next()?);
        let is_whole = parts.next().is_none() && prefix == PREFIX;
        // One spelling only: upper case is another text.
        let is_lower = !secret.bytes().any(|byte| byte.is_ascii_uppercase());
        if !is_whole || !is_lower {
            return Err(NoKey);
        }
        let bytes = BASE32_NOPAD.decode(secret.to_ascii_uppercase().as_bytes());
        Ok(Self {
            workspace: WorkspaceId::new(workspace).map_err(|_| NoKey)?,
            key: KeyId::new(key).map_err(|_| NoKey)?,
            secret: bytes.ok().and_then(|b| b.try_into().ok()).ok_or(NoKey)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Secret {
        Secret::random(&WorkspaceId::new("default").unwrap()).unwrap()
    }

    #[test]
    fn a_key_reads_back_and_opens_what_it_was_issued_for() {
        let secret = fresh();
        let read: Secret = secret.reveal().parse().unwrap();
        assert_eq!(read, secret);
        assert!(read.opens(secret.digest()) && !read.opens(fresh().digest()));
    }

    #[test]
    fn a_debug_print_holds_no_secret() {
        let secret = fresh();
        let (printed, shown) = (format!("{secret:?}"), secret.reveal());
        let hidden = shown.rsplit_once('.').unwrap().1;
        assert!(!printed.contains(hidden), "{printed}");
    }

    #[test]
    fn a_changed_key_is_none() {
        let shown = fresh().reveal();
        let upper = shown.to_ascii_uppercase();
        let cut = &shown[..shown.len() - 1];
        for text in [
            "",
            "mirage",
            &upper,
            cut,
            &format!("{shown}.x"),
            &format!(" {shown}"),
        ] {
            assert_eq!(text.parse::<Secret>(), Err(NoKey), "{text}");
        }
    }
}
