//! Given: a workspace to which this happened.

use cqrs_es::Aggregate;

use super::{Event, Workspace};

pub(super) fn given(events: Vec<Event>) -> Workspace {
    let mut workspace = Workspace::default();
    events.into_iter().for_each(|event| workspace.apply(event));
    workspace
}
