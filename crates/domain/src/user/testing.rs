//! Given: a user to whom this happened.

use cqrs_es::Aggregate;

use super::{Created, Event, User};
use crate::sealed::Sealable;

pub(super) fn given(events: impl IntoIterator<Item = Event>) -> User {
    let mut user = User::default();
    events.into_iter().for_each(|event| user.apply(event));
    user
}

pub(super) fn ada() -> Event {
    let created = Created {
        name: Sealable::Open("ada".into()),
        email: Sealable::Open("ada@example.com".into()),
    };
    created.into()
}
