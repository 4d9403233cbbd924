//! A scan's graph as a stream: nodes in the order in which they were met, edges by subject.

use jiff::Timestamp;
use mirage_domain::id::{EntityId, ScanId};
use mirage_domain::relation::Relation;
use serde::Serialize;

use super::neighbors::modules;
use super::nodes::{Name, Node, name};
use super::page::Among;
use super::reader::Reader;
use crate::error::Cause;
use crate::row::{Row, parsed, time};
use crate::{Error, PAGE_ROWS_MAX};

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
        self.each_met(scan, |names| self.each_described(names, &among, &mut take))
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
        self.each_met(scan, |names| {
            let ids: Vec<EntityId> = names.iter().map(|name| name.entity_id).collect();
            let statements = self.words().edges(&self.asked(&among), &ids);
            let mut statements = statements.iter();
            statements.try_for_each(|statement| self.each(statement, edge, &mut take))
        })
    }

    /// Every entity that a scan met, whether it stands or not, in the order of the log and some at a time.
    pub(super) fn each_met(
        &self,
        scan: &ScanId,
        mut take: impl FnMut(Vec<Name>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (mut after, all) = (0, Among::default());
        loop {
            let met = self
                .words()
                .met(&self.asked(&all), scan, after, PAGE_ROWS_MAX);
            let page = self.all(&met, |row| Ok((row.get::<_, i64>("cursor")?, name(row)?)))?;
            let is_last = page.len() < PAGE_ROWS_MAX as usize;
            after = page.last().map_or(after, |(cursor, _)| *cursor);
            take(page.into_iter().map(|(_, name)| name).collect())?;
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
