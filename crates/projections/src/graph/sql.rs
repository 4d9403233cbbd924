//! The graph's questions as SQL.

use mirage_domain::id::{EntityId, ScanId};

use super::page::After;
use super::words::{Asked, Part, Statement, Told, Words};
use crate::Value;
use crate::catalog::Sql;
use crate::db::stands;

/// See the module's doc.
pub(super) struct InSql;

/// Claims that a question may look at: of the workspace, not after the position, and of findings that stand.
const STANDS: &str = concat!("AND c.workspace = ? AND c.cursor <= ? ", stands!("c"));

const NAME: &str = "SELECT entity, kind, key FROM nodes
    WHERE entity = ? AND workspace = ? AND cursor <= ? ORDER BY cursor LIMIT 1";

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
    "SELECT ? AS entity, count(DISTINCT c.finding) AS findings, max(c.in_scope) AS in_scope,
        max(c.relation IS NULL) AS is_seed, max(c.confidence) AS confidence,
        min(c.observed_at) AS first_seen, max(c.observed_at) AS last_seen"
);
const ANY: &str = found!("SELECT 1");

const KINDS: &str = "SELECT kind, count(*) AS count FROM (
    SELECT (SELECT n.kind FROM nodes n WHERE n.entity = e.other LIMIT 1) AS kind FROM (";

/// Each row with the name of its neighbour, from the first node of it.
const NAMED: &str = "JOIN nodes n ON n.entity = e.other AND n.cursor = (
        SELECT min(m.cursor) FROM nodes m WHERE m.entity = e.other AND m.workspace = ? AND m.cursor <= ?)";

const MET: &str = "SELECT entity, kind, key, cursor FROM nodes
    WHERE scan = ? AND workspace = ? AND cursor > ? AND cursor <= ? ORDER BY cursor LIMIT ?";

const JOINS: &str =
    "SELECT DISTINCT c.object AS object, c.subject AS subject FROM claims c WHERE c.object = ?";

const EDGES: &str = "SELECT c.subject AS subject, c.relation AS relation, c.object AS object,
        count(DISTINCT c.finding) AS findings, max(c.confidence) AS confidence,
        json_group_array(DISTINCT c.module) AS modules,
        min(c.observed_at) AS first_seen, max(c.observed_at) AS last_seen
    FROM claims c WHERE c.subject = ? AND c.subject <> c.object";

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

impl Words for InSql {
    fn name(&self, asked: &Asked<'_>, id: EntityId) -> Statement {
        Statement::Sql(Sql::new(NAME, [id.into(), workspace(asked), last(asked)]))
    }

    fn found(&self, asked: &Asked<'_>, ids: &[EntityId]) -> Vec<Statement> {
        let found = |id: &EntityId| {
            let found = Sql::new(FOUND, [(*id).into(), (*id).into(), (*id).into()]);
            Statement::Sql(standing(found, asked))
        };
        ids.iter().map(found).collect()
    }

    fn joined(&self, asked: &Asked<'_>, id: EntityId, part: Part, limit: usize) -> Vec<Statement> {
        // Two statements: SQLite sorts all that a compound one groups, where each half follows its index.
        let of_side = |side: &Side| {
            let sql = Sql::new("SELECT e.*, n.entity, n.kind, n.key FROM (", []);
            let claims = among(sql.and(side.joined, [id.into()]), asked);
            let claims = of_kind(claims, side, asked);
            let claims = match part {
                Part::All => claims,
                Part::After(after) => claims.and(side.after, mark(after)),
                Part::Only(other) => claims.and(side.only, [other.into()]),
            };
            Statement::Sql(
                claims
                    .and(side.grouped, [Value::Integer(limit as i64)])
                    .and(NAMED, [workspace(asked), last(asked)]),
            )
        };
        [&OUTWARD, &INWARD].map(of_side).into()
    }

    fn holds(&self, asked: &Asked<'_>, id: EntityId) -> Statement {
        let any = standing(Sql::new(ANY, [id.into(), id.into()]), asked);
        Statement::Sql(any.and::<0>("LIMIT 1", []))
    }

    fn others(&self, asked: &Asked<'_>, id: EntityId, told: Told, limit: u32) -> Statement {
        Statement::Sql(match told {
            Told::Ids => others(Sql::new("", []), asked, id, limit),
            Told::Kinds => others(Sql::new(KINDS, []), asked, id, limit)
                .and::<0>(") e) GROUP BY kind ORDER BY kind", []),
        })
    }

    fn met(&self, asked: &Asked<'_>, scan: &ScanId, after: i64, limit: u32) -> Statement {
        let (after, limit) = (Value::Integer(after), limit.into());
        let values = [scan.into(), workspace(asked), after, last(asked), limit];
        Statement::Sql(Sql::new(MET, values))
    }

    fn joins(&self, asked: &Asked<'_>, objects: &[EntityId]) -> Vec<Statement> {
        each(objects, asked, JOINS, "ORDER BY c.subject")
    }

    fn edges(&self, asked: &Asked<'_>, subjects: &[EntityId]) -> Vec<Statement> {
        let order = "GROUP BY c.object, c.relation ORDER BY c.object, c.relation";
        each(subjects, asked, EDGES, order)
    }
}

/// A statement for each entity: SQLite prepares it once.
fn each(
    ids: &[EntityId],
    asked: &Asked<'_>,
    text: &'static str,
    order: &'static str,
) -> Vec<Statement> {
    let statement = |id: &EntityId| {
        let claims = among(Sql::new(text, [(*id).into()]), asked);
        Statement::Sql(claims.and::<0>(order, []))
    };
    ids.iter().map(statement).collect()
}

fn workspace(asked: &Asked<'_>) -> Value {
    asked.workspace.as_str().to_owned().into()
}

fn last(asked: &Asked<'_>) -> Value {
    Value::Integer(asked.last)
}

/// Narrows the claims `c` of a statement to those that stand, of the scan that is asked for.
fn standing(sql: Sql, asked: &Asked<'_>) -> Sql {
    sql.and(STANDS, [workspace(asked), last(asked)])
        .maybe("AND c.scan = ?", asked.among.scan.as_ref().map(Value::from))
}

/// As `standing`, and of the relations that are asked for.
fn among(sql: Sql, asked: &Asked<'_>) -> Sql {
    let relations = asked.among.relations.iter();
    let relations = relations.map(|relation| relation.as_str().into());
    standing(sql, asked).one_of("AND c.relation IN", relations)
}

fn of_kind(sql: Sql, side: &Side, asked: &Asked<'_>) -> Sql {
    let kinds = asked.among.kinds.iter().map(|kind| kind.as_str().into());
    sql.one_of(side.of_kind, kinds)
}

fn others(mut sql: Sql, asked: &Asked<'_>, id: EntityId, limit: u32) -> Sql {
    for (lead, side) in [("", &OUTWARD), ("UNION", &INWARD)] {
        let claims = sql.and::<0>(lead, []).and(side.others, [id.into()]);
        sql = of_kind(among(claims, asked), side, asked);
    }
    sql.and("ORDER BY other LIMIT ?", [limit.into()])
}

fn mark(after: After) -> [Value; 3] {
    let (relation, direction) = (after.relation.as_str(), after.direction.as_str());
    [after.entity.into(), relation.into(), direction.into()]
}
