//! `/marks`, and the mark of a finding: an analyst's word on it, with its reason.

use axum::extract::State;
use jiff::Timestamp;
use mirage_domain::id::{FindingId, Position, ScanId};
use mirage_domain::mark::{Command, Verdict};
use mirage_projections::catalog::{FindingRow, MarkRow};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{Page, Refusal};
use super::body::Body;
use super::moment::Moment;
use super::query::{List, Query, list_query, rows};
use super::{Path, Shared, Writer, ids};
use crate::auth::Principal;
use crate::error::Problem;

/// One word on a finding.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Mark {
    #[schema(value_type = String)]
    finding_id: FindingId,
    #[schema(value_type = String)]
    scan_id: ScanId,
    /// Of the finding, as are kind and key.
    module: Option<String>,
    kind: Option<&'static str>,
    /// Null once it was erased.
    key: Option<String>,
    /// `false-positive` or `confirmed`.
    verdict: Option<String>,
    /// Null once it was erased.
    reason: Option<String>,
    actor: String,
    #[schema(value_type = String, format = DateTime)]
    marked_at: Timestamp,
    #[schema(value_type = u64)]
    position: Position,
}

impl Mark {
    fn of(row: MarkRow, about: Option<FindingRow>) -> Self {
        Self {
            finding_id: row.finding_id,
            scan_id: row.scan_id,
            kind: about.as_ref().map(|about| about.kind.as_str()),
            module: about.as_ref().map(|about| about.module.clone()),
            key: about.and_then(|about| about.key),
            verdict: row.verdict,
            reason: row.reason,
            actor: row.actor,
            marked_at: row.marked_at,
            position: row.position,
        }
    }
}

list_query! {
    /// Which marks.
    ListMarks {
        /// In this scan.
        #[serde(default)]
        scan: Option<String>,
    }
}

/// Marks that hold, in the order in which they were made
#[utoipa::path(get, path = "/marks", operation_id = "list_marks", tag = "marks",
    params(ListMarks), responses((status = 200, body = Page<Mark>)))]
pub(crate) async fn list(
    State(gateway): Shared,
    who: Principal,
    list: List,
    Query(query): Query<ListMarks>,
) -> Result<Page<Mark>, Refusal> {
    let (after, moment, limit) = query.page(&list)?;
    let listed = gateway.ask(&who, &moment, move |asking| {
        let scan = query
            .scan
            .as_ref()
            .map(|scan| ids::scan(asking, scan))
            .transpose()?;
        let listed = asking.catalog.marks(scan.as_ref(), &rows(after, limit))?;
        let mut items = Vec::with_capacity(listed.rows.len());
        for row in listed.rows {
            let about = asking.catalog.finding(&row.scan_id, row.finding_id)?;
            items.push(Mark::of(row, about));
        }
        Ok((items, listed.at, listed.next))
    });
    let (items, as_of, next) = listed.await?;
    Ok(Page {
        items,
        as_of,
        next_cursor: list.cursor(next),
    })
}

/// What an analyst says of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Word {
    /// Not so: the finding falls, and with it what hangs on it alone.
    FalsePositive,
    /// Looked at and found right.
    Confirmed,
}

/// A mark to be set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetMark {
    verdict: Word,
    /// A false positive needs one.
    #[serde(default)]
    #[schema(max_length = 4096)]
    reason: String,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Marked {
    #[schema(value_type = String)]
    finding_id: FindingId,
    #[schema(value_type = String)]
    scan_id: ScanId,
    /// Findings of the workspace that do not stand now.
    fallen: usize,
    /// Reads with this as `min_position` show it.
    #[schema(value_type = u64)]
    position: Position,
}

/// Mark a finding; a later mark takes the place of an earlier one
#[utoipa::path(put, path = "/findings/{finding}/mark", operation_id = "mark_finding", tag = "marks",
    params(("finding" = String, Path, description = "Its id, or the beginning of it"),
        ("idempotency-key" = Option<String>, Header, description = "The same key marks it once")),
    request_body = SetMark, responses((status = 200, body = Marked)))]
pub(crate) async fn set(
    State(gateway): Shared,
    writer: Writer,
    Path(finding): Path<String>,
    Body { value, sent }: Body<SetMark>,
) -> Result<axum::Json<Marked>, Refusal> {
    let verdict = match value.verdict {
        Word::FalsePositive => Verdict::FalsePositive,
        Word::Confirmed => Verdict::Confirmed,
    };
    let reason = value.reason;
    say(
        gateway,
        writer,
        finding,
        Command::Set { verdict, reason },
        &sent,
    )
    .await
}

/// Why it is taken back.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ClearMark {
    /// Why.
    #[serde(default)]
    #[param(max_length = 4096)]
    reason: Option<String>,
}

/// Take a mark back
#[utoipa::path(delete, path = "/findings/{finding}/mark", operation_id = "unmark_finding", tag = "marks",
    params(("finding" = String, Path, description = "Its id, or the beginning of it"), ClearMark),
    responses((status = 200, body = Marked)))]
pub(crate) async fn clear(
    State(gateway): Shared,
    writer: Writer,
    Path(finding): Path<String>,
    Query(query): Query<ClearMark>,
) -> Result<axum::Json<Marked>, Refusal> {
    let reason = query.reason.clone().unwrap_or_default();
    let sent = reason.clone().into_bytes();
    say(gateway, writer, finding, Command::Clear { reason }, &sent).await
}

async fn say(
    gateway: std::sync::Arc<crate::gateway::Gateway>,
    writer: Writer,
    finding: String,
    command: Command,
    sent: &[u8],
) -> Result<axum::Json<Marked>, Refusal> {
    let moment = Default::default();
    let found = gateway.ask(&writer.who, &moment, move |asking| {
        ids::finding(asking, &finding)
    });
    let found = found.await?;
    let commands = gateway.commands(&writer.who).await?;
    let caller = writer.caller(sent, None);
    let said = commands
        .mark(&found.scan_id, found.finding_id, command, &caller)
        .await;
    let position = said.map_err(Problem::from)?;
    let moment = Moment {
        min_position: Some(position),
        ..Moment::default()
    };
    let fallen = gateway.ask(&writer.who, &moment, |asking| {
        Ok(asking.catalog.fallen()?.len())
    });
    Ok(axum::Json(Marked {
        finding_id: found.finding_id,
        scan_id: found.scan_id,
        fallen: fallen.await?,
        position,
    }))
}
