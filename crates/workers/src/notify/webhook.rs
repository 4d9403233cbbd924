//! The channel: one event, one signed POST, and what its answer means.
//!
//! **Invariant:** an event has the same id in every try, so that the receiver can drop what it has.

use std::sync::Arc;

use jiff::SignedDuration;
use mirage_domain::id::{Cursor, SubscriptionId};
use mirage_domain::subscription::Subscription;
use mirage_log::Recorded;
use mirage_log::cloud_event::CloudEvent;

use super::clock::Clock;
use super::signature::Signed;
use crate::collectors::CollectError;
use crate::probe::live::{Courier, Posted};

/// As CloudEvents 1.0 names a whole event in JSON.
const MEDIA: &str = "application/cloudevents+json";
/// An answer that takes longer is none.
const ANSWER_MAX: SignedDuration = SignedDuration::from_secs(15);
/// How a receiver says that nobody will ever listen there again.
const GONE: u16 = 410;

/// See the module's doc.
pub struct Webhook {
    pub courier: Courier,
    pub clock: Arc<dyn Clock>,
}

/// Why an event was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// None where there was no answer.
    pub(super) status: Option<u16>,
    pub(super) reason: String,
}

impl Refused {
    fn without_answer(reason: impl Into<String>) -> Self {
        Self {
            status: None,
            reason: reason.into(),
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.status == Some(GONE)
    }
}

impl Webhook {
    /// Sends the event at a cursor of its commit; answers the status by which it was taken.
    pub(super) async fn send(
        &self,
        (id, subscription): (&SubscriptionId, &Subscription),
        recorded: &Recorded,
        cursor: Cursor,
    ) -> Result<u16, Refused> {
        let erased = || Refused::without_answer("URL or secret were erased");
        let now = self.clock.now();
        let (url, secrets) = (subscription.url.open(), subscription.secrets(now));
        let (url, secrets) = url.zip(secrets).ok_or_else(erased)?;
        let body = document(recorded, cursor)?;
        let message = format!("{id}_{}_{}", recorded.commit.id, cursor.index);
        let signed = Signed {
            id: &message,
            second: now.as_second(),
            body: &body,
        };
        let signature = signed.with(&secrets);
        let unfit = || Refused::without_answer("the secret cannot sign");
        let headers = [
            ("webhook-signature", signature.ok_or_else(unfit)?),
            ("webhook-timestamp", now.as_second().to_string()),
            ("webhook-id", message),
        ];
        let posted = Posted {
            url,
            media: MEDIA,
            headers: &headers,
            body,
        };
        let end = now.checked_add(ANSWER_MAX).unwrap_or(now);
        let answered = tokio::select! {
            answered = self.courier.post(posted) => answered.map_err(unsent)?,
            () = self.clock.until(end) => {
                return Err(Refused::without_answer("no answer in time"));
            }
        };
        match answered {
            200..=299 => Ok(answered),
            status => Err(Refused {
                status: Some(status),
                reason: format!("status {status}"),
            }),
        }
    }
}

fn document(recorded: &Recorded, cursor: Cursor) -> Result<Vec<u8>, Refused> {
    let mut entries = recorded.entries();
    let absent = || Refused::without_answer("there is no such event");
    let (_, entry) = entries.find(|(at, _)| *at == cursor).ok_or_else(absent)?;
    let told = CloudEvent::of(&recorded.commit, cursor, entry);
    let written = told.and_then(|told| serde_json::to_vec(&told));
    written.map_err(|error| Refused::without_answer(error.to_string()))
}

fn unsent(error: CollectError) -> Refused {
    match error {
        CollectError::Forbidden(rule) => {
            Refused::without_answer(format!("the egress policy refuses the address: {rule}"))
        }
        error => Refused::without_answer(error.to_string()),
    }
}
