//! `/log`: where it ends, and single commits as they stand in it.

use axum::Json;
use axum::extract::State;
use mirage_domain::id::{Digest, Position, WorkspaceId};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::answer::Refusal;
use super::query::{Nothing, Query};
use super::{Path, Shared};
use crate::auth::Principal;
use crate::error::Problem;

/// Of a log that is sound.
pub const VERDICT: &str = "as it was written";

/// The end of the log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Head {
    #[schema(value_type = u64)]
    position: Position,
    /// SHA-256 over every commit up to there.
    #[schema(value_type = String)]
    log_hash: Digest,
    /// What keeps it: `sqlite`, `jetstream`, …
    backend: &'static str,
    /// Whether an acknowledged commit survives a power cut.
    is_durable: bool,
    replicas: u32,
}

/// Where the log ends, and what it promises
#[utoipa::path(get, path = "/log", operation_id = "get_log_head", tag = "log",
    responses((status = 200, body = Head)))]
pub(crate) async fn head(
    State(gateway): Shared,
    _: Principal,
    _: Query<Nothing>,
) -> Result<Json<Head>, Refusal> {
    let head = gateway.log.head().await?;
    let capabilities = gateway.log.capabilities();
    Ok(Json(Head {
        position: head.position,
        log_hash: head.log_hash,
        backend: capabilities.backend,
        is_durable: capabilities.is_durable,
        replicas: capabilities.replicas,
    }))
}

/// A log that was read to its end, each commit held against its bytes, the log hash, and its stream.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Proven {
    #[schema(value_type = u64)]
    position: Position,
    /// SHA-256 over every commit up to there.
    #[schema(value_type = String)]
    log_hash: Digest,
    /// Of all workspaces, and so told to those of the workspace `system` alone; else null.
    events: Option<u64>,
    /// As `events`.
    streams: Option<u64>,
    /// `as it was written`: what is not so is a refusal.
    verdict: &'static str,
}

/// Read the whole log and prove it; a log that is not what was written is refused with `log_damaged`
///
/// The answer takes as long as that does, an hour at most. The file of a log is looked at beside it alone.
#[utoipa::path(get, path = "/log/verify", operation_id = "verify_log", tag = "log",
    responses((status = 200, body = Proven)))]
pub(crate) async fn verify(
    State(gateway): Shared,
    who: Principal,
    _: Query<Nothing>,
) -> Result<Json<Proven>, Refusal> {
    let _place = gateway.uploads.place(who.workspace()).await?;
    let verified = mirage_log::verify(&*gateway.log).await?;
    let is_all = *who.workspace() == WorkspaceId::system();
    Ok(Json(Proven {
        position: verified.head.position,
        log_hash: verified.head.log_hash,
        events: is_all.then_some(verified.events),
        streams: is_all.then_some(verified.streams),
        verdict: VERDICT,
    }))
}

/// A commit with its hashes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Recorded {
    #[schema(value_type = u64)]
    position: Position,
    /// SHA-256 of the commit's bytes.
    #[schema(value_type = String)]
    hash: Digest,
    /// SHA-256 over every commit up to this one.
    #[schema(value_type = String)]
    log_hash: Digest,
    /// The document as it was written.
    #[schema(value_type = Object)]
    commit: Box<RawValue>,
}

/// The commit at a position, if it is of the workspace
#[utoipa::path(get, path = "/log/commits/{position}", operation_id = "get_commit", tag = "log",
    params(("position" = u64, Path, description = "From 1")),
    responses((status = 200, body = Recorded)))]
pub(crate) async fn commit(
    State(gateway): Shared,
    who: Principal,
    Path(position): Path<u64>,
    _: Query<Nothing>,
) -> Result<Json<Recorded>, Refusal> {
    let absent = || Problem::new("no_such_position", format!("{position} of this workspace"));
    // Positions are counted over all workspaces, and beyond i64 there are none.
    if !(1..=i64::MAX as u64).contains(&position) {
        return Err(absent().into());
    }
    let recorded = gateway.log.commit(Position(position)).await;
    let recorded = match recorded.map_err(Problem::from) {
        Err(problem) if problem.row.code == "no_such_position" => return Err(absent().into()),
        recorded => recorded?,
    };
    let mut events = recorded.commit.events.iter();
    // The bytes are told as they are, or not at all.
    let is_secret = events.any(|entry| *entry.event.told() != entry.event);
    if is_secret || recorded.commit.stream.workspace != *who.workspace() {
        return Err(absent().into());
    }
    let text = String::from_utf8(recorded.bytes.to_vec()).ok();
    let commit = text.and_then(|text| RawValue::from_string(text).ok());
    Ok(Json(Recorded {
        position: recorded.position,
        hash: recorded.hash,
        log_hash: recorded.log_hash,
        commit: commit.ok_or_else(|| Problem::new("internal", "a commit that is no JSON"))?,
    }))
}
