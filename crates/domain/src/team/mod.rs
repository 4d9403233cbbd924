//! Teams: users who are let into a workspace together.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::{UserId, WorkspaceId};
use crate::sealed::Sealable;

/// Longest name of a team, in bytes.
pub const NAME_BYTES_MAX: usize = 200;
/// Members of a team, at most.
pub const MEMBERS_MAX: usize = 10_000;

crate::event::events! {
    Created = "team.created" v 1,
    MemberAdded = "team.member_added" v 1,
    MemberRemoved = "team.member_removed" v 1,
}

/// A team exists, in one workspace, which alone can give it a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Created {
    pub workspace: WorkspaceId,
    pub name: Sealable<String>,
}

/// A user is in the team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberAdded {
    pub user: UserId,
}

/// A user is not in the team any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberRemoved {
    pub user: UserId,
}

/// Everything that can be asked of a team. Whether a user exists is for the caller to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Create {
        workspace: WorkspaceId,
        name: String,
    },
    /// A member, added again, stays one.
    AddMember {
        user: UserId,
    },
    RemoveMember {
        user: UserId,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the team exists")]
    Exists,
    #[error("there is no such team")]
    NoTeam,
    #[error("the user is not in the team")]
    NoMember,
    #[error("a team has at most {MEMBERS_MAX} members")]
    TooMany,
    #[error("a name has 1 to {NAME_BYTES_MAX} bytes and no control characters")]
    Name,
}

/// The state of one team.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Team {
    /// `None` before it was created.
    pub workspace: Option<WorkspaceId>,
    pub name: Sealable<String>,
    pub members: BTreeSet<UserId>,
}

fn decide(team: &Team, command: Command) -> Result<Option<Event>, Error> {
    match (command, &team.workspace) {
        (Command::Create { .. }, Some(_)) => Err(Error::Exists),
        (Command::Create { workspace, name }, None) => {
            let is_sized = (1..=NAME_BYTES_MAX).contains(&name.len());
            if !is_sized || name.chars().any(char::is_control) {
                return Err(Error::Name);
            }
            let name = Sealable::Open(name);
            Ok(Some(Created { workspace, name }.into()))
        }
        (Command::AddMember { .. } | Command::RemoveMember { .. }, None) => Err(Error::NoTeam),
        (Command::AddMember { user }, Some(_)) if team.members.contains(&user) => Ok(None),
        (Command::AddMember { .. }, Some(_)) if team.members.len() >= MEMBERS_MAX => {
            Err(Error::TooMany)
        }
        (Command::AddMember { user }, Some(_)) => Ok(Some(MemberAdded { user }.into())),
        (Command::RemoveMember { user }, Some(_)) => match team.members.contains(&user) {
            true => Ok(Some(MemberRemoved { user }.into())),
            false => Err(Error::NoMember),
        },
    }
}

crate::aggregate::aggregate!(Team, "team");

impl Team {
    fn fold(&mut self, event: Event) {
        match event {
            Event::Created(created) => {
                self.workspace = Some(created.workspace);
                self.name = created.name;
            }
            Event::MemberAdded(added) => {
                self.members.insert(added.user);
            }
            Event::MemberRemoved(removed) => {
                self.members.remove(&removed.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(name: &str) -> Command {
        Command::Create {
            workspace: WorkspaceId::new("default").unwrap(),
            name: name.into(),
        }
    }

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn after(commands: &[Command]) -> Team {
        let mut team = Team::default();
        for command in commands {
            let event = decide(&team, command.clone()).unwrap();
            event
                .into_iter()
                .for_each(|event| cqrs_es::Aggregate::apply(&mut team, event));
        }
        team
    }

    #[test]
    fn a_team_is_created_once_with_a_fit_name() {
        assert_eq!(
            decide(&after(&[create("red")]), create("red")),
            Err(Error::Exists)
        );
        for name in ["", "a\nb", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert_eq!(decide(&Team::default(), create(name)), Err(Error::Name));
        }
    }

    #[test]
    fn members_come_and_go() {
        let (add, remove) = (
            Command::AddMember {
                user: user("usr_a"),
            },
            Command::RemoveMember {
                user: user("usr_a"),
            },
        );
        assert_eq!(decide(&Team::default(), add.clone()), Err(Error::NoTeam));
        let team = after(&[create("red"), add.clone()]);
        assert_eq!(decide(&team, add.clone()), Ok(None));
        let team = after(&[create("red"), add, remove.clone()]);
        assert!(team.members.is_empty());
        assert_eq!(decide(&team, remove), Err(Error::NoMember));
    }

    #[test]
    fn a_team_has_a_bounded_number_of_members() {
        let mut team = after(&[create("red")]);
        team.members = (0..MEMBERS_MAX)
            .map(|n| user(&format!("usr_{n}")))
            .collect();
        let one = Command::AddMember {
            user: user("usr_x"),
        };
        assert_eq!(decide(&team, one), Err(Error::TooMany));
    }
}
