//! Ending a session before its time.

use super::{Event, Reason, Revoked, Session};

/// Ends a session; one that was ended stays so.
#[derive(Debug, Clone, Copy)]
pub struct RevokeSession {
    pub reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevokeError {
    #[error("there is no such session")]
    NoSession,
}

pub(super) fn decide(session: &Session, command: RevokeSession) -> Result<Vec<Event>, RevokeError> {
    match (&session.opened, session.revoked) {
        (None, _) => Err(RevokeError::NoSession),
        (Some(_), Some(_)) => Ok(Vec::new()),
        (Some(_), None) => {
            let reason = command.reason;
            Ok(vec![Revoked { reason }.into()])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, given, opened};
    use super::*;

    #[test]
    fn a_session_is_ended_once() {
        let reason = Reason::SignedOut;
        let end = decide(&given([opened()]), RevokeSession { reason }).unwrap();
        let session = given([vec![opened()], end].concat());
        assert!(!session.is_good(at(1)));
        let reason = Reason::Revoked;
        assert_eq!(decide(&session, RevokeSession { reason }), Ok(Vec::new()));
        let refused = decide(&Session::default(), RevokeSession { reason });
        assert_eq!(refused, Err(RevokeError::NoSession));
    }
}
