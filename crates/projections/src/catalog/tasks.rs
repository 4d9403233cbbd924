//! Tasks: one row each, its state folded from what the plan and its own stream say.

use std::fmt;

use jiff::Timestamp;
use mirage_domain::id::{Digest, ModuleName, Position, ScanId, TaskId};
use serde::Serialize;

use super::page::{Listed, Page};
use super::reader::{Reader, page_by, position};
use super::sql::Sql;
use crate::error::Cause;
use crate::row::{Row, parsed, parsed_option, time};
use crate::{Error, Value};

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// Scheduled; no worker has said anything.
    Scheduled,
    Running,
    Finished,
    Failed,
    Revoked,
    GivenUp,
    /// Its inputs became tasks of their own.
    Split,
}

impl TaskState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Revoked => "revoked",
            Self::GivenUp => "given-up",
            Self::Split => "split",
        }
    }

    pub fn is_open(self) -> bool {
        matches!(self, Self::Scheduled | Self::Running)
    }

    /// What a change makes of a task.
    fn of(change: &str) -> Self {
        match change {
            "task.finished" => Self::Finished,
            "task.failed" => Self::Failed,
            "task.revoked" | "plan.revoked" => Self::Revoked,
            "task.given_up" | "plan.gave_up" => Self::GivenUp,
            "plan.split" => Self::Split,
            "task.started" | "task.restarted" => Self::Running,
            _ => Self::Scheduled,
        }
    }

    /// The first end in the task's own stream counts before what the plan said of it.
    fn rank(change: &str) -> u8 {
        match Self::of(change).is_open() {
            false if change.starts_with("task.") => 2,
            false => 1,
            true => 0,
        }
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which tasks are wanted.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    pub scan: Option<ScanId>,
    pub modules: Vec<ModuleName>,
    /// Only those that are not over, or only those that are.
    pub is_open: Option<bool>,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskRow {
    pub task_id: TaskId,
    pub scan_id: ScanId,
    pub module: String,
    pub module_version: u32,
    pub inputs: u64,
    pub instead_of: Option<TaskId>,
    pub state: TaskState,
    /// The attempt that runs or ran last; 0 before the first word of a worker.
    pub attempts: u32,
    /// Why it failed, was restarted or revoked.
    pub reason: Option<String>,
    pub scheduled_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub requests: u64,
    pub bytes_received: u64,
    pub duration_ms: u64,
    pub failures: u64,
    /// Under which settings it ran; evidence.
    pub settings: Option<Digest>,
    pub position: Position,
}

struct Change {
    change: String,
    attempt: Option<u32>,
    reason: Option<String>,
    settings: Option<[u8; 32]>,
    cost: [i64; 4],
    changed_at: Timestamp,
}

const ENDS: &str = "SELECT 1 FROM task_changes e WHERE e.task = t.task AND e.cursor <= ?
    AND e.change NOT IN ('task.started', 'task.restarted')";

impl Reader<'_> {
    /// Tasks in the order in which they were scheduled.
    pub fn tasks(&self, filter: &TaskFilter, page: &Page) -> Result<Listed<TaskRow>, Error> {
        let text = |module: &ModuleName| Value::from(module.as_str().to_owned());
        let sql = Sql::new(
            "SELECT t.* FROM tasks t WHERE t.workspace = ?",
            [self.workspace()],
        )
        .maybe("AND t.scan = ?", filter.scan.as_ref().map(Value::from))
        .one_of("AND t.module IN", filter.modules.iter().map(text));
        let sql = match filter.is_open {
            None => sql,
            Some(true) => sql
                .and::<0>("AND NOT EXISTS (", [])
                .and(ENDS, [self.last()])
                .and::<0>(")", []),
            Some(false) => sql
                .and::<0>("AND EXISTS (", [])
                .and(ENDS, [self.last()])
                .and::<0>(")", []),
        };
        let mut listed = self.page(sql, page, page_by!("t"), scheduled)?;
        for task in &mut listed.rows {
            self.fold_changes(task)?;
        }
        Ok(listed)
    }

    /// One task by its whole id.
    pub fn task(&self, id: &TaskId) -> Result<Option<TaskRow>, Error> {
        let sql = Sql::new(
            "SELECT t.* FROM tasks t WHERE t.task = ? AND t.workspace = ? AND t.cursor <= ?",
            [id.into(), self.workspace(), self.last()],
        );
        let mut found = self.one(sql, scheduled)?;
        if let Some(task) = &mut found {
            self.fold_changes(task)?;
        }
        Ok(found)
    }

    fn fold_changes(&self, task: &mut TaskRow) -> Result<(), Error> {
        let sql = Sql::new(
            "SELECT * FROM task_changes WHERE task = ? AND cursor <= ? ORDER BY cursor",
            [(&task.task_id).into(), self.last()],
        );
        let mut best = 0;
        for change in self.all(sql, change)? {
            task.attempts = change
                .attempt
                .map_or(task.attempts, |attempt| attempt.max(task.attempts));
            task.settings = change.settings.map(Digest).or(task.settings);
            let rank = TaskState::rank(&change.change);
            // Among equals the first end stands, but the newest start.
            if rank > best || (rank == 0 && best == 0) {
                best = rank;
                apply(task, change);
            }
        }
        Ok(())
    }
}

fn apply(task: &mut TaskRow, change: Change) {
    task.state = TaskState::of(&change.change);
    task.reason = change.reason;
    task.ended_at = (!task.state.is_open()).then_some(change.changed_at);
    let [requests, bytes_received, duration_ms, failures] = change.cost.map(|cost| cost as u64);
    (task.requests, task.bytes_received) = (requests, bytes_received);
    (task.duration_ms, task.failures) = (duration_ms, failures);
}

fn scheduled(row: &Row<'_>) -> Result<TaskRow, Cause> {
    Ok(TaskRow {
        task_id: parsed(row, "task")?,
        scan_id: parsed(row, "scan")?,
        module: row.get("module")?,
        module_version: row.get("module_version")?,
        inputs: row.get::<_, i64>("inputs")? as u64,
        instead_of: parsed_option(row, "instead_of")?,
        state: TaskState::Scheduled,
        attempts: 0,
        reason: None,
        scheduled_at: time(row, "scheduled_at")?,
        ended_at: None,
        requests: 0,
        bytes_received: 0,
        duration_ms: 0,
        failures: 0,
        settings: None,
        position: position(row)?,
    })
}

fn change(row: &Row<'_>) -> Result<Change, Cause> {
    Ok(Change {
        change: row.get("change")?,
        attempt: row.get("attempt")?,
        reason: row.get("reason")?,
        settings: row.get("settings")?,
        cost: [
            row.get("requests")?,
            row.get("bytes_received")?,
            row.get("duration_ms")?,
            row.get("failures")?,
        ],
        changed_at: time(row, "changed_at")?,
    })
}
