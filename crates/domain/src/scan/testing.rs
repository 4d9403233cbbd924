//! Given events, when a command, then events: how decisions about scans are tested.

use super::{Command, Error, Event, Scan, decide};

pub(super) struct Given(Scan);

pub(super) fn given(events: impl IntoIterator<Item = Event>) -> Given {
    let mut scan = Scan::default();
    for event in events {
        cqrs_es::Aggregate::apply(&mut scan, event);
    }
    Given(scan)
}

impl Given {
    pub(super) fn when(self, command: Command) -> When {
        When(decide(&self.0, command))
    }
}

#[derive(Debug)]
pub(super) struct When(Result<Vec<Event>, Error>);

impl When {
    #[track_caller]
    pub(super) fn then(self, events: impl IntoIterator<Item = Event>) {
        assert_eq!(self.0, Ok(events.into_iter().collect()));
    }
    #[track_caller]
    pub(super) fn fails(self, error: impl Into<Error>) {
        assert_eq!(self.0, Err(error.into()));
    }
}

pub(super) fn started() -> Vec<Event> {
    vec![super::Started {}.into()]
}
