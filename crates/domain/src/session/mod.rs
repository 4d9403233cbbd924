//! Sessions: somebody is in, by refresh tokens of which each one is good once.
//!
//! A session is the family of its refresh tokens. **Invariant:** a token that was used before ends the whole session,
//! for then two hold it and one of them stole it (RFC 9700, section 4.14).
//! **Never:** a token; only its SHA-256.

mod events;
mod open;
mod refresh;
mod revoke;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use events::*;
pub use open::{OpenError, OpenSession};
pub use refresh::{REFRESHES_MAX, RefreshError, RefreshSession};
pub use revoke::{RevokeError, RevokeSession};

use crate::id::{Digest, UserId, WorkspaceId};

/// The state of one session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// `None` before it was opened.
    pub opened: Option<Opened>,
    /// SHA-256 of the one token that is good now.
    pub current: Option<Digest>,
    /// Of those that were.
    earlier: BTreeSet<Digest>,
    pub revoked: Option<Reason>,
}

impl Session {
    /// Whether somebody is in by it at this time.
    pub fn is_good(&self, now: Timestamp) -> bool {
        let is_in_time = |opened: &Opened| now < opened.expires_at;
        self.revoked.is_none() && self.opened.as_ref().is_some_and(is_in_time)
    }

    pub fn user(&self) -> Option<&UserId> {
        self.opened.as_ref().map(|opened| &opened.user)
    }

    pub fn workspace(&self) -> Option<&WorkspaceId> {
        self.opened.as_ref().map(|opened| &opened.workspace)
    }
}

/// Everything that can be asked of a session.
#[derive(Debug, Clone)]
pub enum Command {
    Open(OpenSession),
    Refresh(RefreshSession),
    Revoke(RevokeSession),
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Refresh(#[from] RefreshError),
    #[error(transparent)]
    Revoke(#[from] RevokeError),
}

fn decide(session: &Session, command: Command) -> Result<Vec<Event>, Error> {
    Ok(match command {
        Command::Open(command) => open::decide(session, command)?,
        Command::Refresh(command) => refresh::decide(session, &command)?,
        Command::Revoke(command) => revoke::decide(session, command)?,
    })
}

crate::aggregate::aggregate!(Session, "session");

impl Session {
    fn fold(&mut self, event: Event) {
        match event {
            Event::Opened(opened) => {
                self.current = Some(opened.refresh);
                self.opened = Some(opened);
            }
            Event::Refreshed(refreshed) => {
                self.earlier.extend(self.current.replace(refreshed.refresh));
            }
            Event::Revoked(revoked) => self.revoked = Some(revoked.reason),
        }
    }
}

#[cfg(test)]
mod testing;
