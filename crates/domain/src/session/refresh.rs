//! Using a refresh token up for another one; using one up twice ends the session.

use jiff::Timestamp;

use super::{Event, Reason, Refreshed, Revoked, Session};
use crate::id::Digest;

/// Refreshes of one session, at most: every minute for a week. It bounds what is remembered of it.
pub const REFRESHES_MAX: usize = 10_080;

/// Uses a refresh token up. **The answer is in the events**: `session.refreshed` lets in, `session.revoked` does not.
#[derive(Debug, Clone, Copy)]
pub struct RefreshSession {
    /// SHA-256 of the token that was shown.
    pub presented: Digest,
    /// SHA-256 of the one to give out for it.
    pub fresh: Digest,
    pub now: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// The token was never of this session. That ends nothing, or who knows an id could throw people out.
    #[error("the refresh token is not known")]
    Unknown,
    #[error("the session is over")]
    Over,
}

pub(super) fn decide(
    session: &Session,
    command: &RefreshSession,
) -> Result<Vec<Event>, RefreshError> {
    if session.opened.is_none() {
        return Err(RefreshError::Unknown);
    }
    if !session.is_good(command.now) {
        return Err(RefreshError::Over);
    }
    if session.earlier.contains(&command.presented) {
        let reason = Reason::Reused;
        return Ok(vec![Revoked { reason }.into()]);
    }
    if session.current != Some(command.presented) {
        return Err(RefreshError::Unknown);
    }
    if session.earlier.len() >= REFRESHES_MAX {
        return Err(RefreshError::Over);
    }
    let refresh = command.fresh;
    Ok(vec![Refreshed { refresh }.into()])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, given, opened, token};
    use super::*;

    fn command(presented: u32, fresh: u32) -> RefreshSession {
        RefreshSession {
            presented: token(presented),
            fresh: token(fresh),
            now: at(10),
        }
    }

    fn refreshed(number: u32) -> Event {
        let refresh = token(number);
        Refreshed { refresh }.into()
    }

    #[test]
    fn the_good_token_is_used_up_for_another() {
        let session = given([opened()]);
        assert_eq!(decide(&session, &command(0, 1)), Ok(vec![refreshed(1)]));
        let session = given([opened(), refreshed(1)]);
        assert_eq!(decide(&session, &command(1, 2)), Ok(vec![refreshed(2)]));
    }

    #[test]
    fn a_used_token_ends_the_session_for_the_good_one_too() {
        let before = [opened(), refreshed(1), refreshed(2)];
        for used in [0, 1] {
            let end = decide(&given(before.clone()), &command(used, 9)).unwrap();
            let reason = Reason::Reused;
            assert_eq!(end, [Revoked { reason }.into()]);
            let session = given([before.to_vec(), end].concat());
            assert_eq!(decide(&session, &command(2, 3)), Err(RefreshError::Over));
        }
    }

    #[test]
    fn a_token_of_nobody_changes_nothing() {
        let refused = decide(&given([opened()]), &command(7, 8));
        assert_eq!(refused, Err(RefreshError::Unknown));
        let refused = decide(&Session::default(), &command(0, 1));
        assert_eq!(refused, Err(RefreshError::Unknown));
    }

    #[test]
    fn no_refresh_goes_beyond_the_end() {
        let late = RefreshSession {
            now: at(100),
            ..command(0, 1)
        };
        assert_eq!(decide(&given([opened()]), &late), Err(RefreshError::Over));
    }

    #[test]
    fn what_is_remembered_of_a_session_is_bounded() {
        let last = REFRESHES_MAX as u32;
        let events = [opened()].into_iter().chain((1..=last).map(refreshed));
        let refused = decide(&given(events), &command(last, last + 1));
        assert_eq!(refused, Err(RefreshError::Over));
    }
}
