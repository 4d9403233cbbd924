//! `/events/tickets`: how a page in a browser opens a live stream.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::answer::Refusal;
use super::query::{Nothing, Query};
use crate::auth::tickets::{Error, LIFETIME};
use crate::auth::{self, Principal};
use crate::error::Problem;

/// A ticket for one stream.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ticket {
    /// To be named as `ticket` in the address of `/events` or `/events/ws`, once.
    ticket: String,
    /// Seconds for which it is good.
    expires_in: u64,
}

/// Ask for a ticket: it opens one live stream where no header can be sent
#[utoipa::path(post, path = "/events/tickets", operation_id = "issue_ticket", tag = "log",
    responses((status = 200, body = Ticket)))]
pub(crate) async fn issue(
    State(gateway): Shared,
    _: Principal,
    headers: HeaderMap,
    _: Query<Nothing>,
) -> Result<Json<Ticket>, Refusal> {
    let token = auth::bearer(&headers)?;
    let issued = gateway.tickets.issue(token, Instant::now());
    let ticket = issued.map_err(|error| match error {
        Error::Full => Problem::new("too_many_requests", error),
        Error::NoRandom => Problem::of("internal", &error),
    })?;
    Ok(Json(Ticket {
        ticket,
        expires_in: LIFETIME.as_secs(),
    }))
}
