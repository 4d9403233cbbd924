//! `FindingService`: what was found, claim by claim.

use std::sync::Arc;

use mirage_domain::id::Position;
use mirage_projections::catalog::FindingRow;
use tonic::{Request, Response, Status};

use super::call::{Call, answered};
use super::convert::{fewer, hex, list, moment, object, set, time_of, told_time, words};
use super::v1::finding_service_server::FindingService;
use super::v1::list_findings_request::Since;
use super::v1::{
    Finding, GetFindingRequest, GetFindingResponse, ListFindingsRequest, ListFindingsResponse,
};
use crate::ask::findings;
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::rest::moment::At;
use crate::rest::query::rows;

/// See the module's doc.
pub(super) struct Findings(pub(super) Arc<Gateway>);

#[tonic::async_trait]
impl FindingService for Findings {
    async fn list_findings(
        &self,
        request: Request<ListFindingsRequest>,
    ) -> Result<Response<ListFindingsResponse>, Status> {
        answered(request, |call| listed(&self.0, call)).await
    }

    async fn get_finding(
        &self,
        request: Request<GetFindingRequest>,
    ) -> Result<Response<GetFindingResponse>, Status> {
        answered(request, |call| got(&self.0, call)).await
    }
}

async fn listed(
    gateway: &Arc<Gateway>,
    mut call: Call<ListFindingsRequest>,
) -> Result<ListFindingsResponse, Problem> {
    let asked = &mut call.asked;
    let token = std::mem::take(&mut asked.page_token);
    let size = std::mem::take(&mut asked.page_size);
    let (list, limit) = list(asked, size)?;
    let moment = moment(asked.moment.as_ref())?;
    let (after, mut moment, mut limit) = list.page(set(&token), limit, moment)?;
    loop {
        let (filter, page) = (filter(asked)?, rows(after, limit));
        let listed = findings::list(gateway, &call.who, &moment, filter, page).await?;
        moment.at = Some(At::Position(listed.at));
        let answer = ListFindingsResponse {
            findings: listed.rows.into_iter().map(Finding::from).collect(),
            as_of: listed.at.0,
            next_page_token: list.cursor(listed.next).unwrap_or_default(),
        };
        match fewer(&answer, answer.findings.len()) {
            None => return Ok(answer),
            Some(fewer) => limit = fewer,
        }
    }
}

fn filter(asked: &ListFindingsRequest) -> Result<findings::Findings, Problem> {
    let certain = match u8::try_from(asked.min_confidence) {
        Ok(0) => None,
        Ok(certain) if certain <= 100 => Some(certain),
        _ => return Err(Problem::new("bad_query", "min_confidence: 0 to 100")),
    };
    Ok(findings::Findings {
        scan: set(&asked.scan).map(str::to_owned),
        kinds: words("kinds", &asked.kinds)?,
        modules: words("modules", &asked.modules)?,
        in_scope: asked.in_scope,
        since: match asked.since {
            None => None,
            Some(Since::SincePosition(position)) => Some(At::Position(Position(position))),
            Some(Since::SinceTime(time)) => Some(At::Time(time_of(&time)?)),
        },
        new_since: set(&asked.new_since).map(str::to_owned),
        min_confidence: certain,
    })
}

async fn got(
    gateway: &Arc<Gateway>,
    call: Call<GetFindingRequest>,
) -> Result<GetFindingResponse, Problem> {
    let moment = moment(call.asked.moment.as_ref())?;
    let found = findings::get(gateway, &call.who, &moment, call.asked.finding);
    let (row, as_of) = found.await?;
    Ok(GetFindingResponse {
        finding: Some(row.into()),
        as_of: as_of.0,
    })
}

impl From<FindingRow> for Finding {
    fn from(row: FindingRow) -> Self {
        Self {
            finding_id: row.finding_id.to_string(),
            scan_id: row.scan_id.to_string(),
            task_id: row.task_id.to_string(),
            module: row.module,
            kind: row.kind.to_string(),
            key: row.key,
            attributes: Some(object(row.attributes)),
            relation: row.relation.map(|relation| relation.to_string()),
            direction: row.direction.map(|direction| direction.as_str().to_owned()),
            parent_id: row.parent_id.map(|parent| parent.to_string()),
            in_scope: row.in_scope,
            confidence: row.confidence.into(),
            observed_at: Some(told_time(row.observed_at)),
            recorded_at: Some(told_time(row.recorded_at)),
            position: row.position.0,
            evidence: row.evidence.iter().map(hex).collect(),
        }
    }
}
