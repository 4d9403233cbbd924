//! Users: who can sign in, and by what they prove who they are.
//!
//! One command, one file. A user's stream is named after a keyed hash of the sign-in name, so a name is taken once.
//! **Never:** a password, or a one-time code; only what verifies them.

mod create;
mod events;
mod identity;
mod set_password;
mod sign_in;
mod suspend;
mod totp;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

pub use create::{CreateError, CreateUser, EMAIL_BYTES_MAX, NAME_BYTES_MAX, sign_in_name};
pub use events::*;
pub use identity::{
    IDENTITIES_MAX, IdentityError, LinkIdentity, SUBJECT_BYTES_MAX, UnlinkIdentity,
};
pub use set_password::{PHC_BYTES_MAX, SetPassword, SetPasswordError};
pub use sign_in::{Proof, SESSIONS_MAX, SignIn, SignInError};
pub use suspend::{Reinstate, Suspend, SuspendError};
pub use totp::{RemoveTotp, SetTotp, TotpError};

use crate::id::{IdentityId, SessionId};
use crate::sealed::Sealable;

/// The secret from which one-time codes are made, and the last step whose code was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totp {
    /// Base 32 without padding, as authenticators take it.
    pub secret: Sealable<String>,
    pub step_used: Option<u64>,
}

/// Whom an issuer knows the user as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub issuer: String,
    pub subject: Sealable<String>,
}

/// The state of one user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// `None` before the user was created.
    pub name: Option<Sealable<String>>,
    pub email: Sealable<String>,
    /// What verifies the password, as a PHC string; without one nobody signs in by password.
    pub phc: Option<Sealable<String>>,
    pub totp: Option<Totp>,
    /// As whom issuers know the user; each is a way in.
    pub identities: BTreeMap<IdentityId, Known>,
    pub is_suspended: bool,
    /// Those that hold, as far as the user is concerned, oldest first: a session that is not here is over.
    pub sessions: VecDeque<SessionId>,
}

impl User {
    pub fn exists(&self) -> bool {
        self.name.is_some()
    }

    /// Whether somebody who proves to be this user may enter.
    pub fn may_enter(&self) -> bool {
        self.exists() && !self.is_suspended
    }
}

/// Everything that can be asked of a user.
#[derive(Debug, Clone)]
pub enum Command {
    Create(CreateUser),
    SetPassword(SetPassword),
    SetTotp(SetTotp),
    SignIn(SignIn),
    RemoveTotp(RemoveTotp),
    LinkIdentity(LinkIdentity),
    UnlinkIdentity(UnlinkIdentity),
    Suspend(Suspend),
    Reinstate(Reinstate),
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Create(#[from] CreateError),
    #[error(transparent)]
    SetPassword(#[from] SetPasswordError),
    #[error(transparent)]
    Totp(#[from] TotpError),
    #[error(transparent)]
    SignIn(#[from] SignInError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Suspend(#[from] SuspendError),
}

fn decide(user: &User, command: Command) -> Result<Vec<Event>, Error> {
    Ok(match command {
        Command::Create(command) => create::decide(user, command)?,
        Command::SetPassword(command) => set_password::decide(user, command)?,
        Command::SetTotp(command) => totp::set(user, command)?,
        Command::SignIn(command) => sign_in::decide(user, command)?,
        Command::RemoveTotp(command) => totp::remove(user, command)?,
        Command::LinkIdentity(command) => identity::link(user, command)?,
        Command::UnlinkIdentity(command) => identity::unlink(user, command)?,
        Command::Suspend(command) => suspend::suspend(user, command)?,
        Command::Reinstate(command) => suspend::reinstate(user, command)?,
    })
}

crate::aggregate::aggregate!(User, "user");

impl User {
    fn fold(&mut self, event: Event) {
        match event {
            Event::Created(created) => {
                self.name = Some(created.name);
                self.email = created.email;
            }
            Event::PasswordSet(set) => {
                self.phc = Some(set.phc);
                self.sessions.clear();
            }
            Event::TotpSet(set) => {
                self.totp = Some(Totp {
                    secret: set.secret,
                    step_used: None,
                })
            }
            Event::TotpUsed(used) => {
                if let Some(totp) = &mut self.totp {
                    totp.step_used = Some(used.step);
                }
            }
            Event::TotpRemoved(_) => self.totp = None,
            Event::IdentityLinked(linked) => {
                let IdentityLinked {
                    identity,
                    issuer,
                    subject,
                } = linked;
                self.identities.insert(identity, Known { issuer, subject });
            }
            Event::IdentityUnlinked(unlinked) => {
                self.identities.remove(&unlinked.identity);
                self.sessions.clear();
            }
            Event::SignedIn(signed_in) => {
                if self.sessions.len() >= SESSIONS_MAX {
                    self.sessions.pop_front();
                }
                self.sessions.push_back(signed_in.session);
            }
            Event::Suspended(_) => {
                self.is_suspended = true;
                self.sessions.clear();
            }
            Event::Reinstated(_) => self.is_suspended = false,
        }
    }
}

#[cfg(test)]
mod testing;
