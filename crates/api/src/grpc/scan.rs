//! `ScanService`: which scans there are, how they are, and what people ask of them.

use std::sync::Arc;

use mirage_domain::id::Version;
use mirage_domain::module;
use mirage_projections::catalog::{ScanFilter, ScanRow, State};
use prost::Message;
use tonic::{Request, Response, Status};

use super::call::{Call, answered};
use super::convert::{fewer, list, moment, set, told_time};
use super::v1::change_scan_request::{Change, Precondition};
use super::v1::scan_service_server::ScanService;
use super::v1::{
    ChangeScanRequest, ChangeScanResponse, GetScanRequest, GetScanResponse, ListScansRequest,
    ListScansResponse, Profile, Scan, ScanState, StartScanRequest, StartScanResponse, WantedState,
};
use crate::ask::scans::{self, ChangeScan, Wanted};
use crate::ask::start::StartScan;
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::rest::moment::At;
use crate::rest::query::rows;

/// See the module's doc.
pub(super) struct Scans(pub(super) Arc<Gateway>);

#[tonic::async_trait]
impl ScanService for Scans {
    async fn list_scans(
        &self,
        request: Request<ListScansRequest>,
    ) -> Result<Response<ListScansResponse>, Status> {
        answered(request, |call| listed(&self.0, call)).await
    }

    async fn get_scan(
        &self,
        request: Request<GetScanRequest>,
    ) -> Result<Response<GetScanResponse>, Status> {
        answered(request, |call| got(&self.0, call)).await
    }

    async fn start_scan(
        &self,
        request: Request<StartScanRequest>,
    ) -> Result<Response<StartScanResponse>, Status> {
        answered(request, |call| started(&self.0, call)).await
    }

    async fn change_scan(
        &self,
        request: Request<ChangeScanRequest>,
    ) -> Result<Response<ChangeScanResponse>, Status> {
        answered(request, |call| changed(&self.0, call)).await
    }
}

async fn listed(
    gateway: &Arc<Gateway>,
    mut call: Call<ListScansRequest>,
) -> Result<ListScansResponse, Problem> {
    let asked = &mut call.asked;
    let token = std::mem::take(&mut asked.page_token);
    let size = std::mem::take(&mut asked.page_size);
    let (list, limit) = list(asked, size)?;
    let moment = moment(asked.moment.as_ref())?;
    let is_now = moment.at.is_none();
    let (after, mut moment, mut limit) = list.page(set(&token), limit, moment)?;
    loop {
        let scans = scans::Scans {
            moment: moment.clone(),
            is_now,
            filter: ScanFilter {
                with_archived: asked.with_archived,
            },
            page: rows(after, limit),
        };
        let listed = scans::list(gateway, &call.who, scans).await?;
        moment.at = Some(At::Position(listed.at));
        let answer = ListScansResponse {
            scans: listed.rows.into_iter().map(Scan::from).collect(),
            as_of: listed.at.0,
            next_page_token: list.cursor(listed.next).unwrap_or_default(),
        };
        match fewer(&answer, answer.scans.len()) {
            None => return Ok(answer),
            Some(fewer) => limit = fewer,
        }
    }
}

async fn got(
    gateway: &Arc<Gateway>,
    call: Call<GetScanRequest>,
) -> Result<GetScanResponse, Problem> {
    let moment = moment(call.asked.moment.as_ref())?;
    let found = scans::get(gateway, &call.who, &moment, call.asked.scan).await?;
    Ok(GetScanResponse {
        scan: Some(found.row.into()),
        as_of: found.as_of.0,
        version: found.version.0,
    })
}

async fn started(
    gateway: &Gateway,
    mut call: Call<StartScanRequest>,
) -> Result<StartScanResponse, Problem> {
    let key = std::mem::take(&mut call.asked.idempotency_key);
    let caller = call.writer(&key)?.caller(&call.asked.encode_to_vec(), None);
    let asked = wanted(call.asked)?;
    let (scan_id, position) = scans::start(gateway, &call.who, asked, &caller).await?;
    Ok(StartScanResponse {
        scan_id: scan_id.to_string(),
        position: position.0,
    })
}

