//! Changing a subscription: its fields, whether it is paused, its secret, its end.

use jiff::Timestamp;

use super::create::{check_filter, check_name, check_secret, check_url};
use super::{
    Changed, Error, Event, Filter, Paused, Reason, Removed, Resumed, SecretRotated, Subscription,
    Subscriptions,
};
use crate::id::SubscriptionId;
use crate::sealed::Sealable;

/// Sets what is given; the rest stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub subscription: SubscriptionId,
    /// Only if it was changed so often.
    pub at_revision: Option<u64>,
    pub name: Option<String>,
    pub url: Option<String>,
    pub filter: Option<Filter>,
    pub is_paused: Option<bool>,
}

/// Signs with another secret from now on, and with the earlier one until then, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotate {
    pub subscription: SubscriptionId,
    pub secret: String,
    pub earlier_until: Timestamp,
}

pub(super) fn change(all: &Subscriptions, command: Change) -> Result<Vec<Event>, Error> {
    let known = known(all, &command.subscription)?;
    let at = known.revision;
    if command.at_revision.is_some_and(|wanted| wanted != at) {
        return Err(Error::Stale { at });
    }
    let subscription = command.subscription;
    let name = command.name.map(|name| check_name(&name).map(|()| name));
    let url = command.url.map(|url| check_url(&url).map(|()| url));
    let filter = command.filter;
    let filter = filter.map(|filter| check_filter(&filter).map(|()| filter));
    let (name, url, filter) = (name.transpose()?, url.transpose()?, filter.transpose()?);
    let mut events = Vec::new();
    if name.is_some() || url.is_some() || filter.is_some() {
        let changed = Changed {
            subscription: subscription.clone(),
            name: name.map_or(known.name.clone(), Sealable::Open),
            url: url.map_or(known.url.clone(), Sealable::Open),
            filter: filter.unwrap_or(known.filter.clone()),
        };
        events.push(changed.into());
    }
    match (command.is_paused, known.paused.is_some()) {
        (Some(true), false) => {
            let reason = Reason::Asked;
            events.push(
                Paused {
                    subscription,
                    reason,
                }
                .into(),
            );
        }
        (Some(false), true) => events.push(Resumed { subscription }.into()),
        _ => {}
    }
    Ok(events)
}

/// The receiver is gone for good. Whoever has named another one since is not paused.
pub(super) fn gone(
    all: &Subscriptions,
    subscription: SubscriptionId,
    revision: u64,
) -> Result<Vec<Event>, Error> {
    let known = known(all, &subscription)?;
    if known.revision != revision || known.paused.is_some() {
        return Ok(Vec::new());
    }
    let reason = Reason::Gone;
    Ok(vec![
        Paused {
            subscription,
            reason,
        }
        .into(),
    ])
}

pub(super) fn rotate(all: &Subscriptions, command: Rotate) -> Result<Vec<Event>, Error> {
    known(all, &command.subscription)?;
    check_secret(&command.secret)?;
    let rotated = SecretRotated {
        subscription: command.subscription,
        secret: Sealable::Open(command.secret),
        earlier_until: command.earlier_until,
    };
    Ok(vec![rotated.into()])
}

pub(super) fn remove(
    all: &Subscriptions,
    subscription: SubscriptionId,
) -> Result<Vec<Event>, Error> {
    known(all, &subscription)?;
    Ok(vec![Removed { subscription }.into()])
}

fn known<'a>(all: &'a Subscriptions, id: &SubscriptionId) -> Result<&'a Subscription, Error> {
    all.all.get(id).ok_or(Error::NoSubscription)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{created, given, id, secret};
    use super::*;

    fn nothing() -> Change {
        Change {
            subscription: id("a"),
            at_revision: None,
            name: None,
            url: None,
            filter: None,
            is_paused: None,
        }
    }

    fn after(more: Vec<Event>) -> Subscriptions {
        given([vec![created("a")], more].concat())
    }

    #[test]
    fn what_is_not_named_stays_as_it_was() {
        let url = Some("https://example.org/".to_owned());
        let command = Change { url, ..nothing() };
        let events = change(&after(vec![]), command).unwrap();
        let all = after(events);
        let known = &all.all[&id("a")];
        assert_eq!(known.url.open().unwrap(), "https://example.org/");
        assert_eq!(
            (known.name.open().unwrap().as_str(), known.revision),
            ("a", 2)
        );
        assert_eq!(change(&all, nothing()), Ok(vec![]));
        let bad = Change {
            url: Some("x".into()),
            ..nothing()
        };
        assert_eq!(change(&all, bad), Err(Error::Url));
    }

    #[test]
    fn a_pause_said_again_changes_nothing_and_is_ended_by_resuming() {
        let pause = Change {
            is_paused: Some(true),
            ..nothing()
        };
        let resume = Change {
            is_paused: Some(false),
            ..nothing()
        };
        let events = change(&after(vec![]), pause.clone()).unwrap();
        let all = after(events.clone());
        assert_eq!(all.all[&id("a")].paused, Some(Reason::Asked));
        assert_eq!(change(&all, pause), Ok(vec![]));
        let resumed = change(&all, resume.clone()).unwrap();
        let all = after([events, resumed].concat());
        assert_eq!(all.all[&id("a")].paused, None);
        assert_eq!(change(&all, resume), Ok(vec![]));
    }

    #[test]
    fn a_change_of_what_was_changed_since_is_stale() {
        let old = Change {
            at_revision: Some(2),
            ..nothing()
        };
        assert_eq!(change(&after(vec![]), old), Err(Error::Stale { at: 1 }));
    }

    #[test]
    fn a_receiver_that_is_gone_pauses_it_unless_another_one_was_named() {
        let all = after(vec![]);
        assert_eq!(gone(&all, id("a"), 0), Ok(vec![]));
        let paused = gone(&all, id("a"), 1).unwrap();
        assert_eq!(after(paused).all[&id("a")].paused, Some(Reason::Gone));
    }

    #[test]
    fn the_earlier_secret_signs_until_its_time_is_over() {
        let until = Timestamp::from_second(100).unwrap();
        let command = Rotate {
            subscription: id("a"),
            secret: secret(9),
            earlier_until: until,
        };
        let all = after(rotate(&after(vec![]), command).unwrap());
        let known = &all.all[&id("a")];
        let at = |second| known.secrets(Timestamp::from_second(second).unwrap());
        assert_eq!(at(99), Some(vec![secret(9), secret(1)]));
        assert_eq!(at(100), Some(vec![secret(9)]));
    }

    #[test]
    fn what_was_removed_is_not_there() {
        let all = after(remove(&after(vec![]), id("a")).unwrap());
        assert_eq!(remove(&all, id("a")), Err(Error::NoSubscription));
        assert_eq!(change(&all, nothing()), Err(Error::NoSubscription));
    }
}
