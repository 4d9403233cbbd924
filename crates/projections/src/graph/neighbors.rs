//! Neighbours: the entities that claims join to one, counted by kind, and listed in pages.
//!
//! A list is ordered by the neighbour's id, as the indexes are, so that a page costs what it holds.

use jiff::Timestamp;
use mirage_domain::entity::Kind;
use mirage_domain::id::{EntityId, Position};
use mirage_domain::relation::{Direction, Relation};
use serde::Serialize;

use super::nodes::{Name, Node, name};
use super::page::{After, Among, Expanded, Page};
use super::reader::Reader;
use crate::catalog::Sql;
use crate::error::Cause;
use crate::row::{Row, parsed, parsed_option, time};
use crate::{Error, Value};

/// Most neighbours that are counted by kind; a hub may have millions.
pub const COUNTED_MAX: u32 = 100_000;

/// One relation to one neighbour, however many claims assert it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Neighbor {
    pub relation: Relation,
    /// `out`: the entity asked about is the subject.
    pub direction: Direction,
    #[serde(flatten)]
    pub name: Name,
    pub findings: u64,
    /// Of the surest claim, in percent.
    pub confidence: u8,
    pub modules: Vec<String>,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
}

/// How many neighbours are of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct KindCount {
    pub kind: Kind,
    pub count: u64,
}

/// Neighbours by kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kinds {
    pub kinds: Vec<KindCount>,
    /// False if there are more than [`COUNTED_MAX`] neighbours, and the counts are of so many of them.
    pub is_whole: bool,
    pub at: Position,
}

/// An entity, its neighbours by kind, and a page of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Neighbors {
    pub node: Node,
    pub counts: Kinds,
    pub page: Expanded,
}

/// One direction of an entity's claims: its statements, which end is the neighbour.
struct Side {
    /// A row per neighbour and relation.
    joined: &'static str,
    grouped: &'static str,
    /// Ids of neighbours.
    others: &'static str,
    of_kind: &'static str,
    after: &'static str,
    only: &'static str,
}

macro_rules! side {
    ($way:literal, $me:literal, $other:literal) => {
        Side {
            joined: concat!(
                "SELECT c.",
                $other,
                " AS other, c.relation AS relation, '",
                $way,
                "' AS way,
                    count(DISTINCT c.finding) AS findings, max(c.confidence) AS confidence,
                    json_group_array(DISTINCT c.module) AS modules,
                    min(c.observed_at) AS first_seen, max(c.observed_at) AS last_seen
                FROM claims c WHERE c.",
                $me,
                " = ? AND c.subject <> c.object"
            ),
            grouped: concat!(
                "GROUP BY c.",
                $other,
                ", c.relation ORDER BY c.",
                $other,
                ", c.relation LIMIT ?) e"
            ),
            others: concat!(
                "SELECT c.",
                $other,
                " AS other FROM claims c WHERE c.",
                $me,
                " = ? AND c.subject <> c.object"
            ),
            of_kind: concat!(
                "AND (SELECT n.kind FROM nodes n WHERE n.entity = c.",
                $other,
                " LIMIT 1) IN"
            ),
            after: concat!("AND (c.", $other, ", c.relation, '", $way, "') > (?, ?, ?)"),
            only: concat!("AND c.", $other, " = ?"),
        }
    };
}
/// Both walk an index in the order of the neighbours' ids.
static OUTWARD: Side = side!("out", "subject", "object");
static INWARD: Side = side!("in", "object", "subject");

/// Which neighbours a list is narrowed to.
#[derive(Clone, Copy)]
enum Part {
    All,
    After(After),
    Only(EntityId),
}

impl Neighbor {
    /// By the neighbour's id, as the indexes are.
    fn order(&self) -> (EntityId, &'static str, &'static str) {
        (
            self.name.entity_id,
            self.relation.as_str(),
            self.direction.as_str(),
        )
    }
}

