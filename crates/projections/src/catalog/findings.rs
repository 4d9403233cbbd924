//! Findings: one row each, however many claims were made of it.
//!
//! The newest claim not after the position gives a finding's task, scope, confidence, times and position. Attributes
//! are merged by name, the newest value of each; evidence is united, oldest first. So a later claim adds and never
//! takes away.

use jiff::Timestamp;
use mirage_domain::entity::Kind;
use mirage_domain::finding::Attributes;
use mirage_domain::id::{
    Cursor, Digest, EntityId, FindingId, ModuleName, Position, ScanId, TaskId,
};
use mirage_domain::relation::{Direction, Relation};
use serde::Serialize;

use super::page::{Listed, Page};
use super::reader::{Reader, page_by, position};
use super::sql::Sql;
use crate::db::stands;
use crate::error::Cause;
use crate::row::{Row, parsed, parsed_option, time};
use crate::{Error, PAGE_ROWS_MAX, Value};

/// From when on findings are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// After this cursor.
    Cursor(Cursor),
    /// Recorded at this time or later.
    Time(Timestamp),
}

/// Which findings are wanted; the default is all of the workspace. An empty list asks for nothing in particular.
#[derive(Debug, Clone, Default)]
pub struct FindingFilter {
    pub scan: Option<ScanId>,
    pub kinds: Vec<Kind>,
    pub modules: Vec<ModuleName>,
    pub entity: Option<EntityId>,
    pub in_scope: Option<bool>,
    pub since: Option<Since>,
    /// Only what that scan has not claimed: by module, parent entity, relation, direction and entity.
    pub new_since: Option<ScanId>,
    /// In percent.
    pub min_confidence: Option<u8>,
}

/// One finding, field by field as `mirage findings -o jsonl` prints it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FindingRow {
    pub finding_id: FindingId,
    pub scan_id: ScanId,
    pub task_id: TaskId,
    pub module: String,
    pub kind: Kind,
    /// None once it was erased.
    pub key: Option<String>,
    pub attributes: Attributes,
    /// None for a seed, as are direction and parent.
    pub relation: Option<Relation>,
    pub direction: Option<Direction>,
    pub parent_id: Option<FindingId>,
    pub in_scope: bool,
    pub confidence: u8,
    pub observed_at: Timestamp,
    pub recorded_at: Timestamp,
    pub position: Position,
    pub evidence: Vec<Digest>,
    #[serde(skip)]
    pub entity: EntityId,
    #[serde(skip)]
    pub parent_entity: Option<EntityId>,
    /// The scope's rule that decided.
    #[serde(skip)]
    pub rule: String,
    /// Of the claim, exactly.
    #[serde(skip)]
    pub cursor: i64,
}

/// The newest claim of each finding that stands, not after a position, of one workspace.
const NEWEST: &str = concat!(
    "SELECT f.* FROM findings f WHERE f.workspace = ? AND NOT EXISTS (
    SELECT 1 FROM findings n
    WHERE n.scan = f.scan AND n.finding = f.finding AND n.cursor > f.cursor AND n.cursor <= ?) ",
    stands!("f")
);

const NOT_CLAIMED_BY: &str = "AND NOT EXISTS (
    SELECT 1 FROM findings o
    WHERE o.entity = f.entity AND o.scan = ? AND o.workspace = f.workspace AND o.cursor <= ? AND o.module = f.module
    AND o.parent_entity IS NOT DISTINCT FROM f.parent_entity
    AND o.relation IS NOT DISTINCT FROM f.relation AND o.direction IS NOT DISTINCT FROM f.direction)";

