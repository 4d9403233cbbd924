//! `/scans`: which there are, how they are, and what people ask of them.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use mirage_domain::id::{Position, ScanId};
use mirage_domain::module::Profile;
use mirage_projections::catalog::{ScanFilter, ScanRow};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{One, Page, Refusal, etag, if_match};
use super::body::Body;
use super::query::{List, Query, list_query, read_query, rows};
use super::{Path, Shared, Writer};
use crate::ask::scans::{self, ChangeScan};
use crate::ask::start::StartScan;
use crate::auth::Principal;

/// One scan.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Scan {
    #[schema(value_type = String)]
    scan_id: ScanId,
    /// Null once it was erased.
    name: Option<String>,
    /// Keys of the seeds that were reported, the first hundred.
    seeds: Vec<String>,
    #[schema(value_type = String)]
    profile: Profile,
    /// `running`, `paused`, `stopping`, `interrupted` or `finished`.
    state: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    tasks: u64,
    findings: u64,
    entities: u64,
    failures: u64,
    /// Of the newest change of state.
    #[schema(value_type = u64)]
    position: Position,
}

impl From<ScanRow> for Scan {
    fn from(row: ScanRow) -> Self {
        Self {
            scan_id: row.scan_id,
            name: row.name,
            seeds: row.seeds,
            profile: row.profile,
            state: row.state.to_string(),
            started_at: row.started_at,
            finished_at: row.finished_at,
            tasks: row.tasks,
            findings: row.findings,
            entities: row.entities,
            failures: row.failures,
            position: row.position,
        }
    }
}

list_query! {
    /// Which scans.
    ListScans {
        /// Archived ones too.
        #[serde(default)]
        archived: Option<bool>,
    }
}

/// Scans, oldest first
#[utoipa::path(get, path = "/scans", operation_id = "list_scans", tag = "scans",
    params(ListScans), responses((status = 200, body = Page<Scan>)))]
pub(crate) async fn list(
    State(gateway): Shared,
    who: Principal,
    list: List,
    Query(query): Query<ListScans>,
) -> Result<Page<Scan>, Refusal> {
    let (after, moment, limit) = query.page(&list)?;
    let asked = scans::Scans {
        moment,
        is_now: query.at.is_none(),
        filter: ScanFilter {
            with_archived: query.archived.unwrap_or_default(),
        },
        page: rows(after, limit),
    };
    Ok(list.page_of(scans::list(&gateway, &who, asked).await?))
}

read_query! {
    /// Of which moment.
    GetScan {}
}

/// One scan, with the entity tag under which it can be changed
#[utoipa::path(get, path = "/scans/{scan}", operation_id = "get_scan", tag = "scans",
    params(("scan" = String, Path, description = "Its id, the beginning of it, or @last"), GetScan),
    responses((status = 200, body = One<Scan>,
        headers(("etag" = String, description = "For If-Match of a change")))))]
pub(crate) async fn get(
    State(gateway): Shared,
    who: Principal,
    Path(scan): Path<String>,
    Query(query): Query<GetScan>,
) -> Result<Response, Refusal> {
    let found = scans::get(&gateway, &who, &query.moment(), scan).await?;
    let thing = Scan::from(found.row);
    let as_of = found.as_of;
    Ok((etag(found.version), One { thing, as_of }).into_response())
}

/// What came of a change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changed {
    #[schema(value_type = String)]
    pub(crate) scan_id: ScanId,
    /// Reads with this as `min_position` show it.
    #[schema(value_type = u64)]
    pub(crate) position: Position,
}

/// Start a scan; the same idempotency key with the same body answers as the first time
#[utoipa::path(post, path = "/scans", operation_id = "start_scan", tag = "scans",
    params(("idempotency-key" = Option<String>, Header, description = "The same key starts the same scan, once")),
    request_body = StartScan,
    responses((status = 201, body = Changed, headers(("location" = String, description = "The scan")))))]
pub(crate) async fn start(
    State(gateway): Shared,
    writer: Writer,
    Body { value, sent }: Body<StartScan>,
) -> Result<Response, Refusal> {
    let caller = writer.caller(&sent, None);
    let (scan_id, position) = scans::start(&gateway, &writer.who, value, &caller).await?;
    let location = [(header::LOCATION, format!("/api/v1/scans/{scan_id}"))];
    let changed = axum::Json(Changed { scan_id, position });
    Ok((StatusCode::CREATED, location, changed).into_response())
}

/// Pause, resume, stop or archive a scan
#[utoipa::path(patch, path = "/scans/{scan}", operation_id = "change_scan", tag = "scans",
    params(("scan" = String, Path, description = "Its id, or the beginning of it"),
        ("if-match" = String, Header, description = "The entity tag that was read, or *"),
        ("idempotency-key" = Option<String>, Header, description = "The same key changes it once")),
    request_body = ChangeScan, responses((status = 200, body = Changed)))]
pub(crate) async fn change(
    State(gateway): Shared,
    writer: Writer,
    Path(scan): Path<String>,
    headers: HeaderMap,
    Body { value, sent }: Body<ChangeScan>,
) -> Result<axum::Json<Changed>, Refusal> {
    let at_version = if_match(&headers)?;
    let caller = writer.caller(&sent, at_version);
    let changed = scans::change(&gateway, &writer.who, scan, &value, &caller);
    let (scan_id, position) = changed.await?;
    Ok(axum::Json(Changed { scan_id, position }))
}
