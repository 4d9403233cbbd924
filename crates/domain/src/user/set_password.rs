//! Setting what verifies a user's password.

use super::{Event, PasswordSet, User};
use crate::sealed::Sealable;

/// Longest PHC string, in bytes.
pub const PHC_BYTES_MAX: usize = 512;

/// Sets the password, or another one; how good it is was judged where it was hashed.
#[derive(Debug, Clone)]
pub struct SetPassword {
    pub phc: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetPasswordError {
    #[error("there is no such user")]
    NoUser,
    #[error("a password is kept as a string of argon2id with at most {PHC_BYTES_MAX} bytes")]
    Form,
}

pub(super) fn decide(user: &User, command: SetPassword) -> Result<Vec<Event>, SetPasswordError> {
    if !user.exists() {
        return Err(SetPasswordError::NoUser);
    }
    if !is_phc(&command.phc) {
        return Err(SetPasswordError::Form);
    }
    let phc = Sealable::Open(command.phc);
    Ok(vec![PasswordSet { phc }.into()])
}

/// Whether it may be what is kept of a password; a password itself passes for that by no mistake.
pub(super) fn is_phc(text: &str) -> bool {
    text.starts_with("$argon2id$") && text.len() <= PHC_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ada, given};
    use super::*;

    fn command(phc: &str) -> SetPassword {
        SetPassword { phc: phc.into() }
    }

    #[test]
    fn a_password_is_kept_as_a_hash_only() {
        let user = given([ada()]);
        let refused = decide(&user, command("correct horse"));
        assert_eq!(refused, Err(SetPasswordError::Form));
        let set = decide(&user, command("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA")).unwrap();
        assert!(given([vec![ada()], set].concat()).phc.is_some());
    }

    #[test]
    fn nobody_has_no_password() {
        let refused = decide(&User::default(), command("$argon2id$"));
        assert_eq!(refused, Err(SetPasswordError::NoUser));
    }
}
