//! Nodes: an entity by its name, and what the claims that found it say together.

use std::collections::HashMap;

use jiff::Timestamp;
use mirage_domain::entity::Kind;
use mirage_domain::id::EntityId;
use serde::Serialize;

use super::page::Among;
use super::reader::Reader;
use crate::Error;
use crate::error::Cause;
use crate::row::{Row, parsed, time};

/// Which entity it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Name {
    pub entity_id: EntityId,
    pub kind: Kind,
    /// None once it was erased.
    pub key: Option<String>,
}

/// An entity that stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Node {
    #[serde(flatten)]
    pub name: Name,
    pub is_seed: bool,
    pub in_scope: bool,
    /// That found it; those that hang on it are edges.
    pub findings: u64,
    /// Of the surest claim, in percent.
    pub confidence: u8,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
}

/// What the claims that found an entity say together.
struct Found {
    is_seed: bool,
    in_scope: bool,
    findings: u64,
    confidence: u8,
    first_seen: Timestamp,
    last_seen: Timestamp,
}

impl Found {
    fn read(row: &Row<'_>) -> Result<Option<(EntityId, Self)>, Cause> {
        let findings: u64 = row.get("findings")?;
        if findings == 0 {
            return Ok(None);
        }
        let found = Self {
            is_seed: row.get("is_seed")?,
            in_scope: row.get("in_scope")?,
            findings,
            confidence: row.get("confidence")?,
            first_seen: time(row, "first_seen")?,
            last_seen: time(row, "last_seen")?,
        };
        Ok(Some((EntityId(row.get("entity")?), found)))
    }

    fn node(&self, name: Name) -> Node {
        Node {
            name,
            is_seed: self.is_seed,
            in_scope: self.in_scope,
            findings: self.findings,
            confidence: self.confidence,
            first_seen: self.first_seen,
            last_seen: self.last_seen,
        }
    }
}

impl Reader<'_> {
    /// An entity, if one of the claims that found it stands: in the scan that is asked for, or in any.
    pub fn node(&self, id: EntityId, among: &Among) -> Result<Option<Node>, Error> {
        match self.name(id)? {
            Some(name) => self.described(name, among),
            None => Ok(None),
        }
    }

    /// Whether one of the claims that found an entity stands: a look at one of them, where [`Reader::node`] reads all.
    pub fn holds(&self, id: EntityId, among: &Among) -> Result<bool, Error> {
        let of_scan = of_scan(among);
        let any = self.words().holds(&self.asked(&of_scan), id);
        Ok(self.one(&any, |_| Ok(()))?.is_some())
    }

    /// Kind and key, as the first claim has them.
    pub(super) fn name(&self, id: EntityId) -> Result<Option<Name>, Error> {
        let asked = Among::default();
        self.one(&self.words().name(&self.asked(&asked), id), name)
    }

    fn described(&self, name: Name, among: &Among) -> Result<Option<Node>, Error> {
        let mut described = None;
        self.each_described(vec![name], among, |node| {
            described = Some(node);
            Ok(())
        })?;
        Ok(described)
    }

    /// Those that stand, in the order of the names.
    pub(super) fn each_described(
        &self,
        names: Vec<Name>,
        among: &Among,
        mut take: impl FnMut(Node) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let of_scan = of_scan(among);
        let ids: Vec<EntityId> = names.iter().map(|name| name.entity_id).collect();
        let mut found = HashMap::with_capacity(ids.len());
        for statement in self.words().found(&self.asked(&of_scan), &ids) {
            found.extend(self.all(&statement, Found::read)?.into_iter().flatten());
        }
        names.into_iter().try_for_each(|name| {
            let found = found.get(&name.entity_id);
            found.map_or(Ok(()), |found| take(found.node(name)))
        })
    }
}

/// How an entity was found is asked of every relation.
fn of_scan(among: &Among) -> Among {
    Among {
        scan: among.scan.clone(),
        ..Among::default()
    }
}

pub(super) fn name(row: &Row<'_>) -> Result<Name, Cause> {
    Ok(Name {
        entity_id: EntityId(row.get("entity")?),
        kind: parsed(row, "kind")?,
        key: row.get("key")?,
    })
}
