//! Scans: what was asked for, where each stands, what it has come to, and why it is still running.
//!
//! A state is the fold of the changes not after the position. Whether anybody works on a running scan is not in the
//! log: the caller knows the leases and says so by [`ScanRow::held`].

use std::fmt;

use jiff::Timestamp;
use mirage_domain::id::{Cursor, Digest, Position, ScanId};
use mirage_domain::module::Profile;
use serde::Serialize;

use super::page::{Listed, Page};
use super::reader::{Reader, page_by, position};
use super::sql::Sql;
use crate::Error;
use crate::error::Cause;
use crate::row::{Row, parsed, parsed_option, time};

/// Where a scan is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Running,
    Paused,
    Stopping,
    /// Not over, and nobody holds it.
    Interrupted,
    Finished,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Interrupted => "interrupted",
            Self::Finished => "finished",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which scans are wanted; archived ones are hidden by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScanFilter {
    pub with_archived: bool,
}

/// One scan, field by field as `mirage scans -o jsonl` prints it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScanRow {
    pub scan_id: ScanId,
    /// None once it was erased.
    pub name: Option<String>,
    /// Keys of the seeds that were reported, the first hundred.
    pub seeds: Vec<String>,
    pub profile: Profile,
    pub state: State,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub tasks: u64,
    pub findings: u64,
    pub entities: u64,
    pub failures: u64,
    /// Of the newest change of state.
    pub position: Position,
    #[serde(skip)]
    pub seeds_asked: u64,
    #[serde(skip)]
    pub is_archived: bool,
    #[serde(skip)]
    pub requested_at: Timestamp,
    /// Who asked.
    #[serde(skip)]
    pub actor: String,
    /// All settings without secrets: evidence.
    #[serde(skip)]
    pub settings: Digest,
    #[serde(skip)]
    pub origin: String,
    /// The scan that this one repeats or derives anew.
    #[serde(skip)]
    pub of_scan: Option<ScanId>,
    /// `completed`, `limited` or `stopped`, once it is finished.
    #[serde(skip)]
    pub outcome: Option<String>,
    #[serde(skip)]
    pub requests: u64,
}

impl ScanRow {
    /// Takes what the leases say: a scan that is not over and that nobody holds is interrupted. A paused one waits.
    pub fn held(mut self, is_held: bool) -> Self {
        if !is_held && matches!(self.state, State::Running | State::Stopping) {
            self.state = State::Interrupted;
        }
        self
    }
}

const ARCHIVED: &str = "AND coalesce((SELECT c.change FROM scan_changes c WHERE c.scan = s.scan AND c.cursor <= ?
    AND c.change IN ('archived', 'unarchived') ORDER BY c.cursor DESC LIMIT 1), 'unarchived') = 'unarchived'";

impl Reader<'_> {
    /// Scans in the order in which they were asked for.
    pub fn scans(&self, filter: &ScanFilter, page: &Page) -> Result<Listed<ScanRow>, Error> {
        let sql = Sql::new(
            "SELECT s.* FROM scans s WHERE s.workspace = ?",
            [self.workspace()],
        );
        let sql = match filter.with_archived {
            true => sql,
            false => sql.and(ARCHIVED, [self.last()]),
        };
        let mut listed = self.page(sql, page, page_by!("s"), request)?;
        for scan in &mut listed.rows {
            self.complete(scan)?;
        }
        Ok(listed)
    }

    /// The row of one scan.
    pub fn scan_row(&self, id: &ScanId) -> Result<Option<ScanRow>, Error> {
        let sql = Sql::new(
            "SELECT s.* FROM scans s WHERE s.scan = ? AND s.workspace = ? AND s.cursor <= ?",
            [id.into(), self.workspace(), self.last()],
        );
        let mut found = self.one(sql, request)?;
        if let Some(scan) = &mut found {
            self.complete(scan)?;
        }
        Ok(found)
    }

    fn complete(&self, scan: &mut ScanRow) -> Result<(), Error> {
        let sql = Sql::new(
            "SELECT * FROM scan_changes WHERE scan = ? AND cursor <= ? ORDER BY cursor",
            [(&scan.scan_id).into(), self.last()],
        );
        let changes = self.all(sql, |row| {
            let change: String = row.get("change")?;
            Ok((
                change,
                row.get("detail")?,
                row.get("cursor")?,
                time(row, "changed_at")?,
            ))
        })?;
        for (change, detail, cursor, at) in changes {
            scan.position = Cursor::unpacked(cursor).position;
            fold(scan, &change, detail, at);
        }
        let counts = self.counts(&scan.scan_id)?;
        (scan.tasks, scan.findings) = (counts.tasks, counts.findings);
        (scan.entities, scan.failures) = (counts.entities, counts.failures);
        scan.requests = counts.requests;
        scan.seeds = self.seeds(&scan.scan_id)?;
        Ok(())
    }
}

fn fold(scan: &mut ScanRow, change: &str, detail: Option<String>, at: Timestamp) {
    match change {
        "started" => (scan.state, scan.started_at) = (State::Running, Some(at)),
        "resumed" => scan.state = State::Running,
        "paused" => scan.state = State::Paused,
        "stop-requested" => scan.state = State::Stopping,
        "finished" => {
            (scan.state, scan.finished_at) = (State::Finished, Some(at));
            scan.outcome = detail;
        }
        "archived" => scan.is_archived = true,
        "unarchived" => scan.is_archived = false,
        _ => {}
    }
}

/// The request alone: running, until a change says otherwise.
fn request(row: &Row<'_>) -> Result<ScanRow, Cause> {
    let profile: String = row.get("profile")?;
    let profile = Profile::ALL.iter().find(|known| known.as_str() == profile);
    Ok(ScanRow {
        scan_id: parsed(row, "scan")?,
        name: row.get("name")?,
        seeds: Vec::new(),
        profile: profile.copied().unwrap_or_default(),
        state: State::Running,
        started_at: None,
        finished_at: None,
        tasks: 0,
        findings: 0,
        entities: 0,
        failures: 0,
        position: position(row)?,
        seeds_asked: row.get::<_, i64>("seeds")? as u64,
        is_archived: false,
        requested_at: time(row, "requested_at")?,
        actor: row.get("actor")?,
        settings: Digest(row.get("settings")?),
        origin: row.get("origin")?,
        of_scan: parsed_option(row, "of_scan")?,
        outcome: None,
        requests: 0,
    })
}
