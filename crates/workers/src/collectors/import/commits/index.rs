//! Which finding of the source hangs under which.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mirage_domain::entity::{Entity, Kind};
use mirage_domain::finding::Finding;
use mirage_domain::id::FindingId;
use mirage_domain::relation::{Direction, Relation};
use rusqlite::{OptionalExtension, params};

use super::super::relate::relate;
use super::super::scratch::{DEPTH_MAX, ROWS_MAX, Scratch, failed};
use super::super::{BadFile, Edge};

const TABLES: &str = "
    CREATE TABLE findings (
        id BLOB PRIMARY KEY, kind TEXT NOT NULL, key TEXT, parent BLOB, relation TEXT, direction TEXT NOT NULL
    ) WITHOUT ROWID, STRICT;
";

/// What hangs where, as far as it was told of it.
pub(super) struct Index {
    scratch: Scratch,
    rows: HashMap<FindingId, Option<Arc<Row>>>,
}

struct Row {
    /// None where the key was erased, or is none of its kind.
    entity: Option<Entity>,
    parent: Option<FindingId>,
    edge: Option<Edge>,
}

/// Where a finding hangs, and by which edge.
pub(super) struct Place {
    /// The links from the file down to the parent.
    pub(super) under: Vec<(Edge, Entity)>,
    pub(super) edge: Edge,
    /// Why it does not hang under the very parent that it names.
    pub(super) lacks: Option<Lack>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lack {
    /// The parent is not in the file; it hangs under the file.
    Parent,
    /// The parent cannot be told; it hangs under the nearest finding above that can.
    Erased,
    /// The parents go round in a circle, or too deep; it hangs under the file.
    Chain,
}

fn edge_of(finding: &Finding) -> Option<Edge> {
    Some((finding.relation?, finding.direction))
}

impl Index {
    pub(super) fn new() -> Result<Self, BadFile> {
        let (scratch, rows) = (Scratch::new(TABLES)?, HashMap::new());
        Ok(Self { scratch, rows })
    }

    /// Takes note of a finding and the entity that it names; later claims of the same hang where the first one does.
    pub(super) fn add(
        &mut self,
        finding: &Finding,
        entity: Option<&Entity>,
    ) -> Result<(), BadFile> {
        let insert = "INSERT OR IGNORE INTO findings VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let mut statement = self.scratch.db.prepare_cached(insert).map_err(failed)?;
        let row = params![
            finding.id.0,
            finding.kind.as_str(),
            entity.map(Entity::key),
            finding.parent.map(|parent| parent.finding.0),
            finding.relation.map(Relation::as_str),
            finding.direction.as_str(),
        ];
        statement.execute(row).map_err(failed)?;
        drop(statement);
        self.scratch.noted()
    }

    fn row(&mut self, id: FindingId) -> Result<Option<Arc<Row>>, BadFile> {
        if let Some(row) = self.rows.get(&id) {
            return Ok(row.clone());
        }
        let sql = "SELECT kind, key, parent, relation, direction FROM findings WHERE id = ?1";
        let mut statement = self.scratch.db.prepare_cached(sql).map_err(failed)?;
        let read = statement.query_row([id.0], |row| {
            let (kind, key): (String, Option<String>) = (row.get(0)?, row.get(1)?);
            let (relation, direction): (Option<String>, String) = (row.get(3)?, row.get(4)?);
            let kind: Kind = kind.parse().expect("a kind's own name");
            let relation = relation.map(|own| own.parse::<Relation>().expect("its own name"));
            let direction = match direction == Direction::In.as_str() {
                true => Direction::In,
                false => Direction::Out,
            };
            let parent: Option<[u8; 16]> = row.get(2)?;
            Ok(Row {
                entity: key.map(|key| Entity::recorded(kind, &key)),
                parent: parent.map(FindingId),
                edge: relation.map(|relation| (relation, direction)),
            })
        });
        let row = read.optional().map_err(failed)?.map(Arc::new);
        if self.rows.len() >= ROWS_MAX {
            self.rows.clear();
        }
        self.rows.insert(id, row.clone());
        Ok(row)
    }

    /// Where a finding hangs that names `entity`.
    pub(super) fn place(
        &mut self,
        finding: &Finding,
        entity: &Entity,
        root: &Entity,
    ) -> Result<Place, BadFile> {
        let mut chain = Chain::new(root);
        let (mut up, mut seen) = (Vec::new(), HashSet::from([finding.id]));
        // A later claim may name a parent that itself hangs under the first claim.
        let mut next = self.row(finding.id)?.and_then(|own| own.parent);
        let mut lacks = None;
        while let Some(id) = next {
            let Some(row) = self.row(id)? else {
                lacks = up.is_empty().then_some(Lack::Parent);
                break;
            };
            if up.len() == DEPTH_MAX || !seen.insert(id) {
                let (under, edge) = (Vec::new(), chain.edge(entity, None));
                let lacks = Some(Lack::Chain);
                return Ok(Place { under, edge, lacks });
            }
            next = row.parent;
            up.push(row);
        }
        for row in up.iter().rev() {
            chain.push(row);
        }
        if chain.is_broken {
            lacks = Some(Lack::Erased);
        }
        Ok(Place {
            edge: chain.edge(entity, edge_of(finding)),
            under: chain.under,
            lacks,
        })
    }
}

/// The links from the file down, one by one.
struct Chain<'a> {
    root: &'a Entity,
    under: Vec<(Edge, Entity)>,
    /// The last link could not be told.
    is_broken: bool,
}

impl<'a> Chain<'a> {
    fn new(root: &'a Entity) -> Self {
        let (under, is_broken) = (Vec::new(), false);
        Self {
            root,
            under,
            is_broken,
        }
    }

    fn push(&mut self, row: &Row) {
        match &row.entity {
            Some(entity) => {
                let edge = self.edge(entity, row.edge);
                self.under.push((edge, entity.clone()));
                self.is_broken = false;
            }
            None => self.is_broken = true,
        }
    }

    /// The edge from the last link to what hangs there: its own one, unless it is of another parent or not legal.
    fn edge(&self, entity: &Entity, own: Option<Edge>) -> Edge {
        let Some((_, parent)) = self.under.last() else {
            return relate(self.root, entity, "");
        };
        let is_legal = |edge: &Edge| edge.0.is_legal_for(edge.1, parent.kind(), entity.kind());
        own.filter(|_| !self.is_broken)
            .filter(is_legal)
            .unwrap_or((Relation::RelatedTo, Direction::Out))
    }
}
