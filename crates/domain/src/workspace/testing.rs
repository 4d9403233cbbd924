//! Given: a workspace to which this happened.

use cqrs_es::Aggregate;

use super::{Created, Event, Workspace};
use crate::id::{Digest, UserId};
use crate::sealed::Sealable;

pub(super) fn given(events: Vec<Event>) -> Workspace {
    let mut workspace = Workspace::default();
    events.into_iter().for_each(|event| workspace.apply(event));
    workspace
}

pub(super) fn begun() -> Event {
    let created = Created {
        name: Sealable::Open("default".into()),
        fingerprint: Digest::of(b"key"),
    };
    created.into()
}

pub(super) fn user(number: usize) -> UserId {
    UserId::new(&format!("usr_{number}")).unwrap()
}
