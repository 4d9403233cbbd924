//! Identities: whom an issuer of OpenID Connect calls by a subject, and which user that is.
//!
//! The stream is named after a keyed hash of issuer and subject, so an identity is found without a search and is one
//! user's at a time. Whether that user lets it in, the user's own stream says.
//! **Never:** issuer or subject in the clear; the user's stream has them, sealable.

use serde::{Deserialize, Serialize};

use crate::id::UserId;

crate::event::events! {
    Claimed = "identity.claimed" v 1,
}

/// From now on the identity can be this user's and nobody else's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claimed {
    pub user: UserId,
}

/// Everything that can be asked of an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Claimed by its user again, it stays as it is.
    Claim {
        user: UserId,
        /// Whose it was before, where the caller found that this one has let go of it.
        left_by: Option<UserId>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the identity is linked to another user")]
    Taken,
}

/// The state of one identity.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// `None` before it was claimed.
    pub user: Option<UserId>,
}

fn decide(identity: &Identity, command: Command) -> Result<Option<Event>, Error> {
    let Command::Claim { user, left_by } = command;
    match &identity.user {
        Some(holder) if *holder == user => Ok(None),
        Some(holder) if left_by.as_ref() != Some(holder) => Err(Error::Taken),
        Some(_) | None => Ok(Some(Claimed { user }.into())),
    }
}

crate::aggregate::aggregate!(Identity, "identity");

impl Identity {
    fn fold(&mut self, event: Event) {
        let Event::Claimed(claimed) = event;
        self.user = Some(claimed.user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn claim(name: &str, left_by: Option<&str>) -> Command {
        let (user, left_by) = (user(name), left_by.map(user));
        Command::Claim { user, left_by }
    }

    #[test]
    fn an_identity_is_one_users_until_that_one_lets_go_of_it() {
        let mut identity = Identity::default();
        let claimed = decide(&identity, claim("usr_a", None)).unwrap().unwrap();
        identity.fold(claimed);
        assert_eq!(decide(&identity, claim("usr_a", None)), Ok(None));
        for left_by in [None, Some("usr_c")] {
            let refused = decide(&identity, claim("usr_b", left_by));
            assert_eq!(refused, Err(Error::Taken), "{left_by:?}");
        }
        let claimed = decide(&identity, claim("usr_b", Some("usr_a"))).unwrap();
        identity.fold(claimed.unwrap());
        assert_eq!(identity.user, Some(user("usr_b")));
    }
}
