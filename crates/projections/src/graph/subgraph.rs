//! A scan's graph as a stream: nodes in the order in which they were met, edges by subject.

use jiff::Timestamp;
use mirage_domain::id::{EntityId, ScanId};
use mirage_domain::relation::Relation;
use serde::Serialize;

use super::neighbors::modules;
use super::nodes::{Name, Node, name};
use super::page::Among;
use super::reader::Reader;
use crate::catalog::Sql;
use crate::error::Cause;
use crate::row::{Row, parsed, time};
use crate::{Error, PAGE_ROWS_MAX, Value};

/// A relation between two entities, however many claims assert it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Edge {
    pub subject: EntityId,
    pub relation: Relation,
    pub object: EntityId,
    pub findings: u64,
    /// Of the surest claim, in percent.
    pub confidence: u8,
    pub modules: Vec<String>,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
}

const MET: &str = "SELECT entity, kind, key, cursor FROM nodes
    WHERE scan = ? AND workspace = ? AND cursor > ? AND cursor <= ? ORDER BY cursor LIMIT ?";

const EDGES: &str = "SELECT c.subject AS subject, c.relation AS relation, c.object AS object,
        count(DISTINCT c.finding) AS findings, max(c.confidence) AS confidence,
        json_group_array(DISTINCT c.module) AS modules,
        min(c.observed_at) AS first_seen, max(c.observed_at) AS last_seen
    FROM claims c WHERE c.subject = ? AND c.subject <> c.object";

impl Reader<'_> {
    /// Every node of a scan, one at a time.
    pub fn each_node(
        &self,
        scan: &ScanId,
        mut take: impl FnMut(Node) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let among = Among {
            scan: Some(scan.clone()),
            ..Among::default()
        };
        self.each_met(scan, |name| match self.described(name, &among)? {
            Some(node) => take(node),
            None => Ok(()),
        })
    }

    /// Every edge of a scan, one at a time.
    pub fn each_edge(
        &self,
        scan: &ScanId,
        mut take: impl FnMut(Edge) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let among = Among {
            scan: Some(scan.clone()),
            ..Among::default()
        };
        self.each_met(scan, |name| {
            let sql = self.standing(Sql::new(EDGES, [name.entity_id.into()]), &among);
            let order = "GROUP BY c.object, c.relation ORDER BY c.object, c.relation";
            self.each(&sql.and::<0>(order, []), edge, &mut take)
        })
    }

    /// Every entity that a scan met, whether it stands or not, in the order of the log.
    pub(super) fn each_met(
        &self,
        scan: &ScanId,
        mut take: impl FnMut(Name) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut after = 0;
        loop {
            let values = [
                scan.into(),
                self.workspace(),
                Value::Integer(after),
                self.last(),
                PAGE_ROWS_MAX.into(),
            ];
            let page = self.all(&Sql::new(MET, values), |row| {
                Ok((row.get::<_, i64>("cursor")?, name(row)?))
            })?;
            let is_last = page.len() < PAGE_ROWS_MAX as usize;
            for (cursor, name) in page {
                after = cursor;
                take(name)?;
            }
            if is_last {
                return Ok(());
            }
        }
    }
}

fn edge(row: &Row<'_>) -> Result<Edge, Cause> {
    Ok(Edge {
        subject: EntityId(row.get("subject")?),
        relation: parsed(row, "relation")?,
        object: EntityId(row.get("object")?),
        findings: row.get::<_, i64>("findings")? as u64,
        confidence: row.get("confidence")?,
        modules: modules(row)?,
        first_seen: time(row, "first_seen")?,
        last_seen: time(row, "last_seen")?,
    })
}
