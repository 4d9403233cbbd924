//! Nodes: an entity by its name, and what the claims that found it say together.

use jiff::Timestamp;
use mirage_domain::entity::Kind;
use mirage_domain::id::EntityId;
use serde::Serialize;

use super::page::Among;
use super::reader::Reader;
use crate::Error;
use crate::catalog::Sql;
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

/// Claims that found an entity: as the object, or, in a claim towards its parent, as the subject.
macro_rules! found {
    ($what:literal) => {
        concat!(
            $what,
            " FROM (SELECT * FROM claims WHERE object = ? AND direction IS NOT 'in'
            UNION ALL SELECT * FROM claims INDEXED BY claims_inward WHERE subject = ? AND direction = 'in') c
            WHERE TRUE"
        )
    };
}

const FOUND: &str = found!(
    "SELECT count(DISTINCT c.finding) AS findings, max(c.in_scope) AS in_scope,
        max(c.relation IS NULL) AS is_seed, max(c.confidence) AS confidence,
        min(c.observed_at) AS first_seen, max(c.observed_at) AS last_seen"
);
const ANY: &str = found!("SELECT 1");

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
        let sql = self.finds(ANY, id, among).and::<0>("LIMIT 1", []);
        Ok(self.one(&sql, |_| Ok(()))?.is_some())
    }

    /// Kind and key, as the first claim has them.
    pub(super) fn name(&self, id: EntityId) -> Result<Option<Name>, Error> {
        let sql = Sql::new(
            "SELECT entity, kind, key FROM nodes WHERE entity = ? AND workspace = ? AND cursor <= ? ORDER BY cursor LIMIT 1",
            [id.into(), self.workspace(), self.last()],
        );
        self.one(&sql, name)
    }

    pub(super) fn described(&self, name: Name, among: &Among) -> Result<Option<Node>, Error> {
        let id = name.entity_id;
        let sql = self.finds(FOUND, id, among);
        let found = self.one(&sql, |row| match row.get::<_, i64>("findings")? {
            0 => Ok(None),
            findings => Ok(Some(Node {
                name: name.clone(),
                is_seed: row.get("is_seed")?,
                in_scope: row.get("in_scope")?,
                findings: findings as u64,
                confidence: row.get("confidence")?,
                first_seen: time(row, "first_seen")?,
                last_seen: time(row, "last_seen")?,
            })),
        })?;
        Ok(found.flatten())
    }

    fn finds(&self, text: &'static str, id: EntityId, among: &Among) -> Sql {
        // How the entity was found is asked of every relation.
        let of_scan = Among {
            scan: among.scan.clone(),
            ..Among::default()
        };
        self.standing(Sql::new(text, [id.into(), id.into()]), &of_scan)
    }
}

pub(super) fn name(row: &Row<'_>) -> Result<Name, Cause> {
    Ok(Name {
        entity_id: EntityId(row.get("entity")?),
        kind: parsed(row, "kind")?,
        key: row.get("key")?,
    })
}