fn wanted(asked: StartScanRequest) -> Result<StartScan, Problem> {
    let profile = match Profile::try_from(asked.profile) {
        Ok(Profile::Unspecified) => module::Profile::default(),
        Ok(Profile::Passive) => module::Profile::Passive,
        Ok(Profile::Standard) => module::Profile::Standard,
        Ok(Profile::Active) => module::Profile::Active,
        Err(error) => return Err(Problem::new("bad_value", format!("profile: {error}"))),
    };
    let ranges = asked.allow_private.iter().map(|range| {
        let wrong = |error| Problem::new("bad_value", format!("allow_private: {error}"));
        range.parse().map_err(wrong)
    });
    Ok(StartScan {
        allow_private: ranges.collect::<Result<_, _>>()?,
        seeds: asked.seeds,
        name: set(&asked.name).map(str::to_owned),
        profile,
        modules: asked.modules,
        exclude: asked.exclude,
        scope: asked.scope,
        depth: asked.depth,
        max_requests: asked.max_requests,
        max_time_s: asked.max_time_s,
        settings: asked.settings,
        consent: asked.consent,
    })
}

async fn changed(
    gateway: &Arc<Gateway>,
    mut call: Call<ChangeScanRequest>,
) -> Result<ChangeScanResponse, Problem> {
    let key = std::mem::take(&mut call.asked.idempotency_key);
    let at_version = expected(call.asked.precondition)?;
    let sent = call.asked.encode_to_vec();
    let caller = call.writer(&key)?.caller(&sent, at_version);
    let change = change(&call.asked)?;
    let changed = scans::change(gateway, &call.who, call.asked.scan, &change, &caller);
    let (scan_id, position) = changed.await?;
    Ok(ChangeScanResponse {
        scan_id: scan_id.to_string(),
        position: position.0,
    })
}

/// The version that a change is to be made at; `None`, whatever there is.
fn expected(precondition: Option<Precondition>) -> Result<Option<Version>, Problem> {
    match precondition {
        Some(Precondition::ExpectedVersion(version)) => Ok(Some(Version(version))),
        Some(Precondition::AnyVersion(true)) => Ok(None),
        Some(Precondition::AnyVersion(false)) | None => {
            let problem = Problem::new("precondition_missing", "no version is expected");
            Err(problem.try_this("send expected_version, as GetScan tells it, or any_version"))
        }
    }
}

fn change(asked: &ChangeScanRequest) -> Result<ChangeScan, Problem> {
    let state = match asked.change {
        Some(Change::State(state)) => Some(match WantedState::try_from(state) {
            Ok(WantedState::Running) => Wanted::Running,
            Ok(WantedState::Paused) => Wanted::Paused,
            Ok(WantedState::Stopped) => Wanted::Stopped,
            Ok(WantedState::Unspecified) | Err(_) => {
                let detail = format!("state: {state} is no state that a scan can be asked for");
                return Err(Problem::new("bad_value", detail));
            }
        }),
        Some(Change::IsArchived(_)) | None => None,
    };
    let is_archived = match asked.change {
        Some(Change::IsArchived(is_archived)) => Some(is_archived),
        Some(Change::State(_)) | None => None,
    };
    Ok(ChangeScan {
        state,
        retry_failed: asked.retry_failed,
        is_archived,
    })
}

impl From<ScanRow> for Scan {
    fn from(row: ScanRow) -> Self {
        Self {
            scan_id: row.scan_id.to_string(),
            name: row.name,
            seeds: row.seeds,
            profile: Profile::from(row.profile).into(),
            state: ScanState::from(row.state).into(),
            started_at: row.started_at.map(told_time),
            finished_at: row.finished_at.map(told_time),
            tasks: row.tasks,
            findings: row.findings,
            entities: row.entities,
            failures: row.failures,
            position: row.position.0,
        }
    }
}

impl From<module::Profile> for Profile {
    fn from(profile: module::Profile) -> Self {
        match profile {
            module::Profile::Passive => Self::Passive,
            module::Profile::Standard => Self::Standard,
            module::Profile::Active => Self::Active,
        }
    }
}

impl From<State> for ScanState {
    fn from(state: State) -> Self {
        match state {
            State::Running => Self::Running,
            State::Paused => Self::Paused,
            State::Stopping => Self::Stopping,
            State::Interrupted => Self::Interrupted,
            State::Finished => Self::Finished,
        }
    }
}
