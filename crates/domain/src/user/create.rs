//! Creating a user, once for each sign-in name.

use super::set_password::{SetPasswordError, is_phc};
use super::{Created, Event, PasswordSet, User};
use crate::sealed::Sealable;

/// Longest sign-in name, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest mail address, in bytes (RFC 5321: 64 before and 255 after the @, 256 with the path's brackets).
pub const EMAIL_BYTES_MAX: usize = 254;

/// Creates the user of a sign-in name.
#[derive(Debug, Clone)]
pub struct CreateUser {
    /// As [`sign_in_name`] answers it.
    pub name: String,
    /// Empty: none.
    pub email: String,
    /// What verifies the first password; without one the user cannot sign in until it is set.
    pub phc: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    #[error("the user exists")]
    Exists,
    #[error("a sign-in name has 1 to {NAME_BYTES_MAX} characters of a-z 0-9 . _ - @ +")]
    Name,
    #[error("a mail address has one @, no white space, and at most {EMAIL_BYTES_MAX} bytes")]
    Email,
    #[error(transparent)]
    Password(#[from] SetPasswordError),
}

/// The one form of a sign-in name: without white space around it, in lower case.
/// ASCII only, so that no two names look alike.
pub fn sign_in_name(text: &str) -> Result<String, CreateError> {
    let name = text.trim().to_ascii_lowercase();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@+".contains(&byte);
    match name.len() {
        1..=NAME_BYTES_MAX if name.bytes().all(legal) => Ok(name),
        _ => Err(CreateError::Name),
    }
}

pub(super) fn decide(user: &User, command: CreateUser) -> Result<Vec<Event>, CreateError> {
    if user.exists() {
        return Err(CreateError::Exists);
    }
    if sign_in_name(&command.name)? != command.name {
        return Err(CreateError::Name);
    }
    if !command.email.is_empty() && !is_email(&command.email) {
        return Err(CreateError::Email);
    }
    if command.phc.as_deref().is_some_and(|phc| !is_phc(phc)) {
        return Err(SetPasswordError::Form.into());
    }
    let created = Created {
        name: Sealable::Open(command.name),
        email: Sealable::Open(command.email),
    };
    let password = command.phc.map(|phc| {
        let phc = Sealable::Open(phc);
        PasswordSet { phc }.into()
    });
    Ok([created.into()].into_iter().chain(password).collect())
}

/// Whether mail could be sent there at all; whether it arrives, only sending tells.
fn is_email(text: &str) -> bool {
    let is_plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    let parts: Vec<&str> = text.split('@').collect();
    let is_split = matches!(parts[..], [local, domain] if !local.is_empty() && !domain.is_empty());
    text.len() <= EMAIL_BYTES_MAX && is_plain && is_split
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ada, given};
    use super::*;

    fn command(name: &str, email: &str) -> CreateUser {
        CreateUser {
            name: name.into(),
            email: email.into(),
            phc: None,
        }
    }

    #[test]
    fn a_user_is_created_once() {
        let made = decide(&User::default(), command("ada", "ada@example.com"));
        assert_eq!(made, Ok(vec![ada()]));
        let refused = decide(&given([ada()]), command("ada", ""));
        assert_eq!(refused, Err(CreateError::Exists));
    }

    #[test]
    fn the_first_password_comes_with_the_user() {
        let with = |phc: &str| CreateUser {
            phc: Some(phc.into()),
            ..command("ada", "")
        };
        let made = decide(
            &User::default(),
            with("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA"),
        );
        assert!(given(made.unwrap()).phc.is_some());
        let refused = decide(&User::default(), with("correct horse"));
        assert_eq!(refused, Err(SetPasswordError::Form.into()));
    }

    #[test]
    fn a_name_has_one_form() {
        assert_eq!(
            sign_in_name(" Ada@Example.com "),
            Ok("ada@example.com".into())
        );
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        for text in ["", "a b", "а", "a/b", "a\0", &long] {
            assert_eq!(sign_in_name(text), Err(CreateError::Name), "{text:?}");
        }
        let refused = decide(&User::default(), command("Ada", ""));
        assert_eq!(refused, Err(CreateError::Name));
    }

    #[test]
    fn what_cannot_be_a_mail_address_is_refused() {
        for email in ["ada", "@b", "a@", "a@b@c", "a b@c", "a@b\r\nBcc: c@d"] {
            let refused = decide(&User::default(), command("ada", email));
            assert_eq!(refused, Err(CreateError::Email), "{email:?}");
        }
    }
}
