//! Making a workspace, once.

use super::{Created, Event, Workspace};
use crate::id::Digest;
use crate::sealed::Sealable;

/// Makes a workspace, once.
#[derive(Debug, Clone)]
pub struct CreateWorkspace {
    pub name: String,
    pub fingerprint: Digest,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateWorkspaceError {
    #[error("the workspace exists")]
    Exists,
}

pub(super) fn decide(
    workspace: &Workspace,
    command: CreateWorkspace,
) -> Result<Vec<Event>, CreateWorkspaceError> {
    if workspace.fingerprint.is_some() {
        return Err(CreateWorkspaceError::Exists);
    }
    let created = Created {
        name: Sealable::Open(command.name),
        fingerprint: command.fingerprint,
    };
    Ok(vec![created.into()])
}

#[cfg(test)]
mod tests {
    use super::super::testing::given;
    use super::*;

    #[test]
    fn a_workspace_is_made_once() {
        let command = CreateWorkspace {
            name: "default".into(),
            fingerprint: Digest::of(b"key"),
        };
        let fresh = Workspace::default();
        let made = decide(&fresh, command.clone()).unwrap();
        assert_eq!(made.len(), 1);
        let refused = decide(&given(made), command);
        assert_eq!(refused, Err(CreateWorkspaceError::Exists));
    }
}
