//! One-time codes of a user: set and removed; each is used once, by a sign-in.

use super::{Event, TotpRemoved, TotpSet, TotpUsed, User};
use crate::sealed::Sealable;

/// Asks for a code from now on; whoever sends this has shown one made with the secret.
#[derive(Debug, Clone)]
pub struct SetTotp {
    /// Base 32 without padding, of at least 16 bytes (RFC 4226, requirement 6).
    pub secret: String,
    /// The step of the code that was shown, which is used up by that.
    pub step: u64,
}

/// Asks for no code any more.
#[derive(Debug, Clone, Copy)]
pub struct RemoveTotp;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TotpError {
    #[error("there is no such user")]
    NoUser,
    #[error("the user has no one-time codes")]
    None,
    #[error("the secret of one-time codes is base 32 of 16 to 64 bytes")]
    Secret,
}

pub(super) fn set(user: &User, command: SetTotp) -> Result<Vec<Event>, TotpError> {
    if !user.exists() {
        return Err(TotpError::NoUser);
    }
    let bytes = data_encoding::BASE32_NOPAD.decode(command.secret.as_bytes());
    if !bytes.is_ok_and(|bytes| (16..=64).contains(&bytes.len())) {
        return Err(TotpError::Secret);
    }
    let secret = Sealable::Open(command.secret);
    let step = command.step;
    Ok(vec![TotpSet { secret }.into(), TotpUsed { step }.into()])
}

pub(super) fn remove(user: &User, RemoveTotp: RemoveTotp) -> Result<Vec<Event>, TotpError> {
    match user.totp {
        None => Err(TotpError::None),
        Some(_) => Ok(vec![TotpRemoved {}.into()]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ada, given};
    use super::*;

    fn command(secret: &str) -> SetTotp {
        let secret = secret.to_owned();
        SetTotp { secret, step: 7 }
    }

    #[test]
    fn the_code_that_was_shown_is_used_up() {
        let set = set(&given([ada()]), command("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")).unwrap();
        let user = given([vec![ada()], set].concat());
        assert_eq!(user.totp.and_then(|totp| totp.step_used), Some(7));
    }

    #[test]
    fn a_short_or_foreign_secret_is_refused() {
        for secret in [
            "",
            "GEZDGNBV",
            "gezdgnbvgy3tqojqgezdgnbvgy3tqojq",
            "not base 32",
        ] {
            let refused = set(&given([ada()]), command(secret));
            assert_eq!(refused, Err(TotpError::Secret), "{secret}");
        }
    }

    #[test]
    fn codes_are_removed_once() {
        let set = set(&given([ada()]), command("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")).unwrap();
        let before = [vec![ada()], set].concat();
        let removed = remove(&given(before.clone()), RemoveTotp).unwrap();
        let user = given([before, removed].concat());
        assert_eq!(user.totp, None);
        assert_eq!(remove(&user, RemoveTotp), Err(TotpError::None));
    }
}
