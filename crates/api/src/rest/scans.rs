//! `/scans`: which there are, how they are, and what people ask of them.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;
use jiff::Timestamp;
use mirage_domain::entity::{Entity, recognise_all};
use mirage_domain::id::{ModuleName, Position, ScanId, StreamId};
use mirage_domain::module::Profile;
use mirage_domain::scan::{
    ArchiveScan, Command, Consent, Limits, Origin, PauseScan, ResumeScan, SEEDS_MAX, StopScan,
};
use mirage_domain::scope::{RULES_MAX, Scope};
use mirage_projections::catalog::{ScanFilter, ScanRow};
use mirage_workers::node::chosen::{self, NAME_BYTES_MAX, Unchosen};
use mirage_workers::node::{self, ScanRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{One, Page, Refusal, etag, if_match};
use super::body::Body;
use super::query::{List, Query, list_query, read_query, rows};
use super::{Path, Shared, Writer, ids};
use crate::auth::Principal;
use crate::error::Problem;
use crate::gateway::Gateway;

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
    let is_now = query.at.is_none();
    let listed = gateway.ask(&who, &moment, move |asking| {
        let filter = ScanFilter {
            with_archived: query.archived.unwrap_or_default(),
        };
        Ok(asking.catalog.scans(&filter, &rows(after, limit))?)
    });
    let listed = listed.await?;
    let mut items = Vec::with_capacity(listed.rows.len());
    for row in listed.rows {
        items.push(held(&gateway, row, is_now).await.into());
    }
    Ok(Page {
        items,
        as_of: listed.at,
        next_cursor: list.cursor(listed.next),
    })
}

/// The row as the leases make it; the past knows nothing of who held what.
async fn held(gateway: &Gateway, row: ScanRow, is_now: bool) -> ScanRow {
    match is_now {
        true => {
            let is_held = gateway.holder(&row.scan_id).await.is_some();
            row.held(is_held)
        }
        false => row,
    }
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
    let is_now = query.at.is_none();
    let moment = query.moment();
    let found = gateway.ask(&who, &moment, move |asking| {
        let id = ids::scan(asking, &scan)?;
        let absent = || Problem::new("no_such_scan", format!("`{scan}`"));
        let row = asking.catalog.scan_row(&id)?.ok_or_else(absent)?;
        Ok((row, asking.catalog.position()))
    });
    let (row, as_of) = found.await?;
    let stream = StreamId::scan(who.workspace(), &row.scan_id);
    let (_, tip) = gateway.commands(&who).await?.scans.state(&stream).await?;
    let thing: Scan = held(&gateway, row, is_now).await.into();
    let version = tip.map(|tip| tip.version).unwrap_or_default();
    Ok((etag(version), One { thing, as_of }).into_response())
}

/// What is wanted scanned.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartScan {
    /// Domains, addresses, netblocks, …, or KIND:VALUE; each implies its scope.
    #[schema(min_items = 1)]
    seeds: Vec<String>,
    #[serde(default)]
    #[schema(max_length = 200)]
    name: Option<String>,
    /// `passive`, `standard` or `active`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    profile: Profile,
    /// Only these; the default is all of the profile.
    #[serde(default)]
    modules: Vec<String>,
    /// Not these.
    #[serde(default)]
    exclude: Vec<String>,
    /// Rules beside those that the seeds imply; `!rule` excludes and wins.
    #[serde(default)]
    scope: Vec<String>,
    /// Longest chain from a seed whose end is still asked about.
    #[serde(default)]
    depth: Option<u32>,
    /// Requests at most.
    #[serde(default)]
    max_requests: Option<u64>,
    /// Seconds at most.
    #[serde(default)]
    max_time_s: Option<u64>,
    /// Settings by MODULE.KEY; secrets, files and servers are the node's.
    #[serde(default)]
    settings: BTreeMap<String, String>,
    /// Private ranges that may be contacted, of those that the node allows.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    allow_private: Vec<IpNet>,
    /// Whoever asks may scan these targets actively: needed with the profile `active`.
    #[serde(default)]
    consent: bool,
}

/// What came of a change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changed {
    #[schema(value_type = String)]
    scan_id: ScanId,
    /// Reads with this as `min_position` show it.
    #[schema(value_type = u64)]
    position: Position,
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
    let request = request(&gateway, value)?;
    let commands = gateway.commands(&writer.who).await?;
    let caller = writer.caller(&sent, None);
    let (scan_id, position) = commands.start(request, &caller).await.map_err(of_command)?;
    let location = [(header::LOCATION, format!("/api/v1/scans/{scan_id}"))];
    let changed = axum::Json(Changed { scan_id, position });
    Ok((StatusCode::CREATED, location, changed).into_response())
}

