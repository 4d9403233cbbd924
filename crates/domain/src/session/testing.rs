//! Given: a session to which this happened; it lasts to second 100.

use cqrs_es::Aggregate;
use jiff::Timestamp;

use super::{Event, Method, OpenSession, Opened, Session};
use crate::id::{Digest, UserId, WorkspaceId};

pub(super) fn given(events: impl IntoIterator<Item = Event>) -> Session {
    let mut session = Session::default();
    events.into_iter().for_each(|event| session.apply(event));
    session
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The digest of a made-up token; number 0 is the first one.
pub(super) fn token(number: u32) -> Digest {
    Digest::of(&number.to_be_bytes())
}

pub(super) fn open() -> OpenSession {
    OpenSession {
        user: UserId::new("usr_ada").unwrap(),
        workspace: WorkspaceId::new("default").unwrap(),
        method: Method::Password,
        refresh: token(0),
        now: at(0),
        expires_at: at(100),
    }
}

pub(super) fn opened() -> Event {
    let command = open();
    let opened = Opened {
        user: command.user,
        workspace: command.workspace,
        method: command.method,
        refresh: command.refresh,
        expires_at: command.expires_at,
    };
    opened.into()
}
