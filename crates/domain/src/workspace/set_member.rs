//! Letting a user into a workspace, in a role; or in another role.

use super::{Event, MemberSet, Workspace};
use crate::id::UserId;
use crate::role::Role;

/// Members of a workspace, at most.
pub const MEMBERS_MAX: usize = 10_000;

/// Lets a user in. Whether the user exists is for the caller to know.
#[derive(Debug, Clone)]
pub struct SetMember {
    pub user: UserId,
    pub role: Role,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetMemberError {
    #[error("there is no such workspace")]
    NoWorkspace,
    #[error("a workspace keeps an owner")]
    LastOwner,
    #[error("a workspace has at most {MEMBERS_MAX} members")]
    TooMany,
}

pub(super) fn decide(
    workspace: &Workspace,
    command: SetMember,
) -> Result<Vec<Event>, SetMemberError> {
    if workspace.fingerprint.is_none() {
        return Err(SetMemberError::NoWorkspace);
    }
    let now = workspace.members.get(&command.user);
    if now == Some(&command.role) {
        return Ok(Vec::new());
    }
    if command.role != Role::Owner && workspace.is_last_owner(&command.user) {
        return Err(SetMemberError::LastOwner);
    }
    if now.is_none() && workspace.members.len() >= MEMBERS_MAX {
        return Err(SetMemberError::TooMany);
    }
    let SetMember { user, role } = command;
    Ok(vec![MemberSet { user, role }.into()])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{begun, given, user};
    use super::*;

    fn set(number: usize, role: Role) -> SetMember {
        let user = user(number);
        SetMember { user, role }
    }

    #[test]
    fn a_member_is_let_in_and_gets_another_role() {
        let mut events = vec![begun()];
        for command in [
            set(1, Role::Owner),
            set(2, Role::Viewer),
            set(2, Role::Analyst),
        ] {
            events.extend(decide(&given(events.clone()), command).unwrap());
        }
        let workspace = given(events);
        assert_eq!(workspace.members[&user(2)], Role::Analyst);
        assert_eq!(decide(&workspace, set(2, Role::Analyst)), Ok(Vec::new()));
    }

    #[test]
    fn the_last_owner_stays_one() {
        let mut events = vec![begun()];
        events.extend(decide(&given(events.clone()), set(1, Role::Owner)).unwrap());
        let lowered = decide(&given(events.clone()), set(1, Role::Viewer));
        assert_eq!(lowered, Err(SetMemberError::LastOwner));
        events.extend(decide(&given(events.clone()), set(2, Role::Owner)).unwrap());
        assert!(decide(&given(events), set(1, Role::Viewer)).is_ok());
    }

    #[test]
    fn members_are_bounded_and_need_a_workspace() {
        let nowhere = decide(&Workspace::default(), set(1, Role::Owner));
        assert_eq!(nowhere, Err(SetMemberError::NoWorkspace));
        let mut full = given(vec![begun()]);
        let members = (0..MEMBERS_MAX).map(|number| (user(number), Role::Owner));
        full.members.extend(members);
        let refused = decide(&full, set(MEMBERS_MAX, Role::Viewer));
        assert_eq!(refused, Err(SetMemberError::TooMany));
        assert!(decide(&full, set(1, Role::Viewer)).is_ok());
    }
}
