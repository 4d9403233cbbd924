//! Shutting a user out of a workspace.

use super::{Event, MemberRemoved, Workspace};
use crate::id::UserId;

/// Takes a user's role away; what a team gives stays until the user leaves the team.
#[derive(Debug, Clone)]
pub struct RemoveMember {
    pub user: UserId,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoveMemberError {
    #[error("the user is not a member")]
    NoMember,
    #[error("a workspace keeps an owner")]
    LastOwner,
}

pub(super) fn decide(
    workspace: &Workspace,
    command: RemoveMember,
) -> Result<Vec<Event>, RemoveMemberError> {
    if !workspace.members.contains_key(&command.user) {
        return Err(RemoveMemberError::NoMember);
    }
    if workspace.is_last_owner(&command.user) {
        return Err(RemoveMemberError::LastOwner);
    }
    let user = command.user;
    Ok(vec![MemberRemoved { user }.into()])
}

#[cfg(test)]
mod tests {
    use super::super::MemberSet;
    use super::super::testing::{begun, given, user};
    use super::*;
    use crate::role::Role;

    fn member(number: usize, role: Role) -> Event {
        let user = user(number);
        MemberSet { user, role }.into()
    }

    fn remove(number: usize) -> RemoveMember {
        RemoveMember { user: user(number) }
    }

    #[test]
    fn a_member_is_shut_out_once() {
        let mut events = vec![begun(), member(1, Role::Owner), member(2, Role::Viewer)];
        events.extend(decide(&given(events.clone()), remove(2)).unwrap());
        let workspace = given(events);
        assert!(!workspace.members.contains_key(&user(2)));
        assert_eq!(
            decide(&workspace, remove(2)),
            Err(RemoveMemberError::NoMember)
        );
    }

    #[test]
    fn the_last_owner_is_not_shut_out() {
        let one = vec![begun(), member(1, Role::Owner)];
        let refused = decide(&given(one.clone()), remove(1));
        assert_eq!(refused, Err(RemoveMemberError::LastOwner));
        let two = [one, vec![member(2, Role::Owner)]].concat();
        assert!(decide(&given(two), remove(1)).is_ok());
    }
}
