//! The graph's questions, each in the words of the store that answers it.
//!
//! What a question means stands here; `sql.rs` and `cypher/` say it. Answers have the same columns and the same order,
//! so that what reads them does not know who answered.
//!
//! **Invariant:** every statement looks only at claims of its workspace, not after its cursor, of findings that stand.

use mirage_domain::id::{EntityId, ScanId, WorkspaceId};

use super::page::{After, Among};
use crate::catalog::Sql;
use crate::store::neo4j::Cypher;

/// A question as it is asked.
pub(super) enum Statement {
    Sql(Sql),
    Cypher(Cypher),
}

/// What every question is narrowed to.
pub(super) struct Asked<'a> {
    pub(super) workspace: &'a WorkspaceId,
    /// The packed cursor that nothing in an answer stands behind.
    pub(super) last: i64,
    pub(super) among: &'a Among,
}

/// Which neighbours a list is narrowed to.
#[derive(Clone, Copy)]
pub(super) enum Part {
    All,
    After(After),
    Only(EntityId),
}

/// What is told of neighbours.
#[derive(Clone, Copy)]
pub(super) enum Told {
    Ids,
    Kinds,
}

/// See the module's doc. Where several statements come back, their rows follow one another.
pub(super) trait Words {
    /// `entity, kind, key` of an entity as the first claim has them.
    fn name(&self, asked: &Asked<'_>, id: EntityId) -> Statement;

    /// What the claims that found each entity say together, of whatever relation: `entity, findings, in_scope,
    /// is_seed, confidence, first_seen, last_seen`. No row, or no findings, where it does not stand.
    fn found(&self, asked: &Asked<'_>, ids: &[EntityId]) -> Vec<Statement>;

    /// A row per neighbour, relation and direction, the first `limit` in order of these: `entity, kind, key, relation,
    /// way, findings, confidence, modules, first_seen, last_seen`. Several statements are to be merged.
    fn joined(&self, asked: &Asked<'_>, id: EntityId, part: Part, limit: usize) -> Vec<Statement>;

    /// A row if one of the claims that found an entity stands, of whatever relation.
    fn holds(&self, asked: &Asked<'_>, id: EntityId) -> Statement;

    /// The first `limit` neighbours in order of their ids: these as `other`, or `kind, count` of them.
    fn others(&self, asked: &Asked<'_>, id: EntityId, told: Told, limit: u32) -> Statement;

    /// `entity, kind, key, cursor` of what a scan met behind a cursor, the first `limit` in the order of the log.
    fn met(&self, asked: &Asked<'_>, scan: &ScanId, after: i64, limit: u32) -> Statement;

    /// `object, subject` of every claim about each object; a seed's has no subject, or the object as that.
    fn joins(&self, asked: &Asked<'_>, objects: &[EntityId]) -> Vec<Statement>;

    /// A row per object and relation of each subject: `subject, relation, object, findings, confidence, modules,
    /// first_seen, last_seen`.
    fn edges(&self, asked: &Asked<'_>, subjects: &[EntityId]) -> Vec<Statement>;
}
