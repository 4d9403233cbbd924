//! Users made, changed and shut out, and what each may do in a workspace.

use std::net::IpAddr;
use std::time::Instant;

use mirage_domain::id::{Position, StreamId, UserId, WorkspaceId};
use mirage_domain::role::Role;
use mirage_domain::user::{self, CreateUser, SetPassword, SetTotp, User, sign_in_name};
use mirage_domain::workspace::{self, RemoveMember, SetMember};
use mirage_log::execute::Envelope;

use super::super::totp;
use super::{Identities, failed};
use crate::error::Problem;

/// A user to be.
pub struct NewUser<'a> {
    pub name: &'a str,
    /// Empty: none.
    pub email: &'a str,
    pub password: String,
}

impl Identities {
    /// Creates a user with its first password; what it may do is said by [`Self::set_member`].
    pub async fn create(
        &self,
        new: NewUser<'_>,
        envelope: Envelope,
    ) -> Result<(UserId, Position), Problem> {
        let name = sign_in_name(new.name).map_err(|error| Problem::of("bad_value", &error))?;
        let phc = self.hash(new.password, &name).await?;
        let user = UserId::derive(&self.key().await?, &name);
        let command = user::Command::Create(CreateUser {
            name,
            email: new.email.to_owned(),
            phc: Some(phc),
        });
        let position = self.command(&user, command, envelope).await?;
        Ok((user, position))
    }

    /// Gives a user a role in a workspace, or another one.
    pub async fn set_member(
        &self,
        workspace: &WorkspaceId,
        user: &UserId,
        role: Role,
        envelope: Envelope,
    ) -> Result<Position, Problem> {
        // Of what is not there, the workspace would know nothing.
        self.known(user).await?;
        let user = user.clone();
        let command = workspace::Command::SetMember(SetMember { user, role });
        let stream = StreamId::workspace(workspace);
        Ok(self.workspaces.execute(&stream, command, envelope).await?)
    }

    /// Takes a user's role in a workspace away.
    pub async fn remove_member(
        &self,
        workspace: &WorkspaceId,
        user: &UserId,
        envelope: Envelope,
    ) -> Result<Position, Problem> {
        let user = user.clone();
        let command = workspace::Command::RemoveMember(RemoveMember { user });
        let stream = StreamId::workspace(workspace);
        Ok(self.workspaces.execute(&stream, command, envelope).await?)
    }

    /// One command to one user.
    pub async fn command(
        &self,
        user: &UserId,
        command: user::Command,
        envelope: Envelope,
    ) -> Result<Position, Problem> {
        let stream = StreamId::user(user);
        Ok(self.users.execute(&stream, command, envelope).await?)
    }

    /// A user that exists.
    pub async fn known(&self, user: &UserId) -> Result<User, Problem> {
        let (state, _) = self.users.state(&StreamId::user(user)).await?;
        match state.exists() {
            true => Ok(state),
            false => Err(Problem::new("no_such_user", format!("`{user}`"))),
        }
    }

    /// Sets another password, and so ends every session of the user.
    pub async fn set_password(
        &self,
        user: &UserId,
        password: String,
        envelope: Envelope,
    ) -> Result<Position, Problem> {
        let state = self.known(user).await?;
        let name = state.name.as_ref().and_then(|name| name.open());
        let phc = self.hash(password, name.map_or("", String::as_str)).await?;
        let command = user::Command::SetPassword(SetPassword { phc });
        self.command(user, command, envelope).await
    }

    /// Refuses who does not know the password of a user that is in: a token alone may be stolen. Tries count as those of
    /// signing in do.
    pub async fn prove(
        &self,
        user: &UserId,
        password: String,
        address: IpAddr,
    ) -> Result<User, Problem> {
        let state = self.known(user).await?;
        let name = state.name.as_ref().and_then(|name| name.open());
        let account = name.cloned().unwrap_or_default();
        self.count_try(&account, address)?;
        let phc = state.phc.as_ref().and_then(|phc| phc.open()).cloned();
        match self.check(password, phc).await? {
            true => {
                self.limiter.give_back(&account, address, Instant::now());
                Ok(state)
            }
            false => Err(failed()),
        }
    }

    /// Asks for one-time codes of this secret from now on; a code proves that the authenticator has it.
    pub async fn set_totp(
        &self,
        user: &UserId,
        secret: String,
        code: &str,
        envelope: Envelope,
    ) -> Result<Position, Problem> {
        let step = totp::step_of(&secret, code, (self.now)()).ok_or_else(failed)?;
        let command = user::Command::SetTotp(SetTotp { secret, step });
        self.command(user, command, envelope).await
    }
}
