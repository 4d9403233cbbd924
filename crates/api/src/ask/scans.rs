//! Scans: lists of them, one of them, and changes of what becomes of them.

use std::sync::Arc;

use mirage_domain::id::{Position, ScanId, StreamId, Version};
use mirage_domain::scan::{ArchiveScan, Command, PauseScan, ResumeScan, StopScan};
use mirage_projections::catalog::{Listed, Page, ScanFilter, ScanRow};
use mirage_workers::node::{self, Caller};
use serde::Deserialize;
use utoipa::ToSchema;

use super::start::{self, StartScan};
use crate::auth::Principal;
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::rest::ids;
use crate::rest::moment::Moment;

/// Which scans are asked for.
pub(crate) struct Scans {
    pub(crate) moment: Moment,
    /// Whether the past was not asked for; the pages behind the first one have a moment all the same.
    pub(crate) is_now: bool,
    pub(crate) filter: ScanFilter,
    pub(crate) page: Page,
}

/// Scans, oldest first.
pub(crate) async fn list(
    gateway: &Arc<Gateway>,
    who: &Principal,
    asked: Scans,
) -> Result<Listed<ScanRow>, Problem> {
    let (filter, page) = (asked.filter, asked.page);
    let listed = gateway.ask(who, &asked.moment, move |asking| {
        Ok(asking.catalog.scans(&filter, &page)?)
    });
    let mut listed = listed.await?;
    let mut rows = Vec::with_capacity(listed.rows.len());
    for row in listed.rows {
        rows.push(held(gateway, row, asked.is_now).await);
    }
    listed.rows = rows;
    Ok(listed)
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

/// One scan.
pub(crate) struct Found {
    pub(crate) row: ScanRow,
    pub(crate) as_of: Position,
    /// At which it can be changed now.
    pub(crate) version: Version,
}

/// The scan that an id means.
pub(crate) async fn get(
    gateway: &Arc<Gateway>,
    who: &Principal,
    moment: &Moment,
    scan: String,
) -> Result<Found, Problem> {
    let found = gateway.ask(who, moment, move |asking| {
        let id = ids::scan(asking, &scan)?;
        let absent = || Problem::new("no_such_scan", format!("`{scan}`"));
        let row = asking.catalog.scan_row(&id)?.ok_or_else(absent)?;
        Ok((row, asking.catalog.position()))
    });
    let (row, as_of) = found.await?;
    let stream = StreamId::scan(who.workspace(), &row.scan_id);
    let (_, tip) = gateway.commands(who).await?.scans.state(&stream).await?;
    Ok(Found {
        row: held(gateway, row, moment.at.is_none()).await,
        as_of,
        version: tip.map(|tip| tip.version).unwrap_or_default(),
    })
}

/// Starts a scan.
pub(crate) async fn start(
    gateway: &Gateway,
    who: &Principal,
    asked: StartScan,
    caller: &Caller,
) -> Result<(ScanId, Position), Problem> {
    let request = start::request(gateway, asked)?;
    let commands = gateway.commands(who).await?;
    commands.start(request, caller).await.map_err(of_command)
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
    pub(crate) state: Option<Wanted>,
    /// With `running`: inputs that failed are tried again.
    #[serde(default)]
    pub(crate) retry_failed: bool,
    /// Hidden from the list, or shown again.
    #[serde(default)]
    pub(crate) is_archived: Option<bool>,
}

impl ChangeScan {
    fn command(&self) -> Result<Command, Problem> {
        match (self.state, self.is_archived) {
            (Some(Wanted::Running), None) => Ok(Command::Resume(ResumeScan {
                failed: self.retry_failed,
            })),
            (Some(Wanted::Paused), None) => Ok(Command::Pause(PauseScan)),
            (Some(Wanted::Stopped), None) => Ok(Command::Stop(StopScan)),
            (None, Some(archived)) => Ok(Command::Archive(ArchiveScan { archived })),
            _ => Err(Problem::new("bad_body", "one of state and is_archived")),
        }
    }
}

/// Pauses, resumes, stops or archives a scan.
pub(crate) async fn change(
    gateway: &Arc<Gateway>,
    who: &Principal,
    scan: String,
    asked: &ChangeScan,
    caller: &Caller,
) -> Result<(ScanId, Position), Problem> {
    let command = asked.command()?;
    let moment = Moment::default();
    let found = gateway.ask(who, &moment, move |asking| ids::scan(asking, &scan));
    let scan_id = found.await?;
    let commands = gateway.commands(who).await?;
    let changed = commands.command(&scan_id, command, caller).await;
    Ok((scan_id, changed.map_err(of_command)?))
}

pub(crate) fn of_command(error: node::Error) -> Problem {
    match error {
        node::Error::Scope(error) => Problem::of("bad_scope", &error),
        node::Error::Evidence(error) => error.into(),
        node::Error::Read(error) => error.into(),
        node::Error::Absent(scan) => Problem::new("no_such_scan", scan),
        node::Error::Damaged { .. } => Problem::of("evidence_damaged", &error),
        node::Error::Command(error) => error.into(),
    }
}
