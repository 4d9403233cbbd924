//! `/views`: how far each view has folded the log, and what keeps it.

use axum::Json;
use axum::extract::State;
use mirage_domain::id::Position;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::answer::Refusal;
use super::query::{Nothing, Query};
use crate::auth::Principal;

/// One view.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct View {
    view: &'static str,
    version: u32,
    #[schema(value_type = u64)]
    position: Position,
    /// Commits of the log that are not folded yet.
    lag: u64,
    /// Seconds since the oldest of those was recorded.
    age_s: u64,
    /// Streams with an event that cannot be applied.
    quarantined: u64,
    /// It has stopped, and its operator must act.
    is_stopped: bool,
}

/// Every view.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Views {
    items: Vec<View>,
}

/// Every view: position, lag and age
#[utoipa::path(get, path = "/views", operation_id = "list_views", tag = "log",
    responses((status = 200, body = Views)))]
pub(crate) async fn list(
    State(gateway): Shared,
    _: Principal,
    _: Query<Nothing>,
) -> Result<Json<Views>, Refusal> {
    let mut items = Vec::new();
    for (view, looked) in gateway.runner.inspect((gateway.now)()).await {
        let status = looked?;
        items.push(View {
            view,
            version: status.version,
            position: status.position,
            lag: status.lag,
            age_s: status.age_s,
            quarantined: status.quarantined,
            is_stopped: status.stopped.is_some(),
        });
    }
    Ok(Json(Views { items }))
}