impl Reader<'_> {
    /// An entity with its neighbours by kind and a page of them; none if the entity does not stand.
    pub fn neighbors(
        &self,
        id: EntityId,
        among: &Among,
        page: &Page,
    ) -> Result<Option<Neighbors>, Error> {
        let Some(node) = self.node(id, among)? else {
            return Ok(None);
        };
        Ok(Some(Neighbors {
            node,
            counts: self.kinds(id, among)?,
            page: self.expand(id, among, page)?,
        }))
    }

    /// How many neighbours an entity has, by kind.
    pub fn kinds(&self, id: EntityId, among: &Among) -> Result<Kinds, Error> {
        self.kinds_within(id, among, COUNTED_MAX)
    }

    pub(super) fn kinds_within(
        &self,
        id: EntityId,
        among: &Among,
        counted_max: u32,
    ) -> Result<Kinds, Error> {
        let around = Sql::new(
            "SELECT kind, count(*) AS count FROM (
                SELECT (SELECT n.kind FROM nodes n WHERE n.entity = e.other LIMIT 1) AS kind FROM (",
            [],
        );
        let sql = self
            .others(around, id, among, counted_max)
            .and::<0>(") e) GROUP BY kind ORDER BY kind", []);
        let kinds = self.all(&sql, |row| {
            let count = row.get::<_, i64>("count")? as u64;
            Ok(parsed_option(row, "kind")?.map(|kind| KindCount { kind, count }))
        })?;
        let kinds: Vec<KindCount> = kinds.into_iter().flatten().collect();
        let counted: u64 = kinds.iter().map(|kind| kind.count).sum();
        Ok(Kinds {
            kinds,
            is_whole: counted < counted_max.into(),
            at: self.position(),
        })
    }

    /// A page of an entity's neighbours, in the order of their ids; a row per neighbour, relation and direction.
    pub fn expand(&self, id: EntityId, among: &Among, page: &Page) -> Result<Expanded, Error> {
        let mark = page.after.map(|after| after.checked(self.position()));
        let part = mark.transpose()?.map_or(Part::All, Part::After);
        let mut rows = self.joined(id, among, part, page.rows() + 1)?;
        let is_more = rows.len() > page.rows();
        rows.truncate(page.rows());
        let last = rows.last().filter(|_| is_more);
        Ok(Expanded {
            next: last.map(|last| After::of(self.position(), last)),
            rows,
            at: self.position(),
        })
    }

    /// All that joins two entities, seen from the first.
    pub(super) fn between(
        &self,
        id: EntityId,
        other: EntityId,
        among: &Among,
    ) -> Result<Vec<Neighbor>, Error> {
        self.joined(id, among, Part::Only(other), 2 * Relation::ALL.len())
    }

    /// Ids of an entity's neighbours, at most `limit`, in their order.
    pub(super) fn around(
        &self,
        id: EntityId,
        among: &Among,
        limit: u32,
    ) -> Result<Vec<EntityId>, Error> {
        let sql = self.others(Sql::new("", []), id, among, limit);
        self.all(&sql, |row| Ok(EntityId(row.get("other")?)))
    }

    fn others(&self, mut sql: Sql, id: EntityId, among: &Among, limit: u32) -> Sql {
        for (lead, side) in [("", &OUTWARD), ("UNION", &INWARD)] {
            let claims = sql.and::<0>(lead, []).and(side.others, [id.into()]);
            sql = of_kind(self.standing(claims, among), side, among);
        }
        sql.and("ORDER BY other LIMIT ?", [limit.into()])
    }

    fn joined(
        &self,
        id: EntityId,
        among: &Among,
        part: Part,
        limit: usize,
    ) -> Result<Vec<Neighbor>, Error> {
        let mut rows = Vec::new();
        // Two statements: SQLite sorts all that a compound one groups, where each half follows its index.
        for side in [&OUTWARD, &INWARD] {
            let sql = Sql::new("SELECT e.*, n.entity, n.kind, n.key FROM (", []);
            let claims = self.standing(sql.and(side.joined, [id.into()]), among);
            let claims = of_kind(claims, side, among);
            let claims = match part {
                Part::All => claims,
                Part::After(after) => claims.and(side.after, mark(after)),
                Part::Only(other) => claims.and(side.only, [other.into()]),
            };
            let sql = claims
                .and(side.grouped, [Value::Integer(limit as i64)])
                .and(NAMED, [self.workspace(), self.last()]);
            rows.extend(self.all(&sql, neighbor)?);
        }
        rows.sort_by(|a, b| a.order().cmp(&b.order()));
        rows.truncate(limit);
        Ok(rows)
    }
}

/// Each row with the name of its neighbour, from the first node of it.
const NAMED: &str = "JOIN nodes n ON n.entity = e.other AND n.cursor = (
        SELECT min(m.cursor) FROM nodes m WHERE m.entity = e.other AND m.workspace = ? AND m.cursor <= ?)";

fn of_kind(sql: Sql, side: &Side, among: &Among) -> Sql {
    let kinds = among.kinds.iter().map(|kind| kind.as_str().into());
    sql.one_of(side.of_kind, kinds)
}

fn mark(after: After) -> [Value; 3] {
    let (relation, direction) = (after.relation.as_str(), after.direction.as_str());
    [after.entity.into(), relation.into(), direction.into()]
}

fn neighbor(row: &Row<'_>) -> Result<Neighbor, Cause> {
    Ok(Neighbor {
        relation: parsed(row, "relation")?,
        direction: match row.get_ref("way")?.as_str()? {
            "in" => Direction::In,
            _ => Direction::Out,
        },
        name: name(row)?,
        findings: row.get::<_, i64>("findings")? as u64,
        confidence: row.get("confidence")?,
        modules: modules(row)?,
        first_seen: time(row, "first_seen")?,
        last_seen: time(row, "last_seen")?,
    })
}

/// Names of modules, sorted.
pub(super) fn modules(row: &Row<'_>) -> Result<Vec<String>, Cause> {
    // What the store wrote as JSON reads back.
    let mut names: Vec<String> =
        serde_json::from_str(row.get_ref("modules")?.as_str()?).unwrap_or_default();
    names.sort_unstable();
    Ok(names)
}
