//! Opening a session.

use jiff::Timestamp;

use super::{Event, Method, Opened, Session};
use crate::id::{Digest, UserId, WorkspaceId};

/// Opens a session for somebody who proved who they are; its id and its first refresh token are the caller's random.
#[derive(Debug, Clone)]
pub struct OpenSession {
    pub user: UserId,
    pub workspace: WorkspaceId,
    pub method: Method,
    /// SHA-256 of the first refresh token.
    pub refresh: Digest,
    pub now: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("a session with this id was opened before")]
    Exists,
    #[error("the session would be over already")]
    Expired,
}

pub(super) fn decide(session: &Session, command: OpenSession) -> Result<Vec<Event>, OpenError> {
    if session.opened.is_some() {
        return Err(OpenError::Exists);
    }
    if command.expires_at <= command.now {
        return Err(OpenError::Expired);
    }
    let opened = Opened {
        user: command.user,
        workspace: command.workspace,
        method: command.method,
        refresh: command.refresh,
        expires_at: command.expires_at,
    };
    Ok(vec![opened.into()])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, given, open, opened};
    use super::*;

    #[test]
    fn a_session_is_opened_once_and_lasts_its_time() {
        assert_eq!(decide(&Session::default(), open()), Ok(vec![opened()]));
        let session = given([opened()]);
        assert!(session.is_good(at(99)) && !session.is_good(at(100)));
        assert_eq!(decide(&session, open()), Err(OpenError::Exists));
    }

    #[test]
    fn a_session_without_time_is_refused() {
        let command = OpenSession {
            now: at(100),
            ..open()
        };
        assert_eq!(
            decide(&Session::default(), command),
            Err(OpenError::Expired)
        );
    }
}