impl Reader<'_> {
    /// Findings in the order of their newest claims.
    pub fn findings(
        &self,
        filter: &FindingFilter,
        page: &Page,
    ) -> Result<Listed<FindingRow>, Error> {
        let mut listed = self.page(self.matching(filter), page, page_by!("f"), claim)?;
        for finding in &mut listed.rows {
            self.merge_earlier(finding)?;
        }
        Ok(listed)
    }

    pub(super) fn matching(&self, filter: &FindingFilter) -> Sql {
        let text = |text: &str| Value::from(text.to_owned());
        let mut sql = Sql::new(NEWEST, [self.workspace(), self.last()])
            .maybe("AND f.scan = ?", filter.scan.as_ref().map(Value::from))
            .maybe("AND f.entity = ?", filter.entity.map(Value::from))
            .maybe("AND f.in_scope = ?", filter.in_scope.map(Value::from))
            .maybe(
                "AND f.confidence >= ?",
                filter.min_confidence.map(|least| u32::from(least).into()),
            )
            .one_of(
                "AND f.kind IN",
                filter.kinds.iter().map(|kind| kind.as_str().into()),
            )
            .one_of(
                "AND f.module IN",
                filter.modules.iter().map(|module| text(module.as_str())),
            );
        sql = match filter.since {
            None => sql,
            Some(Since::Cursor(cursor)) => sql.and("AND f.cursor > ?", [cursor.packed().into()]),
            Some(Since::Time(time)) => sql.and("AND f.recorded_at >= ?", [nanoseconds(time)]),
        };
        match &filter.new_since {
            None => sql,
            Some(scan) => sql.and(NOT_CLAIMED_BY, [scan.into(), self.last()]),
        }
    }

    /// One finding by its whole id.
    pub fn finding(&self, scan: &ScanId, id: FindingId) -> Result<Option<FindingRow>, Error> {
        let sql = Sql::new(
            "SELECT f.* FROM findings f WHERE f.workspace = ? AND f.cursor <= ? AND f.scan = ? AND f.finding = ?
             ORDER BY f.cursor DESC LIMIT 1",
            [self.workspace(), self.last(), scan.into(), id.into()],
        );
        let mut found = self.one(sql, claim)?;
        if let Some(finding) = &mut found {
            self.merge_earlier(finding)?;
        }
        Ok(found)
    }

    /// Every claim of one finding, oldest first, none merged into another.
    pub fn claims(
        &self,
        scan: &ScanId,
        id: FindingId,
        limit: u32,
    ) -> Result<Vec<FindingRow>, Error> {
        let limit = Value::from(limit.min(PAGE_ROWS_MAX));
        let sql = Sql::new(
            "SELECT f.* FROM findings f WHERE f.workspace = ? AND f.cursor <= ? AND f.scan = ? AND f.finding = ?
             ORDER BY f.cursor LIMIT ?",
            [self.workspace(), self.last(), scan.into(), id.into(), limit],
        );
        self.all(sql, claim)
    }

    fn merge_earlier(&self, finding: &mut FindingRow) -> Result<(), Error> {
        let sql = Sql::new(
            "SELECT attributes, evidence FROM findings WHERE scan = ? AND finding = ? AND cursor < ? ORDER BY cursor",
            [
                (&finding.scan_id).into(),
                finding.finding_id.into(),
                finding.cursor.into(),
            ],
        );
        let earlier = self.all(sql, |row| Ok((attributes(row)?, evidence(row)?)))?;
        if earlier.is_empty() {
            return Ok(());
        }
        let newest = (
            std::mem::take(&mut finding.attributes),
            std::mem::take(&mut finding.evidence),
        );
        for (attributes, evidence) in earlier.into_iter().chain([newest]) {
            finding.attributes.extend(attributes);
            for digest in evidence {
                if !finding.evidence.contains(&digest) {
                    finding.evidence.push(digest);
                }
            }
        }
        Ok(())
    }
}

fn nanoseconds(time: Timestamp) -> Value {
    let held = time.as_nanosecond().clamp(i64::MIN.into(), i64::MAX.into());
    Value::Integer(held as i64)
}

/// A claim as its row has it.
pub(super) fn claim(row: &Row<'_>) -> Result<FindingRow, Cause> {
    let direction: Option<String> = row.get("direction")?;
    let id = |column| row.get::<_, Option<[u8; 16]>>(column);
    Ok(FindingRow {
        finding_id: FindingId(row.get("finding")?),
        scan_id: parsed(row, "scan")?,
        task_id: parsed(row, "task")?,
        module: row.get("module")?,
        kind: parsed(row, "kind")?,
        key: row.get("key")?,
        attributes: attributes(row)?,
        relation: parsed_option(row, "relation")?,
        direction: direction.map(|direction| match direction.as_str() {
            "in" => Direction::In,
            _ => Direction::Out,
        }),
        parent_id: id("parent_finding")?.map(FindingId),
        in_scope: row.get("in_scope")?,
        confidence: row.get("confidence")?,
        observed_at: time(row, "observed_at")?,
        recorded_at: time(row, "recorded_at")?,
        position: position(row)?,
        evidence: evidence(row)?,
        entity: EntityId(row.get("entity")?),
        parent_entity: id("parent_entity")?.map(EntityId),
        rule: row.get("rule")?,
        cursor: row.get("cursor")?,
    })
}

fn attributes(row: &Row<'_>) -> Result<Attributes, Cause> {
    let text: Option<String> = row.get("attributes")?;
    // Erased attributes are none; what this program wrote as JSON reads back.
    Ok(text
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default())
}

fn evidence(row: &Row<'_>) -> Result<Vec<Digest>, Cause> {
    let bytes: Option<Vec<u8>> = row.get("evidence")?;
    let (digests, _) = bytes.as_deref().unwrap_or_default().as_chunks::<32>();
    Ok(digests.iter().map(|digest| Digest(*digest)).collect())
}
