//! The events of the stream in which a subscription's deliveries are kept.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::Cursor;

crate::event::events! {
    Claimed = "delivery.claimed" v 1,
    Delivered = "delivery.delivered" v 1,
    Failed = "delivery.failed" v 1,
    GivenUp = "delivery.given_up" v 1,
    ResendRequested = "delivery.resend_requested" v 1,
}

/// From now on this one delivers, and whoever did so before has to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claimed {
    pub holder: String,
}

/// One event that the receiver took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Of the event that was sent, as is the kind.
    pub cursor: Cursor,
    pub kind: String,
    pub attempts: u32,
    pub status: u16,
    pub at: Timestamp,
}

/// Several in a row: a commit for each of them would cost more than the deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivered {
    pub items: Vec<Item>,
}

/// The receiver did not take it; it is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failed {
    pub cursor: Cursor,
    pub kind: String,
    pub attempt: u32,
    /// None where there was no answer.
    pub status: Option<u16>,
    pub reason: String,
    /// When it was tried for the first time.
    pub first_at: Timestamp,
    pub at: Timestamp,
    pub next_at: Timestamp,
}

/// Nobody tries again by himself; the next event goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenUp {
    pub cursor: Cursor,
    pub kind: String,
    pub attempts: u32,
    pub status: Option<u16>,
    pub reason: String,
    pub at: Timestamp,
}

/// Somebody wants it sent once more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResendRequested {
    pub cursor: Cursor,
}
