//! Counts: how much there is of what, as of the reader's position.

use mirage_domain::id::ScanId;
use serde::Serialize;

use super::reader::Reader;
use super::sql::Sql;
use crate::db::stands;
use crate::{Error, Value};

/// A name and how many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    pub name: String,
    pub count: u64,
}

/// What a scan has come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub tasks: u64,
    pub findings: u64,
    pub entities: u64,
    /// Inputs that a module could not be asked about, and tasks that failed or were given up.
    pub failures: u64,
    pub requests: u64,
}

/// Failures that stand: those of a task's second end, which no careful writer makes, are not among them.
pub(super) const FAILURES: &str =
    "FROM failures x WHERE x.scan = ? AND x.cursor <= ? AND NOT EXISTS (
    SELECT 1 FROM task_changes e WHERE e.task = x.task AND e.cursor < x.cursor
    AND e.change IN ('task.finished', 'task.failed', 'task.revoked', 'task.given_up'))";

/// Of the entity `e`, some claim in its scan stands; without fallen findings nothing is looked up.
macro_rules! claimed {
    () => {
        concat!(
            "AND (NOT EXISTS (SELECT 1 FROM fallen) OR EXISTS (
            SELECT 1 FROM findings s WHERE s.entity = e.entity AND s.scan = e.scan AND s.cursor <= ? ",
            stands!("s"),
            "))"
        )
    };
}

/// Entities of a scan of which some claim stands: those that have none are few, and are gathered once.
macro_rules! of_scan {
    ($what:literal) => {
        concat!(
            $what,
            " FROM entities e WHERE e.scan = ? AND e.cursor <= ? AND e.entity NOT IN (
            SELECT w.entity FROM fallen x CROSS JOIN findings w
            WHERE w.scan = ? AND w.finding = x.finding AND NOT EXISTS (
                SELECT 1 FROM findings s WHERE s.entity = w.entity AND s.scan = w.scan AND s.cursor <= ? ",
            stands!("s"),
            "))"
        )
    };
}

/// The scan is the workspace's own: one look, whatever is counted.
const OWN: &str = "AND EXISTS (SELECT 1 FROM scans o WHERE o.scan = ? AND o.workspace = ?)";

const ENTITIES_OF_ALL: &str = concat!(
    "SELECT count(DISTINCT e.entity) FROM entities e JOIN scans o ON o.scan = e.scan
    WHERE o.workspace = ? AND e.cursor <= ? ",
    claimed!()
);

impl Reader<'_> {
    pub(super) fn counts(&self, scan: &ScanId) -> Result<Counts, Error> {
        let count = |text| self.number(Sql::new(text, [scan.into(), self.last()]));
        let failures = Sql::new("SELECT count(*)", []).and(FAILURES, [scan.into(), self.last()]);
        Ok(Counts {
            tasks: count("SELECT count(*) FROM tasks WHERE scan = ? AND cursor <= ?")?,
            findings: count(concat!(
                "SELECT count(*) FROM (SELECT DISTINCT finding FROM findings f WHERE scan = ? AND cursor <= ? ",
                stands!("f"),
                ") AS f"
            ))?,
            entities: self.number(Sql::new(of_scan!("SELECT count(*)"), self.twice(scan)))?,
            failures: self.number(failures)?,
            requests: count(
                "SELECT sum(c.requests) FROM tasks t JOIN task_changes c ON c.task = t.task
                 WHERE t.scan = ? AND c.cursor <= ?",
            )?,
        })
    }

    /// Entities of a scan by kind, most first.
    pub fn entities_by_kind(&self, scan: &ScanId) -> Result<Vec<Count>, Error> {
        let sql = Sql::new(
            of_scan!("SELECT e.kind AS name, count(*) AS count"),
            self.twice(scan),
        );
        let sql = sql.and(OWN, [scan.into(), self.workspace()]);
        self.counted(sql.and::<0>("GROUP BY e.kind ORDER BY count DESC, name", []))
    }

    /// Findings of a scan by module, most first.
    pub fn findings_by_module(&self, scan: &ScanId) -> Result<Vec<Count>, Error> {
        // A finding's id names its module: the claims of one have the same.
        let sql = Sql::new(
            concat!(
                "SELECT f.module AS name, count(*) AS count FROM (
                    SELECT finding, min(module) AS module FROM findings c WHERE scan = ? AND cursor <= ? ",
                stands!("c"),
                " GROUP BY finding) AS f WHERE 1 = 1"
            ),
            [scan.into(), self.last()],
        );
        let sql = sql.and(OWN, [scan.into(), self.workspace()]);
        self.counted(sql.and::<0>("GROUP BY f.module ORDER BY count DESC, name", []))
    }

    /// Failures of a scan by reason, most first.
    pub fn failures_by_reason(&self, scan: &ScanId) -> Result<Vec<Count>, Error> {
        let sql = Sql::new("SELECT x.reason AS name, count(*) AS count", []);
        let sql = sql.and(FAILURES, [scan.into(), self.last()]);
        self.counted(sql.and::<0>("GROUP BY x.reason ORDER BY count DESC, name", []))
    }

    fn twice(&self, scan: &ScanId) -> [Value; 4] {
        [scan.into(), self.last(), scan.into(), self.last()]
    }

    fn counted(&self, sql: Sql) -> Result<Vec<Count>, Error> {
        self.all(sql, |row| {
            Ok(Count {
                name: row.get("name")?,
                count: row.get::<_, i64>("count")? as u64,
            })
        })
    }

    /// How many scans, findings and entities the workspace has; findings and entities of several scans count once each.
    pub fn totals(&self) -> Result<[Count; 3], Error> {
        let count = |name: &str, text| {
            let values: [Value; 2] = [self.workspace(), self.last()];
            Ok::<_, Error>(Count {
                name: name.to_owned(),
                count: self.number(Sql::new(text, values))?,
            })
        };
        Ok([
            count(
                "scans",
                "SELECT count(*) FROM scans WHERE workspace = ? AND cursor <= ?",
            )?,
            count(
                "findings",
                concat!(
                    "SELECT count(DISTINCT finding) FROM findings f WHERE workspace = ? AND cursor <= ? ",
                    stands!("f")
                ),
            )?,
            Count {
                name: "entities".to_owned(),
                count: self.number(Sql::new(
                    ENTITIES_OF_ALL,
                    [self.workspace(), self.last(), self.last()],
                ))?,
            },
        ])
    }
}
