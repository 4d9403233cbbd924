//! Revoking a key for programs.

use super::{Event, KeyRevoked, Workspace};
use crate::id::KeyId;

/// Makes a key open nothing any more; once revoked it stays so.
#[derive(Debug, Clone)]
pub struct RevokeKey {
    pub key: KeyId,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevokeKeyError {
    #[error("there is no such key")]
    NoKey,
}

pub(super) fn decide(
    workspace: &Workspace,
    command: &RevokeKey,
) -> Result<Vec<Event>, RevokeKeyError> {
    match workspace.keys.get(&command.key) {
        None => Err(RevokeKeyError::NoKey),
        Some(key) if key.is_revoked => Ok(Vec::new()),
        Some(_) => {
            let key = command.key.clone();
            Ok(vec![KeyRevoked { key }.into()])
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::KeyIssued;
    use super::super::testing::given;
    use super::*;
    use crate::id::Digest;
    use crate::role::Role;
    use crate::sealed::Sealable;

    #[test]
    fn a_revoked_key_opens_nothing_and_is_revoked_once() {
        let key = KeyId::new("key_a").unwrap();
        let command = RevokeKey { key: key.clone() };
        let refused = decide(&Workspace::default(), &command);
        assert_eq!(refused, Err(RevokeKeyError::NoKey));
        let issued = KeyIssued {
            key: key.clone(),
            name: Sealable::Open("ci".into()),
            role: Role::Viewer,
            secret: Digest::of(b"secret"),
            issued_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
        };
        let mut events = vec![Event::from(issued)];
        events.extend(decide(&given(events.clone()), &command).unwrap());
        let workspace = given(events);
        assert!(!workspace.keys[&key].is_good(Timestamp::UNIX_EPOCH));
        assert_eq!(decide(&workspace, &command), Ok(Vec::new()));
    }
}
