//! `/findings`: what was found, claim by claim, and how each came to be known.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use mirage_domain::entity::Kind;
use mirage_domain::finding::Attributes;
use mirage_domain::id::{Digest, FindingId, ModuleName, Position, ScanId, TaskId};
use mirage_domain::relation::{Direction, Relation};
use mirage_projections::catalog::FindingRow;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::answer::{One, Page, Refusal};
use super::moment::At;
use super::query::{List, Query, list_query, read_query, rows, words};
use super::why::{self, Shape};
use super::{Path, Shared};
use crate::ask::{self, findings};
use crate::auth::Principal;

/// A finding: one claim, with what later claims of it added.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Finding {
    #[schema(value_type = String)]
    finding_id: FindingId,
    #[schema(value_type = String)]
    scan_id: ScanId,
    #[schema(value_type = String)]
    task_id: TaskId,
    module: String,
    #[schema(value_type = String)]
    kind: Kind,
    /// Null once it was erased.
    key: Option<String>,
    #[schema(value_type = Object)]
    attributes: Attributes,
    /// Null for a seed, as are direction and parent.
    #[schema(value_type = Option<String>)]
    relation: Option<Relation>,
    #[schema(value_type = Option<String>)]
    direction: Option<Direction>,
    #[schema(value_type = Option<String>)]
    parent_id: Option<FindingId>,
    in_scope: bool,
    /// In percent.
    #[schema(maximum = 100)]
    confidence: u8,
    #[schema(value_type = String, format = DateTime)]
    observed_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Timestamp,
    #[schema(value_type = u64)]
    position: Position,
    /// SHA-256 of each item.
    #[schema(value_type = Vec<String>)]
    evidence: Vec<Digest>,
}

impl From<FindingRow> for Finding {
    fn from(row: FindingRow) -> Self {
        Self {
            finding_id: row.finding_id,
            scan_id: row.scan_id,
            task_id: row.task_id,
            module: row.module,
            kind: row.kind,
            key: row.key,
            attributes: row.attributes,
            relation: row.relation,
            direction: row.direction,
            parent_id: row.parent_id,
            in_scope: row.in_scope,
            confidence: row.confidence,
            observed_at: row.observed_at,
            recorded_at: row.recorded_at,
            position: row.position,
            evidence: row.evidence,
        }
    }
}

list_query! {
    /// Which findings.
    ListFindings {
        /// Those of this scan: its id, the beginning of it, or `@last`.
        #[serde(default)]
        scan: Option<String>,
        /// Of these kinds.
        #[serde(default, deserialize_with = "words")]
        #[param(value_type = Vec<String>, style = Form, explode = false)]
        kind: Vec<Kind>,
        /// Found by these modules.
        #[serde(default, deserialize_with = "words")]
        #[param(value_type = Vec<String>, style = Form, explode = false)]
        module: Vec<ModuleName>,
        /// In scope, or out of it.
        #[serde(default)]
        in_scope: Option<bool>,
        /// Recorded after this position, or at this time or later.
        #[serde(default)]
        #[param(value_type = Option<String>, pattern = "^([0-9]{1,18}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,}(Z|[+-][0-9]{2}:[0-9]{2}))$")]
        since: Option<At>,
        /// Only what that scan had not found.
        #[serde(default)]
        new_since: Option<String>,
        /// At least this certain, in percent.
        #[serde(default)]
        #[param(minimum = 0, maximum = 100)]
        min_confidence: Option<u8>,
    }
}

/// Findings, in the order of their newest claims
#[utoipa::path(get, path = "/findings", operation_id = "list_findings", tag = "findings",
    params(ListFindings), responses((status = 200, body = Page<Finding>)))]
pub(crate) async fn list(
    State(gateway): Shared,
    who: Principal,
    list: List,
    Query(query): Query<ListFindings>,
) -> Result<Page<Finding>, Refusal> {
    let (after, moment, limit) = query.page(&list)?;
    let asked = findings::Findings {
        scan: query.scan,
        kinds: query.kind,
        modules: query.module,
        in_scope: query.in_scope,
        since: query.since,
        new_since: query.new_since,
        min_confidence: query.min_confidence,
    };
    let listed = findings::list(&gateway, &who, &moment, asked, rows(after, limit));
    Ok(list.page_of(listed.await?))
}

read_query! {
    /// Of which moment.
    GetFinding {}
}

/// One finding
#[utoipa::path(get, path = "/findings/{finding}", operation_id = "get_finding", tag = "findings",
    params(("finding" = String, Path, description = "Its id, or the beginning of it"), GetFinding),
    responses((status = 200, body = One<Finding>)))]
pub(crate) async fn get(
    State(gateway): Shared,
    who: Principal,
    Path(finding): Path<String>,
    Query(query): Query<GetFinding>,
) -> Result<One<Finding>, Refusal> {
    let moment = query.moment();
    let (row, as_of) = findings::get(&gateway, &who, &moment, finding).await?;
    let thing = row.into();
    Ok(One { thing, as_of })
}

read_query! {
    /// How it is told, and of which moment.
    WhyFinding {
        /// Steps and proofs, or W3C PROV-JSON.
        #[serde(default)]
        #[param(inline, value_type = Option<Shape>)]
        shape: Shape,
    }
}

/// How a finding came to be known: every chain back to a seed, each step held against log, evidence and keys
#[utoipa::path(get, path = "/findings/{finding}/why", operation_id = "why_finding", tag = "findings",
    params(("finding" = String, Path, description = "Its id, or the beginning of it"), WhyFinding),
    responses((status = 200, body = Object)))]
pub(crate) async fn chains(
    State(gateway): Shared,
    who: Principal,
    Path(finding): Path<String>,
    Query(query): Query<WhyFinding>,
) -> Result<Json<Value>, Refusal> {
    let moment = query.moment();
    let told = ask::why::finding(&gateway, &who, &moment, finding);
    Ok(why::tell(&told.await?, query.shape))
}
