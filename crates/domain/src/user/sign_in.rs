//! Signing in: a session begins to be one of the user's, and a one-time code is used up.

use super::{Event, SignedIn, TotpUsed, User};
use crate::id::{IdentityId, SessionId};

/// Sessions of a user that hold, at most; one more ends the oldest.
pub const SESSIONS_MAX: usize = 64;

/// Lets a session in, for somebody whose proof was verified before.
#[derive(Debug, Clone)]
pub struct SignIn {
    pub session: SessionId,
    pub proof: Proof,
}

/// By what somebody proved to be the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A password, and the step of the one-time code that was shown.
    Password { step: Option<u64> },
    /// Somebody who is in by this session allowed another device: what was shown for the one counts for the other.
    Session(SessionId),
    /// An issuer said that it is this one; what it asked for, one-time codes too, is its own affair.
    Identity(IdentityId),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    #[error("there is no such user, or it may not enter")]
    MayNotEnter,
    #[error("a one-time code is needed")]
    NoCode,
    /// RFC 6238, section 5.2: a code is accepted once.
    #[error("the one-time code was used before")]
    Used,
    #[error("the identity is not linked to the user")]
    NotLinked,
    #[error("the session that allowed it is over")]
    SessionOver,
}

pub(super) fn decide(user: &User, command: SignIn) -> Result<Vec<Event>, SignInError> {
    if !user.may_enter() {
        return Err(SignInError::MayNotEnter);
    }
    let mut events = Vec::new();
    match (command.proof, &user.totp) {
        (Proof::Session(session), _) if !user.sessions.contains(&session) => {
            return Err(SignInError::SessionOver);
        }
        (Proof::Identity(identity), _) if !user.identities.contains_key(&identity) => {
            return Err(SignInError::NotLinked);
        }
        (Proof::Password { step }, Some(totp)) => {
            let step = step.ok_or(SignInError::NoCode)?;
            if totp.step_used.is_some_and(|last| step <= last) {
                return Err(SignInError::Used);
            }
            events.push(TotpUsed { step }.into());
        }
        (Proof::Session(_) | Proof::Identity(_), _) | (Proof::Password { .. }, None) => {}
    }
    let session = command.session;
    events.push(SignedIn { session }.into());
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ada, given};
    use super::super::{PasswordSet, Suspended, TotpSet};
    use super::*;
    use crate::sealed::Sealable;

    fn command(number: usize, step: Option<u64>) -> SignIn {
        let session = session(number);
        let proof = Proof::Password { step };
        SignIn { session, proof }
    }

    fn session(number: usize) -> SessionId {
        SessionId::new(&format!("ses_{number}")).unwrap()
    }

    fn in_by(number: usize) -> Event {
        let session = session(number);
        SignedIn { session }.into()
    }

    fn with_codes() -> Vec<Event> {
        let secret = Sealable::Open("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".into());
        vec![ada(), TotpSet { secret }.into()]
    }

    #[test]
    fn a_step_and_those_before_it_are_used_once() {
        let first = decide(&given(with_codes()), command(1, Some(7))).unwrap();
        assert_eq!(first, [TotpUsed { step: 7 }.into(), in_by(1)]);
        let user = given([with_codes(), first].concat());
        for step in [0, 6, 7] {
            let refused = decide(&user, command(2, Some(step)));
            assert_eq!(refused, Err(SignInError::Used), "{step}");
        }
        assert!(decide(&user, command(2, Some(8))).is_ok());
        assert_eq!(decide(&user, command(2, None)), Err(SignInError::NoCode));
    }

    #[test]
    fn a_session_lets_another_in_as_long_as_it_holds() {
        let by = |number| SignIn {
            session: session(2),
            proof: Proof::Session(session(number)),
        };
        let before = [with_codes(), vec![in_by(1)]].concat();
        assert_eq!(decide(&given(before.clone()), by(1)), Ok(vec![in_by(2)]));
        let unknown = decide(&given(before.clone()), by(3));
        assert_eq!(unknown, Err(SignInError::SessionOver));
        let phc = Sealable::Open("$argon2id$".into());
        let changed = [before, vec![PasswordSet { phc }.into()]].concat();
        let refused = decide(&given(changed), by(1));
        assert_eq!(refused, Err(SignInError::SessionOver));
    }

    #[test]
    fn another_password_and_a_suspension_end_every_session() {
        let phc = Sealable::Open("$argon2id$".into());
        for end in [PasswordSet { phc }.into(), Suspended {}.into()] {
            let user = given([ada(), in_by(1), in_by(2), end, in_by(3)]);
            assert_eq!(user.sessions, [session(3)]);
        }
        let refused = decide(&given([ada(), Suspended {}.into()]), command(1, None));
        assert_eq!(refused, Err(SignInError::MayNotEnter));
        let refused = decide(&User::default(), command(1, None));
        assert_eq!(refused, Err(SignInError::MayNotEnter));
    }

    #[test]
    fn one_session_more_than_there_may_be_ends_the_oldest() {
        let events = (0..=SESSIONS_MAX).map(in_by);
        let user = given([ada()].into_iter().chain(events));
        assert_eq!(user.sessions.len(), SESSIONS_MAX);
        assert_eq!(user.sessions[0], session(1));
    }
}
