//! Entities: what was found, once each, with its claims and relations.
//!
//! The table `entities` holds where each entity was first claimed in each scan, so a list is one walk along an index;
//! kind and key stand in that claim. An entity is in scope once one of its findings is.

use jiff::Timestamp;
use mirage_domain::entity::Kind;
use mirage_domain::id::{EntityId, Position, ScanId};
use mirage_domain::relation::{Direction, Relation};
use serde::Serialize;

use super::findings::{FindingFilter, FindingRow};
use super::page::{Listed, Page};
use super::reader::{Reader, page_by, position};
use super::sql::Sql;
use crate::db::stands;
use crate::error::Cause;
use crate::row::{Row, parsed, time};
use crate::{Error, PAGE_ROWS_MAX, Value};

/// Which entities are wanted; the default is all of the workspace, over its scans once each.
#[derive(Debug, Clone, Default)]
pub struct EntityFilter {
    pub scan: Option<ScanId>,
    pub kinds: Vec<Kind>,
    pub in_scope: Option<bool>,
    /// Only what that scan has not met.
    pub new_since: Option<ScanId>,
}

/// One entity, over the scans that were asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntityRow {
    pub entity_id: EntityId,
    pub kind: Kind,
    /// None once it was erased.
    pub key: Option<String>,
    pub in_scope: bool,
    pub findings: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// Where it was first claimed.
    pub position: Position,
    #[serde(skip)]
    scan: Option<ScanId>,
}

/// A relation of an entity to another, however many findings assert it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Edge {
    pub relation: Relation,
    /// `out`: the entity asked about is the subject.
    pub direction: Direction,
    pub entity_id: EntityId,
    pub kind: Kind,
    pub key: Option<String>,
    pub findings: u64,
}

/// One entity with what is said about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntityDetail {
    #[serde(flatten)]
    pub entity: EntityRow,
    /// The scans that met it, oldest first.
    pub scans: Vec<ScanId>,
    /// At most [`PAGE_ROWS_MAX`] each, oldest first; the lists have the rest.
    pub claims: Vec<FindingRow>,
    pub relations: Vec<Edge>,
}

const FIRST_CLAIMS: &str = "SELECT e.cursor AS cursor, e.entity AS entity, f.kind AS kind, f.key AS key, f.observed_at AS observed_at
    FROM entities e JOIN findings f ON f.cursor = e.cursor WHERE f.workspace = ?";

/// Claims first, in the order of the log: the store must not gather and sort all entities for one page.
const FIRST_IN_WORKSPACE: &str = "SELECT e.cursor AS cursor, e.entity AS entity, f.kind AS kind, f.key AS key, f.observed_at AS observed_at
    FROM findings f CROSS JOIN entities e
    WHERE f.workspace = ? AND e.entity = f.entity AND e.scan = f.scan AND e.cursor = f.cursor AND NOT EXISTS (
        SELECT 1 FROM entities b CROSS JOIN findings g
        WHERE b.entity = e.entity AND b.cursor < e.cursor AND g.cursor = b.cursor AND g.workspace = f.workspace)";

const IN_SCOPE: &str = concat!(
    "(SELECT 1 FROM findings i WHERE i.entity = e.entity AND i.workspace = f.workspace
    AND i.in_scope = 1 AND i.cursor <= ? AND i.scan = coalesce(?, i.scan) ",
    stands!("i"),
    ")"
);

/// Some claim of the entity stands, where there are any that do not.
const CLAIMED: &str = concat!(
    "AND (NOT EXISTS (SELECT 1 FROM fallen) OR EXISTS (
    SELECT 1 FROM findings s WHERE s.entity = e.entity AND s.workspace = f.workspace AND s.cursor <= ?
    AND s.scan = coalesce(?, s.scan) ",
    stands!("s"),
    "))"
);

const EDGES: &str = concat!(
    "SELECT relation, way, other, count(DISTINCT finding) AS findings, min(cursor) AS cursor FROM (
    SELECT relation, CASE direction WHEN 'out' THEN 'in' ELSE 'out' END AS way, parent_entity AS other, finding, cursor
    FROM findings i WHERE entity = ? AND parent_entity IS NOT NULL AND workspace = ? AND cursor <= ? ",
    stands!("i"),
    " UNION ALL
    SELECT relation, direction AS way, entity AS other, finding, cursor
    FROM findings o WHERE parent_entity = ? AND workspace = ? AND cursor <= ? ",
    stands!("o"),
    ") AS said
    GROUP BY relation, way, other ORDER BY min(cursor), relation, way, other LIMIT ?"
);

