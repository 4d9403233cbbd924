//! Workspaces: the tenants, and the fingerprint of the key under which each one's ids are made.

use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::id::Digest;
use crate::sealed::Sealable;

crate::event::events! {
    Created = "workspace.created" v 1,
}

/// A workspace began; its id key was made in the act of writing this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Created {
    pub name: Sealable<String>,
    /// Fingerprint of the id key: a missing or different key refuses all writes.
    pub fingerprint: Digest,
}

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

/// The state of one workspace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Workspace {
    pub fingerprint: Option<Digest>,
}

fn decide(
    workspace: &Workspace,
    command: CreateWorkspace,
) -> Result<Vec<Event>, CreateWorkspaceError> {
    match workspace.fingerprint {
        Some(_) => Err(CreateWorkspaceError::Exists),
        None => {
            let name = Sealable::Open(command.name);
            Ok(vec![
                Created {
                    name,
                    fingerprint: command.fingerprint,
                }
                .into(),
            ])
        }
    }
}

impl cqrs_es::Aggregate for Workspace {
    const TYPE: &'static str = "workspace";
    type Command = CreateWorkspace;
    type Event = Event;
    type Error = CreateWorkspaceError;
    type Services = ();

    async fn handle(
        &mut self,
        command: CreateWorkspace,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), CreateWorkspaceError> {
        for event in decide(self, command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Created(created) => self.fingerprint = Some(created.fingerprint),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_is_made_once() {
        let command = CreateWorkspace {
            name: "default".into(),
            fingerprint: Digest::of(b"key"),
        };
        let made = decide(&Workspace::default(), command.clone()).unwrap();
        assert_eq!(made.len(), 1);
        let workspace = Workspace {
            fingerprint: Some(command.fingerprint),
        };
        assert_eq!(
            decide(&workspace, command),
            Err(CreateWorkspaceError::Exists)
        );
    }
}
