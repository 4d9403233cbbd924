//! Workspaces: the tenants, each one's id key by its fingerprint, and who may enter.
//!
//! One command, one file. **Invariant:** who may do what in a workspace is the fold of this one stream, so its version
//! is the version of every right in it.

mod create;
mod events;
mod issue_key;
mod remove_member;
mod revoke_key;
mod set_member;
mod set_team;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use create::{CreateWorkspace, CreateWorkspaceError};
pub use events::*;
pub use issue_key::{IssueKey, IssueKeyError, KEYS_MAX, NAME_BYTES_MAX};
pub use remove_member::{RemoveMember, RemoveMemberError};
pub use revoke_key::{RevokeKey, RevokeKeyError};
pub use set_member::{MEMBERS_MAX, SetMember, SetMemberError};
pub use set_team::{RemoveTeam, SetTeam, SetTeamError, TEAMS_MAX};

use crate::id::{Digest, KeyId, TeamId, UserId};
use crate::role::Role;
use crate::sealed::Sealable;

/// A key for programs: who has its secret enters in its role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    pub name: Sealable<String>,
    pub role: Role,
    /// SHA-256 of the secret, which nobody keeps.
    pub secret: Digest,
    pub issued_at: Timestamp,
    /// `None`: until it is revoked.
    pub expires_at: Option<Timestamp>,
    pub is_revoked: bool,
}

impl ApiKey {
    /// Whether it opens anything at this time.
    pub fn is_good(&self, now: Timestamp) -> bool {
        !self.is_revoked && self.expires_at.is_none_or(|end| now < end)
    }
}

/// The state of one workspace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Workspace {
    pub fingerprint: Option<Digest>,
    pub keys: BTreeMap<KeyId, ApiKey>,
    pub members: BTreeMap<UserId, Role>,
    pub teams: BTreeMap<TeamId, Role>,
}

impl Workspace {
    /// Whether nobody would own the workspace without this user.
    fn is_last_owner(&self, user: &UserId) -> bool {
        let mut owners = self
            .members
            .iter()
            .filter(|(_, role)| **role == Role::Owner);
        self.members.get(user) == Some(&Role::Owner) && owners.nth(1).is_none()
    }
}

/// Everything that can be asked of a workspace.
#[derive(Debug, Clone)]
pub enum Command {
    Create(CreateWorkspace),
    IssueKey(IssueKey),
    RevokeKey(RevokeKey),
    SetMember(SetMember),
    RemoveMember(RemoveMember),
    SetTeam(SetTeam),
    RemoveTeam(RemoveTeam),
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Create(#[from] CreateWorkspaceError),
    #[error(transparent)]
    IssueKey(#[from] IssueKeyError),
    #[error(transparent)]
    RevokeKey(#[from] RevokeKeyError),
    #[error(transparent)]
    SetMember(#[from] SetMemberError),
    #[error(transparent)]
    RemoveMember(#[from] RemoveMemberError),
    #[error(transparent)]
    SetTeam(#[from] SetTeamError),
}

fn decide(workspace: &Workspace, command: Command) -> Result<Vec<Event>, Error> {
    Ok(match command {
        Command::Create(command) => create::decide(workspace, command)?,
        Command::IssueKey(command) => issue_key::decide(workspace, command)?,
        Command::RevokeKey(command) => revoke_key::decide(workspace, &command)?,
        Command::SetMember(command) => set_member::decide(workspace, command)?,
        Command::RemoveMember(command) => remove_member::decide(workspace, command)?,
        Command::SetTeam(command) => set_team::set(workspace, command)?,
        Command::RemoveTeam(command) => set_team::remove(workspace, command)?,
    })
}

crate::aggregate::aggregate!(Workspace, "workspace");

impl Workspace {
    fn fold(&mut self, event: Event) {
        match event {
            Event::Created(created) => self.fingerprint = Some(created.fingerprint),
            Event::KeyIssued(issued) => {
                let key = ApiKey {
                    name: issued.name,
                    role: issued.role,
                    secret: issued.secret,
                    issued_at: issued.issued_at,
                    expires_at: issued.expires_at,
                    is_revoked: false,
                };
                self.keys.insert(issued.key, key);
            }
            Event::KeyRevoked(revoked) => {
                if let Some(key) = self.keys.get_mut(&revoked.key) {
                    key.is_revoked = true;
                }
            }
            Event::MemberSet(set) => {
                self.members.insert(set.user, set.role);
            }
            Event::MemberRemoved(removed) => {
                self.members.remove(&removed.user);
            }
            Event::TeamSet(set) => {
                self.teams.insert(set.team, set.role);
            }
            Event::TeamRemoved(removed) => {
                self.teams.remove(&removed.team);
            }
        }
    }
}

#[cfg(test)]
mod testing;
