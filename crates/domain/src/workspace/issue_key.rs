//! Issuing a key for programs.

use jiff::Timestamp;

use super::{Event, KeyIssued, Workspace};
use crate::id::{Digest, KeyId};
use crate::role::Role;
use crate::sealed::Sealable;

/// Keys of a workspace that open something, at most.
pub const KEYS_MAX: usize = 1_000;
/// Longest name of a key, in bytes.
pub const NAME_BYTES_MAX: usize = 200;

/// Issues a key; id and secret are the caller's random.
#[derive(Debug, Clone)]
pub struct IssueKey {
    pub key: KeyId,
    pub name: String,
    pub role: Role,
    /// SHA-256 of the secret.
    pub secret: Digest,
    pub now: Timestamp,
    pub expires_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueKeyError {
    #[error("there is no such workspace")]
    NoWorkspace,
    #[error("a key with this id was issued before")]
    Exists,
    #[error("the key would have expired already")]
    Expired,
    #[error("a workspace has at most {KEYS_MAX} keys that open something")]
    TooMany,
    #[error("a name has 1 to {NAME_BYTES_MAX} bytes and no control characters")]
    Name,
}

pub(super) fn decide(
    workspace: &Workspace,
    command: IssueKey,
) -> Result<Vec<Event>, IssueKeyError> {
    if workspace.fingerprint.is_none() {
        return Err(IssueKeyError::NoWorkspace);
    }
    if workspace.keys.contains_key(&command.key) {
        return Err(IssueKeyError::Exists);
    }
    if command.expires_at.is_some_and(|end| end <= command.now) {
        return Err(IssueKeyError::Expired);
    }
    let is_sized = (1..=NAME_BYTES_MAX).contains(&command.name.len());
    if !is_sized || command.name.chars().any(char::is_control) {
        return Err(IssueKeyError::Name);
    }
    let keys = workspace.keys.values();
    if keys.filter(|key| key.is_good(command.now)).count() >= KEYS_MAX {
        return Err(IssueKeyError::TooMany);
    }
    let issued = KeyIssued {
        key: command.key,
        name: Sealable::Open(command.name),
        role: command.role,
        secret: command.secret,
        issued_at: command.now,
        expires_at: command.expires_at,
    };
    Ok(vec![issued.into()])
}

#[cfg(test)]
mod tests {
    use super::super::Created;
    use super::super::testing::given;
    use super::*;

    fn begun() -> Event {
        let created = Created {
            name: Sealable::Open("default".into()),
            fingerprint: Digest::of(b"key"),
        };
        created.into()
    }

    fn command() -> IssueKey {
        IssueKey {
            key: KeyId::new("key_a").unwrap(),
            name: "ci".into(),
            role: Role::Service,
            secret: Digest::of(b"secret"),
            now: Timestamp::UNIX_EPOCH,
            expires_at: None,
        }
    }

    #[test]
    fn a_key_opens_until_it_expires() {
        let end = Timestamp::from_second(60).unwrap();
        let command = IssueKey {
            expires_at: Some(end),
            ..command()
        };
        let mut events = vec![begun()];
        events.extend(decide(&given(events.clone()), command.clone()).unwrap());
        let workspace = given(events);
        let key = &workspace.keys[&command.key];
        assert!(key.is_good(Timestamp::UNIX_EPOCH) && !key.is_good(end));
        assert_eq!(decide(&workspace, command), Err(IssueKeyError::Exists));
    }

    #[test]
    fn an_unfit_key_is_refused() {
        let refused = |command| decide(&given(vec![begun()]), command);
        let nameless = IssueKey {
            name: String::new(),
            ..command()
        };
        assert_eq!(refused(nameless), Err(IssueKeyError::Name));
        let past = IssueKey {
            expires_at: Some(Timestamp::UNIX_EPOCH),
            ..command()
        };
        assert_eq!(refused(past), Err(IssueKeyError::Expired));
        let nowhere = decide(&Workspace::default(), command());
        assert_eq!(nowhere, Err(IssueKeyError::NoWorkspace));
    }

    #[test]
    fn a_workspace_has_a_bounded_number_of_keys() {
        let mut events = vec![begun()];
        for number in 0..KEYS_MAX {
            let key = KeyId::new(&format!("key_{number}")).unwrap();
            events.extend(decide(&given(vec![begun()]), IssueKey { key, ..command() }).unwrap());
        }
        let refused = decide(&given(events), command());
        assert_eq!(refused, Err(IssueKeyError::TooMany));
    }
}