/// What is to become of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wanted {
    /// Goes on, where it was paused or interrupted.
    Running,
    Paused,
    /// Stops in order; what was found stays.
    Stopped,
}

/// A change of a scan: one of its members.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeScan {
    #[serde(default)]
    state: Option<Wanted>,
    /// With `running`: inputs that failed are tried again.
    #[serde(default)]
    retry_failed: bool,
    /// Hidden from the list, or shown again.
    #[serde(default)]
    is_archived: Option<bool>,
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
    let command = match (value.state, value.is_archived) {
        (Some(Wanted::Running), None) => Command::Resume(ResumeScan {
            failed: value.retry_failed,
        }),
        (Some(Wanted::Paused), None) => Command::Pause(PauseScan),
        (Some(Wanted::Stopped), None) => Command::Stop(StopScan),
        (None, Some(archived)) => Command::Archive(ArchiveScan { archived }),
        _ => return Err(Problem::new("bad_body", "one of state and is_archived").into()),
    };
    let moment = Default::default();
    let found = gateway.ask(&writer.who, &moment, move |asking| ids::scan(asking, &scan));
    let scan_id = found.await?;
    let commands = gateway.commands(&writer.who).await?;
    let caller = writer.caller(&sent, at_version);
    let changed = commands.command(&scan_id, command, &caller).await;
    let position = changed.map_err(of_command)?;
    Ok(axum::Json(Changed { scan_id, position }))
}

fn of_command(error: node::Error) -> Problem {
    match error {
        node::Error::Scope(error) => Problem::of("bad_scope", &error),
        node::Error::Evidence(error) => error.into(),
        node::Error::Read(error) => error.into(),
        node::Error::Command(error) => error.into(),
    }
}

/// The request, checked as a whole before anything is written.
fn request(gateway: &Gateway, asked: StartScan) -> Result<ScanRequest, Problem> {
    let seeds = seeds(&asked.seeds)?;
    let allowed = &gateway.allowed;
    let is_allowed = |net: &IpNet| allowed.private.iter().any(|wide| wide.contains(net));
    if let Some(net) = asked.allow_private.iter().find(|net| !is_allowed(net)) {
        let detail = format!("allow_private: this node does not allow {net}");
        return Err(Problem::new("bad_value", detail));
    }
    if asked.scope.len() > RULES_MAX {
        let detail = format!("{} rules are more than {RULES_MAX}", asked.scope.len());
        return Err(Problem::new("bad_scope", detail));
    }
    Scope::new(&seeds, &asked.scope).map_err(|error| Problem::of("bad_scope", &error))?;
    let mut settings = allowed.settings.clone();
    for (key, value) in &asked.settings {
        let set = settings.set_from_afar(key, value);
        set.map_err(|error| Problem::of("bad_setting", &error))?;
    }
    Ok(ScanRequest {
        modules: modules(&asked)?,
        name: name(asked.name, &seeds)?,
        profile: asked.profile,
        scope: asked.scope,
        limits: Limits {
            depth: asked.depth,
            requests: asked.max_requests,
            time_s: asked.max_time_s,
        },
        consent: asked.consent.then_some(Consent::Flag),
        allow_private: asked.allow_private,
        settings,
        origin: Origin::NEW,
        seeds,
    })
}

fn seeds(texts: &[String]) -> Result<Vec<Entity>, Problem> {
    let mut seeds = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let wrong = |error| Problem::new("bad_seed", format!("/seeds/{at}: `{text}`: {error}"));
        for seed in recognise_all(text).map_err(wrong)? {
            if !seeds.contains(&seed) {
                seeds.push(seed);
            }
        }
        if seeds.len() as u64 > SEEDS_MAX {
            let detail = format!("a scan takes at most {SEEDS_MAX} seeds");
            return Err(Problem::new("bad_seed", detail));
        }
    }
    match seeds.is_empty() {
        true => Err(Problem::new("bad_seed", "no seed was given")),
        false => Ok(seeds),
    }
}

fn name(given: Option<String>, seeds: &[Entity]) -> Result<String, Problem> {
    let name = given.unwrap_or_else(|| chosen::name(seeds));
    match (1..=NAME_BYTES_MAX).contains(&name.len()) {
        true => Ok(name),
        false => {
            let detail = format!("/name: 1 to {NAME_BYTES_MAX} bytes");
            Err(Problem::new("bad_value", detail))
        }
    }
}

fn modules(asked: &StartScan) -> Result<BTreeSet<ModuleName>, Problem> {
    let chosen = chosen::modules(&asked.modules, &asked.exclude, asked.profile);
    chosen.map_err(|error| match &error {
        Unchosen::Unknown(_) => Problem::of("unknown_module", &error),
        Unchosen::Profile { .. } => Problem::of("bad_value", &error),
    })
}
