//! Suspending a user and taking that back; either, said again, changes nothing.

use super::{Event, Reinstated, Suspended, User};

/// Shuts the user out.
#[derive(Debug, Clone, Copy)]
pub struct Suspend;

/// Lets the user in again.
#[derive(Debug, Clone, Copy)]
pub struct Reinstate;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuspendError {
    #[error("there is no such user")]
    NoUser,
}

pub(super) fn suspend(user: &User, Suspend: Suspend) -> Result<Vec<Event>, SuspendError> {
    match (user.exists(), user.is_suspended) {
        (false, _) => Err(SuspendError::NoUser),
        (true, true) => Ok(Vec::new()),
        (true, false) => Ok(vec![Suspended {}.into()]),
    }
}

pub(super) fn reinstate(user: &User, Reinstate: Reinstate) -> Result<Vec<Event>, SuspendError> {
    match (user.exists(), user.is_suspended) {
        (false, _) => Err(SuspendError::NoUser),
        (true, false) => Ok(Vec::new()),
        (true, true) => Ok(vec![Reinstated {}.into()]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ada, given};
    use super::*;

    #[test]
    fn a_suspended_user_may_not_enter_until_reinstated() {
        assert!(given([ada()]).may_enter());
        let out = suspend(&given([ada()]), Suspend).unwrap();
        let user = given([vec![ada()], out.clone()].concat());
        assert!(!user.may_enter());
        assert_eq!(suspend(&user, Suspend), Ok(Vec::new()));
        let back = reinstate(&user, Reinstate).unwrap();
        assert!(given([vec![ada()], out, back].concat()).may_enter());
    }

    #[test]
    fn nobody_may_not_enter() {
        assert!(!User::default().may_enter());
        let refused = suspend(&User::default(), Suspend);
        assert_eq!(refused, Err(SuspendError::NoUser));
    }
}
