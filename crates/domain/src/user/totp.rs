//! One-time codes of a user: set, used once each, removed.

use super::{Event, TotpRemoved, TotpSet, TotpUsed, User};
use crate::sealed::Sealable;

/// Asks for a code from now on; whoever sends this has shown one made with the secret.
#[derive(Debug, Clone)]
pub struct SetTotp {
    /// Base 32 without padding, of at least 16 bytes (RFC 4226, requirement 6).
    pub secret: String,
}

/// Uses the code of a step up; that it fits the secret was verified before.
#[derive(Debug, Clone, Copy)]
pub struct UseTotp {
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
    /// RFC 6238, section 5.2: a code is accepted once.
    #[error("the one-time code was used before")]
    Used,
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
    Ok(vec![TotpSet { secret }.into()])
}

pub(super) fn used(user: &User, command: UseTotp) -> Result<Vec<Event>, TotpError> {
    let totp = user.totp.as_ref().ok_or(TotpError::None)?;
    match totp.step_used {
        Some(last) if command.step <= last => Err(TotpError::Used),
        _ => Ok(vec![TotpUsed { step: command.step }.into()]),
    }
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

    fn with_codes() -> Vec<Event> {
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".to_owned();
        let set = set(&given([ada()]), SetTotp { secret }).unwrap();
        [vec![ada()], set].concat()
    }

    #[test]
    fn a_step_and_those_before_it_are_used_once() {
        let first = used(&given(with_codes()), UseTotp { step: 7 }).unwrap();
        let user = given([with_codes(), first].concat());
        for step in [0, 6, 7] {
            assert_eq!(
                used(&user, UseTotp { step }),
                Err(TotpError::Used),
                "{step}"
            );
        }
        assert!(used(&user, UseTotp { step: 8 }).is_ok());
    }

    #[test]
    fn a_short_or_foreign_secret_is_refused() {
        for secret in [
            "",
            "GEZDGNBV",
            "gezdgnbvgy3tqojqgezdgnbvgy3tqojq",
            "not base 32",
        ] {
            let secret = secret.to_owned();
            assert_eq!(
                set(&given([ada()]), SetTotp { secret }),
                Err(TotpError::Secret)
            );
        }
    }

    #[test]
    fn removed_codes_open_nothing() {
        let removed = remove(&given(with_codes()), RemoveTotp).unwrap();
        let user = given([with_codes(), removed].concat());
        assert_eq!(used(&user, UseTotp { step: 7 }), Err(TotpError::None));
        assert_eq!(remove(&user, RemoveTotp), Err(TotpError::None));
    }
}
