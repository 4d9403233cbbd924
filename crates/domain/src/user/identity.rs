//! Identities of a user: whom an issuer calls by a subject, linked and unlinked.

use super::{Event, IdentityLinked, IdentityUnlinked, User};
use crate::id::IdentityId;
use crate::sealed::Sealable;

/// Identities of a user, at most.
pub const IDENTITIES_MAX: usize = 16;
/// Longest subject, in bytes (OpenID Connect Core, section 2).
pub const SUBJECT_BYTES_MAX: usize = 255;
/// Longest address of an issuer, in bytes.
const ISSUER_BYTES_MAX: usize = 512;

/// Lets who is this at an issuer in as the user. That nobody else has it is for the identity's own stream to know.
#[derive(Debug, Clone)]
pub struct LinkIdentity {
    pub identity: IdentityId,
    pub issuer: String,
    pub subject: String,
}

/// Lets that one in no more.
#[derive(Debug, Clone)]
pub struct UnlinkIdentity {
    pub identity: IdentityId,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("there is no such user")]
    NoUser,
    #[error("the user has no such identity")]
    None,
    #[error("a user has at most {IDENTITIES_MAX} identities")]
    TooMany,
    #[error("an issuer has 1 to {ISSUER_BYTES_MAX} printable ASCII characters")]
    Issuer,
    #[error("a subject has 1 to {SUBJECT_BYTES_MAX} printable ASCII characters")]
    Subject,
}

/// What is linked already stays so.
pub(super) fn link(user: &User, command: LinkIdentity) -> Result<Vec<Event>, IdentityError> {
    if !user.exists() {
        return Err(IdentityError::NoUser);
    }
    let is_printable = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !(1..=ISSUER_BYTES_MAX).contains(&command.issuer.len()) || !is_printable(&command.issuer) {
        return Err(IdentityError::Issuer);
    }
    let subject = &command.subject;
    if !(1..=SUBJECT_BYTES_MAX).contains(&subject.len()) || !is_printable(subject) {
        return Err(IdentityError::Subject);
    }
    if user.identities.contains_key(&command.identity) {
        return Ok(Vec::new());
    }
    if user.identities.len() >= IDENTITIES_MAX {
        return Err(IdentityError::TooMany);
    }
    let linked = IdentityLinked {
        identity: command.identity,
        issuer: command.issuer,
        subject: Sealable::Open(command.subject),
    };
    Ok(vec![linked.into()])
}

pub(super) fn unlink(user: &User, command: UnlinkIdentity) -> Result<Vec<Event>, IdentityError> {
    let UnlinkIdentity { identity } = command;
    match user.identities.contains_key(&identity) {
        true => Ok(vec![IdentityUnlinked { identity }.into()]),
        false => Err(IdentityError::None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ada, given};
    use super::super::{Proof, SignIn, SignInError, sign_in};
    use super::*;
    use crate::id::SessionId;

    fn command(number: usize, subject: &str) -> LinkIdentity {
        LinkIdentity {
            identity: identity(number),
            issuer: "https://id.example".into(),
            subject: subject.into(),
        }
    }

    fn identity(number: usize) -> IdentityId {
        IdentityId::new(&format!("idn_{number}")).unwrap()
    }

    fn sign_in_by(user: &User, number: usize) -> Result<Vec<Event>, SignInError> {
        let command = SignIn {
            session: SessionId::new("ses_1").unwrap(),
            proof: Proof::Identity(identity(number)),
        };
        sign_in::decide(user, command)
    }

    #[test]
    fn an_identity_lets_in_as_long_as_it_is_linked() {
        let linked = link(&given([ada()]), command(1, "s")).unwrap();
        let before = [vec![ada()], linked].concat();
        let user = given(before.clone());
        let entered = sign_in_by(&user, 1).unwrap();
        assert_eq!(sign_in_by(&user, 2), Err(SignInError::NotLinked));
        assert_eq!(link(&user, command(1, "s")), Ok(vec![]), "it is linked");
        let identity = identity(1);
        let unlinked = unlink(&user, UnlinkIdentity { identity }).unwrap();
        let user = given([before, entered, unlinked].concat());
        assert_eq!(sign_in_by(&user, 1), Err(SignInError::NotLinked));
        assert!(user.sessions.is_empty(), "whoever was in is out");
    }

    #[test]
    fn what_is_not_linked_cannot_be_unlinked() {
        let identity = identity(1);
        let refused = unlink(&given([ada()]), UnlinkIdentity { identity });
        assert_eq!(refused, Err(IdentityError::None));
    }

    #[test]
    fn only_a_plain_subject_of_a_user_that_exists_is_linked() {
        let refused = link(&User::default(), command(1, "s"));
        assert_eq!(refused, Err(IdentityError::NoUser));
        for subject in ["", "a\nb", "ä", &"s".repeat(SUBJECT_BYTES_MAX + 1)] {
            let refused = link(&given([ada()]), command(1, subject));
            assert_eq!(refused, Err(IdentityError::Subject), "{subject:?}");
        }
        let issuer = String::new();
        let refused = LinkIdentity {
            issuer,
            ..command(1, "s")
        };
        assert_eq!(link(&given([ada()]), refused), Err(IdentityError::Issuer));
    }

    #[test]
    fn a_user_has_few_identities() {
        let mut events = vec![ada()];
        for number in 0..IDENTITIES_MAX {
            events.extend(link(&given(events.clone()), command(number, "s")).unwrap());
        }
        let refused = link(&given(events), command(IDENTITIES_MAX, "s"));
        assert_eq!(refused, Err(IdentityError::TooMany));
    }
}
