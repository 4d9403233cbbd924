//! Giving a team's members a role in a workspace, or another one; and taking it away.

use super::{Event, TeamRemoved, TeamSet, Workspace};
use crate::id::TeamId;
use crate::role::Role;

/// Teams with a role in a workspace, at most.
pub const TEAMS_MAX: usize = 1_000;

/// Lets all members of a team in. Whether the team exists and is of this workspace is for the caller to know.
#[derive(Debug, Clone)]
pub struct SetTeam {
    pub team: TeamId,
    pub role: Role,
}

/// Takes the role of a team away.
#[derive(Debug, Clone)]
pub struct RemoveTeam {
    pub team: TeamId,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetTeamError {
    #[error("there is no such workspace")]
    NoWorkspace,
    #[error("the team has no role here")]
    NoTeam,
    /// Else whoever changes a team would make owners without being one.
    #[error("a team does not own a workspace, only its members by name do")]
    Owner,
    #[error("a workspace has at most {TEAMS_MAX} teams")]
    TooMany,
}

pub(super) fn set(workspace: &Workspace, command: SetTeam) -> Result<Vec<Event>, SetTeamError> {
    if workspace.fingerprint.is_none() {
        return Err(SetTeamError::NoWorkspace);
    }
    if command.role == Role::Owner {
        return Err(SetTeamError::Owner);
    }
    let now = workspace.teams.get(&command.team);
    if now == Some(&command.role) {
        return Ok(Vec::new());
    }
    if now.is_none() && workspace.teams.len() >= TEAMS_MAX {
        return Err(SetTeamError::TooMany);
    }
    let SetTeam { team, role } = command;
    Ok(vec![TeamSet { team, role }.into()])
}

pub(super) fn remove(
    workspace: &Workspace,
    command: RemoveTeam,
) -> Result<Vec<Event>, SetTeamError> {
    match workspace.teams.contains_key(&command.team) {
        false => Err(SetTeamError::NoTeam),
        true => {
            let team = command.team;
            Ok(vec![TeamRemoved { team }.into()])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{begun, given};
    use super::*;

    fn team() -> TeamId {
        TeamId::new("tea_red").unwrap()
    }

    fn to(role: Role) -> SetTeam {
        let team = team();
        SetTeam { team, role }
    }

    #[test]
    fn a_team_gets_a_role_and_loses_it() {
        let mut events = vec![begun()];
        events.extend(set(&given(events.clone()), to(Role::Viewer)).unwrap());
        let workspace = given(events.clone());
        assert_eq!(workspace.teams[&team()], Role::Viewer);
        assert_eq!(set(&workspace, to(Role::Viewer)), Ok(Vec::new()));
        events.extend(remove(&workspace, RemoveTeam { team: team() }).unwrap());
        let gone = remove(&given(events), RemoveTeam { team: team() });
        assert_eq!(gone, Err(SetTeamError::NoTeam));
    }

    #[test]
    fn a_team_owns_nothing_and_needs_a_workspace() {
        let refused = set(&given(vec![begun()]), to(Role::Owner));
        assert_eq!(refused, Err(SetTeamError::Owner));
        let nowhere = set(&Workspace::default(), to(Role::Viewer));
        assert_eq!(nowhere, Err(SetTeamError::NoWorkspace));
    }
}
