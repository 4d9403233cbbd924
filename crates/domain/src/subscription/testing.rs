//! Given: subscriptions to which this happened.

use super::{Create, Created, Event, Filter, Subscriptions};
use crate::id::{Position, SubscriptionId};
use crate::sealed::Sealable;

pub(super) fn given(events: Vec<Event>) -> Subscriptions {
    let mut all = Subscriptions::default();
    events.into_iter().for_each(|event| all.fold(event));
    all
}

pub(super) fn id(name: &str) -> SubscriptionId {
    SubscriptionId::new(name).unwrap()
}

pub(super) fn secret(byte: u8) -> String {
    format!("whsec_{}", data_encoding::BASE64.encode(&[byte; 24]))
}

pub(super) fn create(name: &str) -> Create {
    Create {
        subscription: id(name),
        name: name.to_owned(),
        url: "https://example.com/in".to_owned(),
        filter: Filter::default(),
        secret: secret(1),
        after: Position(3),
    }
}

pub(super) fn created(name: &str) -> Event {
    let Create {
        subscription,
        name,
        url,
        filter,
        secret,
        after,
    } = create(name);
    let created = Created {
        subscription,
        name: Sealable::Open(name),
        url: Sealable::Open(url),
        filter,
        secret: Sealable::Open(secret),
        after,
    };
    created.into()
}
