//! Which event is whose parent, by the names that events have for one another.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mirage_domain::entity::{Entity, Kind};
use rusqlite::{OptionalExtension, params};

use super::super::relate::relate;
use super::super::scratch::{DEPTH_MAX, ROWS_MAX, Scratch, failed};
use super::super::{BadFile, Edge};
use super::event::Event;

const TABLES: &str = "
    CREATE TABLE events (
        uuid TEXT PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, module TEXT NOT NULL,
        is_root INTEGER NOT NULL, parent_uuid TEXT, parent_id TEXT, chain TEXT
    ) WITHOUT ROWID, STRICT;
    CREATE TABLE ids (id TEXT PRIMARY KEY, uuid TEXT NOT NULL) WITHOUT ROWID, STRICT;
";

/// What hangs where, as far as it was told of it.
pub(super) struct Index {
    scratch: Scratch,
    rows: HashMap<String, Option<Arc<Row>>>,
}

struct Row {
    entity: Entity,
    module: String,
    is_root: bool,
    parent_uuid: Option<String>,
    parent_id: Option<String>,
    chain: Vec<String>,
}

/// Where an event hangs.
pub(super) struct Place {
    /// The links from the file down to the parent.
    pub(super) under: Vec<(Edge, Entity)>,
    /// Why it does not hang under the very parent that it names.
    pub(super) lacks: Option<Lack>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lack {
    /// The parent is not in the file; it hangs under the nearest event above that is, or under the file.
    Parent,
    /// The parents go round in a circle, or too deep; it hangs under the file.
    Chain,
}

impl Index {
    pub(super) fn new() -> Result<Self, BadFile> {
        Ok(Self {
            scratch: Scratch::new(TABLES)?,
            rows: HashMap::new(),
        })
    }

    /// Takes note of an event and the entity that it names; the first of a name counts.
    pub(super) fn add(&mut self, event: &Event, entity: &Entity) -> Result<(), BadFile> {
        let Some(uuid) = event.uuid() else {
            return Ok(());
        };
        // The way up is needed only where the parent is not in the file.
        let is_known = match event.parent_uuid().or(event.parent_id()) {
            Some(parent) => self.has(parent)?,
            None => true,
        };
        let chain = match is_known {
            true => None,
            false => Some(event.chain().join(" ")),
        };
        let insert = "INSERT OR IGNORE INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let mut statement = self.scratch.db.prepare_cached(insert).map_err(failed)?;
        let row = params![
            uuid,
            entity.kind().as_str(),
            entity.key(),
            event.module(),
            event.is_scan(),
            event.parent_uuid(),
            event.parent_id(),
            chain
        ];
        statement.execute(row).map_err(failed)?;
        if let Some(id) = event.id() {
            let insert = "INSERT OR IGNORE INTO ids VALUES (?1, ?2)";
            let mut statement = self.scratch.db.prepare_cached(insert).map_err(failed)?;
            statement.execute([id, uuid]).map_err(failed)?;
        }
        drop(statement);
        self.scratch.noted()
    }

    fn has(&self, name: &str) -> Result<bool, BadFile> {
        let sql = "SELECT EXISTS (SELECT 1 FROM events WHERE uuid = ?1)
            OR EXISTS (SELECT 1 FROM ids WHERE id = ?1)";
        let mut statement = self.scratch.db.prepare_cached(sql).map_err(failed)?;
        statement
            .query_row([name], |row| row.get(0))
            .map_err(failed)
    }

    fn row(&mut self, uuid: &str) -> Result<Option<Arc<Row>>, BadFile> {
        if let Some(row) = self.rows.get(uuid) {
            return Ok(row.clone());
        }
        let sql = "SELECT kind, key, module, is_root, parent_uuid, parent_id, chain FROM events WHERE uuid = ?1";
        let mut statement = self.scratch.db.prepare_cached(sql).map_err(failed)?;
        let read = statement.query_row([uuid], |row| {
            let (kind, key): (String, String) = (row.get(0)?, row.get(1)?);
            let kind: Kind = kind.parse().expect("a kind's own name");
            let chain: Option<String> = row.get(6)?;
            let chain = chain.unwrap_or_default();
            Ok(Row {
                entity: Entity::recorded(kind, &key),
                module: row.get(2)?,
                is_root: row.get(3)?,
                parent_uuid: row.get(4)?,
                parent_id: row.get(5)?,
                chain: chain.split_whitespace().map(str::to_owned).collect(),
            })
        });
        let row = read.optional().map_err(failed)?.map(Arc::new);
        if self.rows.len() >= ROWS_MAX {
            self.rows.clear();
        }
        self.rows.insert(uuid.to_owned(), row.clone());
        Ok(row)
    }

    /// The event of a parent's names: its own one, else the first of its type and data.
    fn named(&mut self, uuid: Option<&str>, id: Option<&str>) -> Result<Option<String>, BadFile> {
        if let Some(uuid) = uuid
            && self.row(uuid)?.is_some()
        {
            return Ok(Some(uuid.to_owned()));
        }
        let Some(id) = id else { return Ok(None) };
        let sql = "SELECT uuid FROM ids WHERE id = ?1";
        let mut statement = self.scratch.db.prepare_cached(sql).map_err(failed)?;
        let found = statement.query_row([id], |row| row.get(0));
        found.optional().map_err(failed)
    }

    /// Where an event hangs that names `entity` (of the scan: the file itself).
    pub(super) fn place(&mut self, event: &Event, root: &Entity) -> Result<Place, BadFile> {
        if event.is_scan() {
            return Ok(Place::at_root(None));
        }
        let own = (event.parent_uuid(), event.parent_id());
        let mut lacks = None;
        let mut next = match self.named(own.0, own.1)? {
            Some(parent) => Some(parent),
            None => {
                lacks = (own != (None, None)).then_some(Lack::Parent);
                self.nearest(&event.chain())?
            }
        };
        let (mut up, mut seen) = (Vec::new(), HashSet::new());
        seen.extend(event.uuid().map(str::to_owned));
        while let Some(uuid) = next {
            let Some(row) = self.row(&uuid)? else { break };
            if row.is_root {
                break;
            }
            if up.len() == DEPTH_MAX || !seen.insert(uuid) {
                return Ok(Place::at_root(Some(Lack::Chain)));
            }
            next = match self.named(row.parent_uuid.as_deref(), row.parent_id.as_deref())? {
                Some(parent) => Some(parent),
                None => self.nearest(&row.chain)?,
            };
            up.push(row);
        }
        let mut under: Vec<(Edge, Entity)> = Vec::with_capacity(up.len());
        for row in up.iter().rev() {
            let parent = under.last().map_or(root, |(_, entity)| entity);
            let edge = relate(parent, &row.entity, &row.module);
            under.push((edge, row.entity.clone()));
        }
        Ok(Place { under, lacks })
    }

    /// The nearest of the events above that is in the file.
    fn nearest(&mut self, chain: &[String]) -> Result<Option<String>, BadFile> {
        for uuid in chain.iter().take(DEPTH_MAX) {
            if self.row(uuid)?.is_some() {
                return Ok(Some(uuid.clone()));
            }
        }
        Ok(None)
    }
}

impl Place {
    fn at_root(lacks: Option<Lack>) -> Self {
        let under = Vec::new();
        Self { under, lacks }
    }
}
