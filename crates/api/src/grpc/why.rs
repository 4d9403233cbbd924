//! `WhyService`: how things came to be known, each step held against log, evidence and keys.

use std::sync::Arc;

use mirage_projections::catalog::{MarkRow, Step as FoundStep, TaskRow};
use tonic::{Request, Response, Status};

use super::call::{Call, answered};
use super::convert::{hex, moment, set, told_time};
use super::v1::check;
use super::v1::why_service_server::WhyService;
use super::v1::{
    Chain, Check, Item, Mark, Proof, Step, Task, WhyEntityRequest, WhyEntityResponse,
    WhyFindingRequest, WhyFindingResponse,
};
use crate::ask::why;
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::why::{Item as ProvenItem, Proven, StepProof, Verdict};

/// See the module's doc.
pub(super) struct Whys(pub(super) Arc<Gateway>);

#[tonic::async_trait]
impl WhyService for Whys {
    async fn why_finding(
        &self,
        request: Request<WhyFindingRequest>,
    ) -> Result<Response<WhyFindingResponse>, Status> {
        answered(request, |call| of_finding(&self.0, call)).await
    }

    async fn why_entity(
        &self,
        request: Request<WhyEntityRequest>,
    ) -> Result<Response<WhyEntityResponse>, Status> {
        answered(request, |call| of_entity(&self.0, call)).await
    }
}

async fn of_finding(
    gateway: &Arc<Gateway>,
    call: Call<WhyFindingRequest>,
) -> Result<WhyFindingResponse, Problem> {
    let moment = moment(call.asked.moment.as_ref())?;
    let told = why::finding(gateway, &call.who, &moment, call.asked.finding).await?;
    Ok(WhyFindingResponse {
        as_of: told.proven.why.at.0,
        why: Some(told.proven.into()),
    })
}

async fn of_entity(
    gateway: &Arc<Gateway>,
    call: Call<WhyEntityRequest>,
) -> Result<WhyEntityResponse, Problem> {
    let asked = call.asked;
    let moment = moment(asked.moment.as_ref())?;
    let scan = set(&asked.scan).map(str::to_owned);
    let told = why::entity(gateway, &call.who, &moment, asked.entity, scan).await?;
    Ok(WhyEntityResponse {
        as_of: told.proven.why.at.0,
        why: Some(told.proven.into()),
    })
}

impl From<Proven> for super::v1::Why {
    fn from(proven: Proven) -> Self {
        let Proven { why, proofs } = proven;
        let chains = why.chains.iter().map(|chain| Chain {
            finding_ids: chain.iter().map(ToString::to_string).collect(),
        });
        Self {
            scan_id: why.scan_id.to_string(),
            chains: chains.collect(),
            is_cut: why.is_cut,
            reaches_seed: why.reaches_seed,
            steps: why.steps.into_iter().zip(proofs).map(step).collect(),
        }
    }
}

fn step((found, proof): (FoundStep, StepProof)) -> Step {
    Step {
        finding: Some(found.finding.into()),
        entity_id: found.entity_id.to_string(),
        rule: found.rule,
        task: found.task.map(Task::from),
        stands: found.stands,
        marks: found.marks.into_iter().map(Mark::from).collect(),
        proof: Some(proof.into()),
    }
}

impl From<TaskRow> for Task {
    fn from(row: TaskRow) -> Self {
        Self {
            task_id: row.task_id.to_string(),
            module: row.module,
            module_version: row.module_version,
            state: row.state.to_string(),
            attempts: row.attempts,
            settings: row.settings.as_ref().map(hex),
            scheduled_at: Some(told_time(row.scheduled_at)),
            ended_at: row.ended_at.map(told_time),
            requests: row.requests,
        }
    }
}

impl From<MarkRow> for Mark {
    fn from(row: MarkRow) -> Self {
        Self {
            verdict: row.verdict,
            reason: row.reason,
            actor: row.actor,
            marked_at: Some(told_time(row.marked_at)),
            position: row.position.0,
        }
    }
}

impl From<StepProof> for Proof {
    fn from(proof: StepProof) -> Self {
        Self {
            commit: proof.commit.as_ref().map(hex),
            log_hash: proof.log_hash.as_ref().map(hex),
            attempt: proof.attempt,
            recorded: Some(proof.recorded.into()),
            ids: Some(proof.ids.into()),
            settings: proof.settings.map(Item::from),
            evidence: proof.evidence.into_iter().map(Item::from).collect(),
        }
    }
}

impl From<ProvenItem> for Item {
    fn from(item: ProvenItem) -> Self {
        Self {
            sha256: hex(&item.sha256),
            bytes: item.bytes,
            check: Some(item.verdict.into()),
        }
    }
}

impl From<Verdict> for Check {
    fn from(verdict: Verdict) -> Self {
        let (result, reason) = match verdict {
            Verdict::Held => (check::Result::Held, String::new()),
            Verdict::Failed(reason) => (check::Result::Failed, reason),
            Verdict::Unknown(reason) => (check::Result::Unknown, reason),
        };
        Self {
            result: result.into(),
            reason,
        }
    }
}
