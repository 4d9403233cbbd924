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
use super::words::{Part, Told};
use crate::Error;
use crate::error::Cause;
use crate::row::{Row, parsed, parsed_option, time};

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
        let kinds = self
            .words()
            .others(&self.asked(among), id, Told::Kinds, counted_max);
        let kinds = self.all(&kinds, |row| {
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
        let around = self
            .words()
            .others(&self.asked(among), id, Told::Ids, limit);
        self.all(&around, |row| Ok(EntityId(row.get("other")?)))
    }

    fn joined(
        &self,
        id: EntityId,
        among: &Among,
        part: Part,
        limit: usize,
    ) -> Result<Vec<Neighbor>, Error> {
        let mut rows = Vec::new();
        for statement in self.words().joined(&self.asked(among), id, part, limit) {
            rows.extend(self.all(&statement, neighbor)?);
        }
        rows.sort_by(|a, b| a.order().cmp(&b.order()));
        rows.truncate(limit);
        Ok(rows)
    }
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
