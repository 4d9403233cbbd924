//! `/views`: how far each view has folded the log, what keeps it, and making one anew.
//!
//! **Never:** more than one view that is made anew by a node at once: each takes the room of the whole view.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use mirage_domain::id::{Position, WorkspaceId};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::Refusal;
use super::query::{Nothing, Query};
use super::{Path, Shared};
use crate::auth::Principal;
use crate::error::Problem;
use crate::gateway::Gateway;

/// How the making anew of a view stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    Running,
    /// It has taken the place of the old one.
    Done,
    /// The old one stands; this node's log says why.
    Failed,
}

/// The last time that this node made a view anew.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Rebuild {
    stage: Stage,
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// The position up to which it was made.
    #[schema(value_type = Option<u64>)]
    position: Option<Position>,
}

/// Views that were made anew since the node began.
#[derive(Debug, Default)]
pub struct Rebuilds(Mutex<BTreeMap<&'static str, Rebuild>>);

impl Rebuilds {
    fn of(&self, view: &str) -> Option<Rebuild> {
        self.0.lock().expect("no holder panics").get(view).cloned()
    }

    /// Takes the one place that there is; false where the same view is made anew already.
    fn begin(&self, view: &'static str, now: Timestamp) -> Result<bool, Problem> {
        let mut all = self.0.lock().expect("no holder panics");
        let running = all.iter().find(|(_, last)| last.stage == Stage::Running);
        match running.map(|(running, _)| *running) {
            Some(running) if running == view => return Ok(false),
            Some(running) => {
                let detail = format!("{running} is made anew; one is enough at once");
                return Err(Problem::new("conflict", detail));
            }
            None => {}
        }
        let fresh = Rebuild {
            stage: Stage::Running,
            since: now,
            ended_at: None,
            position: None,
        };
        all.insert(view, fresh);
        Ok(true)
    }

    fn end(&self, view: &'static str, position: Option<Position>, now: Timestamp) {
        let mut all = self.0.lock().expect("no holder panics");
        if let Some(last) = all.get_mut(view) {
            last.position = position;
            last.ended_at = Some(now);
            last.stage = match position {
                Some(_) => Stage::Done,
                None => Stage::Failed,
            };
        }
    }
}

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
    /// Events a second that this node folded of late.
    rate: f64,
    /// Streams with an event that cannot be applied.
    quarantined: u64,
    /// It has stopped, and its operator must act.
    is_stopped: bool,
    /// Null where this node has not made it anew since it began.
    rebuild: Option<Rebuild>,
}

/// Every view.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Views {
    items: Vec<View>,
}

/// Every view: position, lag, age, and whether it is made anew
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
            rate: status.rate,
            quarantined: status.quarantined,
            is_stopped: status.stopped.is_some(),
            rebuild: gateway.rebuilds.of(view),
        });
    }
    Ok(Json(Views { items }))
}

/// Make a view anew from the log, beside the old one, which answers meanwhile; `/views` tells how it stands
///
/// Views are every workspace's, so an owner of the workspace `system` alone may ask. Asking again while it is made changes
/// nothing.
#[utoipa::path(post, path = "/views/{view}/rebuild", operation_id = "rebuild_view", tag = "log",
    params(("view" = String, Path, description = "Its name")),
    responses((status = 202, body = Rebuild, headers(("location" = String, description = "Every view")))))]
pub(crate) async fn rebuild(
    State(gateway): Shared,
    who: Principal,
    Path(view): Path<String>,
    _: Query<Nothing>,
) -> Result<Response, Refusal> {
    let known = mirage_projections::ALL
        .iter()
        .find(|known| known.name == view);
    let absent = || Problem::new("no_such_view", format!("`{view}`"));
    let view = known.ok_or_else(absent)?.name;
    if *who.workspace() != WorkspaceId::system() {
        let detail = "only an owner of the workspace `system` makes a view anew";
        return Err(Problem::new("forbidden", detail).into());
    }
    if gateway.rebuilds.begin(view, (gateway.now)())? {
        tokio::spawn(make_anew(gateway.clone(), view));
    }
    let location = [(header::LOCATION, "/api/v1/views")];
    let stands = Json(gateway.rebuilds.of(view));
    Ok((StatusCode::ACCEPTED, location, stands).into_response())
}

async fn make_anew(gateway: Arc<Gateway>, view: &'static str) {
    let made = gateway.runner.rebuild(view).await;
    if let Err(error) = &made {
        let error = error as &dyn std::error::Error;
        tracing::error!(view.name = view, error, "a view could not be made anew");
    }
    gateway.rebuilds.end(view, made.ok(), (gateway.now)());
}
