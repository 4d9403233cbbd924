//! `/scans/{scan}/rederive`: today's modules over what a scan kept.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use mirage_domain::id::{ModuleName, Position, ScanId};
use mirage_log::Filter;
use mirage_log::evidence::check_cited;
use mirage_projections::catalog::State as Stand;
use mirage_workers::collectors;
use serde::Deserialize;
use tokio::runtime::Handle;
use utoipa::ToSchema;

use super::answer::Refusal;
use super::body::Body;
use super::moment::Moment;
use super::scans::Changed;
use super::{Path, Shared, Writer, ids};
use crate::ask::scans::of_command;
use crate::auth::Principal;
use crate::error::Problem;
use crate::gateway::Gateway;

/// What is run besides.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RederiveScan {
    /// Modules that the scan had not run; its own run in any case.
    #[serde(default)]
    modules: Vec<String>,
}

/// Run today's modules over the evidence of a finished scan, as a scan of its own; nothing is sent
///
/// Evidence of the scan that is damaged or missing is a refusal before anything is written. `/diff` compares the two.
#[utoipa::path(post, path = "/scans/{scan}/rederive", operation_id = "rederive_scan", tag = "scans",
    params(("scan" = String, Path, description = "Its id, the beginning of it, or @last"),
        ("idempotency-key" = Option<String>, Header, description = "The same key derives the same scan, once")),
    request_body = RederiveScan,
    responses((status = 201, body = Changed, headers(("location" = String, description = "The new scan")))))]
pub(crate) async fn create(
    State(gateway): Shared,
    writer: Writer,
    Path(scan): Path<String>,
    Body { value, sent }: Body<RederiveScan>,
) -> Result<Response, Refusal> {
    let modules = modules(&value.modules)?;
    let of = finished(&gateway, &writer.who, scan).await?;
    let place = gateway.uploads.place(writer.who.workspace()).await?;
    whole(&gateway, &of).await?;
    drop(place);
    // The same key for another scan is another request.
    let sent = [b"rederive ", of.as_str().as_bytes(), b" ", &sent[..]].concat();
    let caller = writer.caller(&sent, None);
    let commands = gateway.commands(&writer.who).await?;
    let started = commands.rederive(&of, modules, &caller).await;
    let (scan_id, position) = started.map_err(of_command)?;
    let location = [(header::LOCATION, format!("/api/v1/scans/{scan_id}"))];
    let changed = axum::Json(Changed { scan_id, position });
    Ok((StatusCode::CREATED, location, changed).into_response())
}

fn modules(names: &[String]) -> Result<Vec<ModuleName>, Problem> {
    let known = |name: &String| {
        let is_known = collectors::ALL
            .iter()
            .any(|there| there.manifest().name == name);
        let name = ModuleName::new(name).ok().filter(|_| is_known);
        name.ok_or_else(|| Problem::new("unknown_module", "/modules names one that there is not"))
    };
    names.iter().map(known).collect()
}

/// The scan that is meant, if it is over.
async fn finished(
    gateway: &Arc<Gateway>,
    who: &Principal,
    scan: String,
) -> Result<ScanId, Problem> {
    let moment = Moment::default();
    let found = gateway.ask(who, &moment, move |asking| {
        let id = ids::scan(asking, &scan)?;
        let row = asking.catalog.scan_row(&id)?;
        match row.is_some_and(|row| row.state == Stand::Finished) {
            true => Ok(id),
            false => Err(Problem::new("scan_not_over", &id)),
        }
    });
    found.await
}

/// A finding without its evidence would silently be gone: better to say so before anything is written.
async fn whole(gateway: &Arc<Gateway>, of: &ScanId) -> Result<(), Problem> {
    let (gateway, filter) = (gateway.clone(), Filter::Scan(of.clone()));
    let (runtime, of) = (Handle::current(), of.clone());
    let checked = tokio::task::spawn_blocking(move || {
        let (log, evidence) = (&*gateway.log, &*gateway.evidence);
        runtime.block_on(check_cited(
            log,
            Some(evidence),
            Position(0),
            filter,
            |_| {},
        ))
    });
    let cited = checked
        .await
        .map_err(|error| Problem::of("internal", &error))?;
    match cited? {
        cited if cited.bad == 0 => Ok(()),
        cited => {
            let (items, bad) = (cited.items, cited.bad);
            let detail = format!("{of} cites {items} items, {bad} of them damaged or missing");
            Err(Problem::new("evidence_incomplete", detail))
        }
    }
}
