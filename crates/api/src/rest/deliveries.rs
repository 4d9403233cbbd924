//! `/subscriptions/{subscription}/deliveries`: what came of the last events, and resending one.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use mirage_domain::delivery::Row;
use mirage_domain::id::{Cursor, Position};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::Refusal;
use super::query::{Nothing, Query};
use super::subscriptions::find;
use super::{Path, Shared, Writer};
use crate::auth::Principal;
use crate::error::Problem;

/// What came of one event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Delivery {
    #[schema(value_type = String)]
    cursor: Cursor,
    /// Of the event.
    kind: String,
    /// `delivered`, `retrying` or `given-up`.
    state: &'static str,
    attempts: u32,
    /// The last one; null where there was no answer.
    status: Option<u16>,
    /// Why it was not taken.
    reason: Option<String>,
    /// Of the last try.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Of the next try.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_at: Option<Timestamp>,
}

impl Delivery {
    fn of((cursor, row): (Cursor, Row)) -> Self {
        Self {
            cursor,
            kind: row.kind,
            state: row.state.as_str(),
            attempts: row.attempts,
            status: row.status,
            reason: row.reason,
            at: row.at,
            next_at: row.next_at,
        }
    }
}

/// The last deliveries, the newest event first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deliveries {
    items: Vec<Delivery>,
    /// Everything that matches was delivered or given up, up to here.
    #[schema(value_type = Option<String>)]
    through: Option<Cursor>,
}

/// What came of the last thousand events
#[utoipa::path(get, path = "/subscriptions/{subscription}/deliveries", operation_id = "list_deliveries", tag = "webhooks",
    params(("subscription" = String, Path, description = "Its id, or the beginning of it")),
    responses((status = 200, body = Deliveries)))]
pub(crate) async fn list(
    State(gateway): Shared,
    who: Principal,
    Path(text): Path<String>,
    _: Query<Nothing>,
) -> Result<Json<Deliveries>, Refusal> {
    let commands = gateway.commands(&who).await?;
    let id = find(&commands, &text).await?;
    let deliveries = commands.deliveries(&id).await?;
    let rows = deliveries.rows.into_iter().rev();
    Ok(Json(Deliveries {
        items: rows.map(Delivery::of).collect(),
        through: deliveries.through,
    }))
}

/// What was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Resent {
    #[schema(value_type = String)]
    cursor: Cursor,
    #[schema(value_type = u64)]
    position: Position,
}

/// Send an event once more, under the id that it has; one that waits for another try is tried at once
#[utoipa::path(post, path = "/subscriptions/{subscription}/deliveries/{cursor}/resend",
    operation_id = "resend_delivery", tag = "webhooks",
    params(("subscription" = String, Path, description = "Its id, or the beginning of it"),
        ("cursor" = String, Path, description = "Of the event: POSITION.INDEX"),
        ("idempotency-key" = Option<String>, Header, description = "The same key sends it once")),
    responses((status = 202, body = Resent)))]
pub(crate) async fn resend(
    State(gateway): Shared,
    writer: Writer,
    Path((text, cursor)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Resent>), Refusal> {
    let commands = gateway.commands(&writer.who).await?;
    let id = find(&commands, &text).await?;
    let wrong = |error| Problem::new("bad_cursor", error);
    let cursor: Cursor = cursor.parse().map_err(wrong)?;
    let caller = writer.caller(format!("resend {cursor}").as_bytes(), None);
    let asked = commands.resend(&id, cursor, &caller).await;
    let position = asked.map_err(Problem::from)?;
    Ok((StatusCode::ACCEPTED, Json(Resent { cursor, position })))
}
