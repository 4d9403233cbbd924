//! `/audit`: who changed what, was refused what, read what few may read. Asking is on record too.

use axum::extract::State;
use jiff::Timestamp;
use mirage_domain::id::Position;
use mirage_projections::catalog::{self, AuditFilter, AuditRow};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::answer::{Page, Refusal};
use super::query::{List, Query, list_query};
use crate::auth::Principal;

/// One record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Record {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `user`, `service` or `module`.
    actor_kind: String,
    actor: String,
    /// `changed`, `read` or `refused`.
    outcome: String,
    /// Of the event.
    kind: String,
    /// Whose commit it is: workspace, scan, category and id.
    stream: String,
    /// Of this interface, for a record of a request.
    operation: Option<String>,
    /// Why it was refused.
    code: Option<String>,
    /// The address that the request came from; null once it was erased.
    origin: Option<String>,
    /// What was asked for.
    subject: Option<String>,
    /// Requests that the record stands for.
    count: u64,
    trace_id: Option<String>,
    #[schema(value_type = u64)]
    position: Position,
}

impl From<AuditRow> for Record {
    fn from(row: AuditRow) -> Self {
        Self {
            at: row.at,
            actor_kind: row.actor_kind,
            actor: row.actor,
            outcome: row.outcome,
            kind: row.kind,
            stream: row.stream,
            operation: row.operation,
            code: row.code,
            origin: row.origin,
            subject: row.subject,
            count: row.count,
            trace_id: row.trace_id,
            position: row.position,
        }
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    Changed,
    Read,
    Refused,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Read => "read",
            Self::Refused => "refused",
        }
    }
}

list_query! {
    /// Which records.
    ListAudit {
        /// Of this actor, as records name it.
        #[serde(default)]
        #[param(max_length = 200)]
        actor: Option<String>,
        /// Of this kind of event, or of a family of kinds: `workspace`.
        #[serde(default)]
        #[param(max_length = 64)]
        kind: Option<String>,
        /// With this outcome.
        #[serde(default)]
        #[param(inline, value_type = Option<Outcome>)]
        outcome: Option<Outcome>,
        /// Not before this time.
        #[serde(default)]
        #[param(value_type = Option<String>, format = DateTime)]
        since: Option<Timestamp>,
        /// Before this time.
        #[serde(default)]
        #[param(value_type = Option<String>, format = DateTime)]
        until: Option<Timestamp>,
        /// Newest first.
        #[serde(default)]
        newest_first: Option<bool>,
    }
}

/// Records of the workspace, in the order of the log
#[utoipa::path(get, path = "/audit", operation_id = "list_audit", tag = "access",
    params(ListAudit), responses((status = 200, body = Page<Record>)))]
pub(crate) async fn list(
    State(gateway): Shared,
    who: Principal,
    list: List,
    Query(query): Query<ListAudit>,
) -> Result<Page<Record>, Refusal> {
    let (after, moment, limit) = query.page(&list)?;
    let page = catalog::Page {
        after,
        limit,
        is_newest_first: query.newest_first == Some(true),
    };
    let filter = AuditFilter {
        actor: query.actor,
        kind: query.kind,
        outcome: query.outcome.map(Outcome::as_str),
        since: query.since,
        until: query.until,
    };
    let asked = gateway.ask(&who, &moment, move |asking| {
        Ok(asking.catalog.audit(&filter, &page)?)
    });
    Ok(list.page_of(asked.await?))
}