impl Reader<'_> {
    /// Entities in the order in which they were first claimed.
    pub fn entities(&self, filter: &EntityFilter, page: &Page) -> Result<Listed<EntityRow>, Error> {
        // A scan's entities come along their own index, a workspace's along the claims.
        let by = if filter.scan.is_some() {
            page_by!("e")
        } else {
            page_by!("f")
        };
        let mut listed = self.page(self.first_claims(filter), page, by, first_claim)?;
        for entity in &mut listed.rows {
            entity.scan = filter.scan.clone();
            self.summarise(entity)?;
        }
        Ok(listed)
    }

    pub(super) fn first_claims(&self, filter: &EntityFilter) -> Sql {
        let scan = || Value::from(filter.scan.as_ref().map(|scan| scan.as_str().to_owned()));
        let mut sql = match &filter.scan {
            Some(scan) => {
                Sql::new(FIRST_CLAIMS, [self.workspace()]).and("AND e.scan = ?", [scan.into()])
            }
            None => Sql::new(FIRST_IN_WORKSPACE, [self.workspace()]),
        };
        sql = sql.one_of(
            "AND f.kind IN",
            filter.kinds.iter().map(|kind| kind.as_str().into()),
        );
        sql = sql.and(CLAIMED, [self.last(), scan()]);
        if let Some(is_in) = filter.in_scope {
            let exists = if is_in {
                "AND EXISTS"
            } else {
                "AND NOT EXISTS"
            };
            sql = sql
                .and::<0>(exists, [])
                .and(IN_SCOPE, [self.last(), scan()]);
        }
        if let Some(other) = &filter.new_since {
            let not_met = "AND NOT EXISTS (SELECT 1 FROM entities o WHERE o.entity = e.entity AND o.scan = ? AND o.cursor <= ?)";
            sql = sql.and(not_met, [other.into(), self.last()]);
        }
        sql
    }

    /// One entity with its claims and relations over all scans of the workspace.
    pub fn entity(&self, id: EntityId) -> Result<Option<EntityDetail>, Error> {
        let sql = Sql::new(FIRST_CLAIMS, [self.workspace()]).and(
            "AND e.entity = ? AND e.cursor <= ?",
            [id.into(), self.last()],
        );
        let sql = sql
            .and(CLAIMED, [self.last(), Value::Null])
            .and::<0>("ORDER BY e.cursor LIMIT 1", []);
        let Some(mut entity) = self.one(sql, first_claim)? else {
            return Ok(None);
        };
        self.summarise(&mut entity)?;
        let filter = FindingFilter {
            entity: Some(id),
            ..FindingFilter::default()
        };
        Ok(Some(EntityDetail {
            entity,
            scans: self.scans_that_met(id)?,
            claims: self.findings(&filter, &Page::first(PAGE_ROWS_MAX))?.rows,
            relations: self.relations(id, PAGE_ROWS_MAX)?,
        }))
    }

    /// Relations of an entity over all scans of the workspace, oldest first.
    pub fn relations(&self, id: EntityId, limit: u32) -> Result<Vec<Edge>, Error> {
        let (me, of, last) = (|| id.into(), || self.workspace(), || self.last());
        let limit = limit.min(PAGE_ROWS_MAX).into();
        let sql = Sql::new(EDGES, [me(), of(), last(), me(), of(), last(), limit]);
        let mut edges = self.all(sql, |row| {
            let direction = match row.get::<_, String>("way")?.as_str() {
                "in" => Direction::In,
                _ => Direction::Out,
            };
            Ok(Edge {
                relation: parsed(row, "relation")?,
                direction,
                entity_id: EntityId(row.get("other")?),
                kind: Kind::Text,
                key: None,
                findings: row.get::<_, i64>("findings")? as u64,
            })
        })?;
        for edge in &mut edges {
            if let Some((kind, key)) = self.name_of(edge.entity_id)? {
                (edge.kind, edge.key) = (kind, key);
            }
        }
        Ok(edges)
    }

    /// Kind and key of an entity, as its first claim has them.
    pub(super) fn name_of(&self, id: EntityId) -> Result<Option<(Kind, Option<String>)>, Error> {
        let sql = Sql::new(FIRST_CLAIMS, [self.workspace()]).and(
            "AND e.entity = ? AND e.cursor <= ? ORDER BY e.cursor LIMIT 1",
            [id.into(), self.last()],
        );
        self.one(sql, |row| Ok((parsed(row, "kind")?, row.get("key")?)))
    }

    fn scans_that_met(&self, id: EntityId) -> Result<Vec<ScanId>, Error> {
        let sql = Sql::new(
            "SELECT e.scan AS scan FROM entities e JOIN findings f ON f.cursor = e.cursor
             WHERE e.entity = ? AND f.workspace = ? AND e.cursor <= ? ORDER BY e.cursor LIMIT ?",
            [
                id.into(),
                self.workspace(),
                self.last(),
                PAGE_ROWS_MAX.into(),
            ],
        );
        self.all(sql, |row| parsed(row, "scan"))
    }

    fn summarise(&self, entity: &mut EntityRow) -> Result<(), Error> {
        let sql = Sql::new(
            concat!(
                "SELECT count(DISTINCT finding) AS findings, max(in_scope) AS in_scope,
                    min(observed_at) AS first_seen, max(observed_at) AS last_seen
                 FROM findings f WHERE entity = ? AND workspace = ? AND cursor <= ? ",
                stands!("f")
            ),
            [entity.entity_id.into(), self.workspace(), self.last()],
        );
        let sql = sql.maybe("AND scan = ?", entity.scan.as_ref().map(Value::from));
        self.one(sql, |row| {
            entity.findings = row.get::<_, i64>("findings")? as u64;
            entity.in_scope = row.get("in_scope")?;
            entity.first_seen = time(row, "first_seen")?;
            entity.last_seen = time(row, "last_seen")?;
            Ok(())
        })?;
        Ok(())
    }
}

fn first_claim(row: &Row<'_>) -> Result<EntityRow, Cause> {
    let observed_at = time(row, "observed_at")?;
    Ok(EntityRow {
        entity_id: EntityId(row.get("entity")?),
        kind: parsed(row, "kind")?,
        key: row.get("key")?,
        in_scope: false,
        findings: 0,
        first_seen: observed_at,
        last_seen: observed_at,
        position: position(row)?,
        scan: None,
    })
}
