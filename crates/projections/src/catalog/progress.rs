//! Progress: one scan with its modules, failures, remarks, limits, and why it is still running.

use mirage_domain::id::{Position, ScanId};
use serde::Serialize;

use super::counts::Count;
use super::page::Page;
use super::reader::{Reader, position};
use super::scans::ScanRow;
use super::sql::Sql;
use super::tasks::{TaskFilter, TaskRow};
use crate::{Error, PAGE_ROWS_MAX, Value};

/// How far a module is with a scan, in tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Module {
    pub module: String,
    pub scheduled: u64,
    pub done: u64,
    /// Failed and given up.
    pub failed: u64,
    /// Revoked, or split into tasks of their own.
    pub withdrawn: u64,
    pub open: u64,
    pub findings: u64,
}

/// Equal remarks, counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    pub code: String,
    pub rule: String,
    pub count: u64,
}

/// A limit that cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limited {
    pub limit: String,
    pub value: u64,
    pub position: Position,
}

/// One scan with all that is counted about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScanDetail {
    #[serde(flatten)]
    pub scan: ScanRow,
    pub entities_by_kind: Vec<Count>,
    pub modules: Vec<Module>,
    pub failures_by_reason: Vec<Count>,
    pub remarks: Vec<Remark>,
    pub limits: Vec<Limited>,
    /// Why it is still running: oldest first, at most [`PAGE_ROWS_MAX`].
    pub open: Vec<TaskRow>,
}

const MODULES: &str = "SELECT module, count(*) AS scheduled,
    sum(CASE WHEN ending = 'task.finished' THEN 1 ELSE 0 END) AS done,
    sum(CASE WHEN ending IN ('task.failed', 'task.given_up', 'plan.gave_up') THEN 1 ELSE 0 END) AS failed,
    sum(CASE WHEN ending IN ('task.revoked', 'plan.revoked', 'plan.split') THEN 1 ELSE 0 END) AS withdrawn,
    sum(CASE WHEN ending IS NULL THEN 1 ELSE 0 END) AS open
    FROM (SELECT t.module AS module, (
        SELECT c.change FROM task_changes c
        WHERE c.task = t.task AND c.cursor <= ? AND c.change NOT IN ('task.started', 'task.restarted')
        ORDER BY CASE WHEN c.change LIKE 'plan.%' THEN 1 ELSE 0 END, c.cursor LIMIT 1) AS ending
        FROM tasks t WHERE t.scan = ? AND t.cursor <= ?) AS ended
    GROUP BY module ORDER BY module";

impl Reader<'_> {
    /// One scan with all that is counted about it.
    pub fn scan(&self, id: &ScanId) -> Result<Option<ScanDetail>, Error> {
        let Some(scan) = self.scan_row(id)? else {
            return Ok(None);
        };
        let open = TaskFilter {
            scan: Some(id.clone()),
            is_open: Some(true),
            ..TaskFilter::default()
        };
        Ok(Some(ScanDetail {
            scan,
            entities_by_kind: self.entities_by_kind(id)?,
            modules: self.modules(id)?,
            failures_by_reason: self.failures_by_reason(id)?,
            remarks: self.remarks(id)?,
            limits: self.limits(id)?,
            open: self.tasks(&open, &Page::first(PAGE_ROWS_MAX))?.rows,
        }))
    }

    fn modules(&self, id: &ScanId) -> Result<Vec<Module>, Error> {
        let findings = self.findings_by_module(id)?;
        let sql = Sql::new(MODULES, [self.last(), id.into(), self.last()]);
        self.all(sql, |row| {
            let module: String = row.get("module")?;
            let number = |column| row.get::<_, i64>(column).map(|number| number as u64);
            let found = findings.iter().find(|count| count.name == module);
            Ok(Module {
                scheduled: number("scheduled")?,
                done: number("done")?,
                failed: number("failed")?,
                withdrawn: number("withdrawn")?,
                open: number("open")?,
                findings: found.map_or(0, |found| found.count),
                module,
            })
        })
    }

    fn remarks(&self, id: &ScanId) -> Result<Vec<Remark>, Error> {
        let sql = Sql::new(
            "SELECT code, rule, sum(count) AS count FROM remarks WHERE scan = ? AND cursor <= ?
             GROUP BY code, rule ORDER BY code, rule LIMIT ?",
            [id.into(), self.last(), PAGE_ROWS_MAX.into()],
        );
        self.all(sql, |row| {
            Ok(Remark {
                code: row.get("code")?,
                rule: row.get("rule")?,
                count: row.get::<_, i64>("count")? as u64,
            })
        })
    }

    fn limits(&self, id: &ScanId) -> Result<Vec<Limited>, Error> {
        let sql = Sql::new(
            "SELECT * FROM limits WHERE scan = ? AND cursor <= ? ORDER BY cursor LIMIT ?",
            [Value::from(id), self.last(), PAGE_ROWS_MAX.into()],
        );
        self.all(sql, |row| {
            Ok(Limited {
                limit: row.get("kind")?,
                value: row.get::<_, i64>("value")? as u64,
                position: position(row)?,
            })
        })
    }
}
