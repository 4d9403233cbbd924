//! Subscriptions: who is told by webhook, and of which events.
//!
//! All of a workspace are one stream, as its API keys are: one read lists them. What was sent stands in `delivery`.
//! **Never:** a secret or a URL told to others than the log's own readers (`Event::told`).

mod change;
mod create;
mod events;
mod filter;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use change::{Change, Rotate};
pub use create::{
    Create, FILTER_MAX, NAME_BYTES_MAX, SECRET_PREFIX, SUBSCRIPTIONS_MAX, URL_BYTES_MAX,
};
pub use events::*;
pub use filter::Filter;

use crate::id::{Position, SubscriptionId};
use crate::sealed::Sealable;

/// One subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub name: Sealable<String>,
    pub url: Sealable<String>,
    pub filter: Filter,
    pub secret: Sealable<String>,
    /// Of before the last rotation, and when it ends.
    pub earlier: Option<(Sealable<String>, Timestamp)>,
    pub after: Position,
    pub paused: Option<Reason>,
    /// How many events it has had: its entity tag.
    pub revision: u64,
}

impl Subscription {
    /// What is signed with at this time, the newest first; `None` once it was erased.
    pub fn secrets(&self, now: Timestamp) -> Option<Vec<String>> {
        let mut secrets = vec![self.secret.open()?.clone()];
        let earlier = self.earlier.as_ref().filter(|(_, until)| now < *until);
        secrets.extend(earlier.and_then(|(secret, _)| secret.open().cloned()));
        Some(secrets)
    }
}

/// The subscriptions of a workspace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Subscriptions {
    pub all: BTreeMap<SubscriptionId, Subscription>,
}

/// Everything that can be asked of the subscriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Create(Create),
    Change(Change),
    Rotate(Rotate),
    Remove {
        subscription: SubscriptionId,
    },
    /// The receiver says that it is gone for good.
    Gone {
        subscription: SubscriptionId,
        revision: u64,
    },
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the subscription exists")]
    Exists,
    #[error("there is no such subscription")]
    NoSubscription,
    #[error("it is at revision {at} by now")]
    Stale { at: u64 },
    #[error("a workspace has at most {SUBSCRIPTIONS_MAX} subscriptions")]
    TooMany,
    #[error("a name has 1 to {NAME_BYTES_MAX} bytes and no control characters")]
    Name,
    #[error(
        "a URL begins with http:// or https://, has no name, password or fragment, and at most {URL_BYTES_MAX} bytes"
    )]
    Url,
    #[error("a filter names at most {FILTER_MAX} kinds and as many modules")]
    Filter,
    #[error("`{0}` is no kind of event that is told")]
    Kind(String),
    #[error("a secret is {SECRET_PREFIX} and 24 to 64 bytes in base 64")]
    Secret,
}

fn decide(all: &Subscriptions, command: Command) -> Result<Vec<Event>, Error> {
    match command {
        Command::Create(command) => create::decide(all, command),
        Command::Change(command) => change::change(all, command),
        Command::Rotate(command) => change::rotate(all, command),
        Command::Remove { subscription } => change::remove(all, subscription),
        Command::Gone {
            subscription,
            revision,
        } => change::gone(all, subscription, revision),
    }
}

crate::aggregate::aggregate!(Subscriptions, "subscription");

impl Subscriptions {
    /// Those whose id begins with this; an id that is whole is the only one.
    pub fn beginning_with(&self, text: &str) -> Vec<&SubscriptionId> {
        let is_whole = |id: &&SubscriptionId| id.as_str() == text;
        match self.all.keys().find(is_whole) {
            Some(id) => vec![id],
            None => {
                let ids = self.all.keys();
                ids.filter(|id| id.as_str().starts_with(text)).collect()
            }
        }
    }

    fn fold(&mut self, event: Event) {
        match event {
            Event::Created(created) => {
                let subscription = Subscription {
                    name: created.name,
                    url: created.url,
                    filter: created.filter,
                    secret: created.secret,
                    earlier: None,
                    after: created.after,
                    paused: None,
                    revision: 1,
                };
                self.all.insert(created.subscription, subscription);
            }
            Event::Changed(changed) => self.revise(&changed.subscription, |known| {
                known.name = changed.name;
                known.url = changed.url;
                known.filter = changed.filter;
            }),
            Event::Paused(paused) => {
                self.revise(&paused.subscription, |known| {
                    known.paused = Some(paused.reason);
                });
            }
            Event::Resumed(resumed) => {
                self.revise(&resumed.subscription, |known| known.paused = None);
            }
            Event::SecretRotated(rotated) => self.revise(&rotated.subscription, |known| {
                let earlier = std::mem::replace(&mut known.secret, rotated.secret);
                known.earlier = Some((earlier, rotated.earlier_until));
            }),
            Event::Removed(removed) => {
                self.all.remove(&removed.subscription);
            }
        }
    }

    fn revise(&mut self, id: &SubscriptionId, change: impl FnOnce(&mut Subscription)) {
        if let Some(known) = self.all.get_mut(id) {
            change(known);
            known.revision += 1;
        }
    }
}

#[cfg(test)]
mod testing;
