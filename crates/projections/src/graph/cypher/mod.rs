//! The graph on Neo4j: an entity of a scan is a node, a claim is a relationship.
//!
//! | table | there |
//! |---|---|
//! | `nodes` | `(:Entity {entity, scan})`, with the rest once its row came; a claim may need it before |
//! | `claims` | `(subject)-[:Outward]->(object)`, or `:Inward` for one towards the parent, or `:Seeded` from the object to itself where there is no subject |
//!
//! The direction is the type, so that what a claim found is reached without looking at all that hangs on a hub. The
//! scan of a claim is that of its ends.

mod ask;

pub(super) use ask::InCypher;
use mirage_domain::relation::Direction;

use crate::Value;
use crate::operations::Rows;
use crate::store::neo4j::{Layout, Load, list};

pub(crate) const MODEL_OF: &str = <super::Graph as crate::Projection>::NAME;

pub(crate) static MODEL: Layout = Layout {
    rules: &[
        (
            "CONSTRAINT entity@",
            "FOR (n:Entity@) REQUIRE (n.entity, n.scan) IS UNIQUE",
        ),
        ("INDEX met@", "FOR (n:Entity@) ON (n.scan, n.cursor)"),
        (
            "CONSTRAINT seeded@",
            "FOR ()-[c:Seeded@]-() REQUIRE c.cursor IS UNIQUE",
        ),
        (
            "CONSTRAINT outward@",
            "FOR ()-[c:Outward@]-() REQUIRE c.cursor IS UNIQUE",
        ),
        (
            "CONSTRAINT inward@",
            "FOR ()-[c:Inward@]-() REQUIRE c.cursor IS UNIQUE",
        ),
    ],
    loads,
    tables: &[("claims", CLAIMS), ("nodes", NODES)],
    erasures: &[
        "MATCH ()-[c:Seeded@|Outward@|Inward@]->() CALL (c) { DELETE c } IN TRANSACTIONS OF 10000 ROWS",
        "MATCH (n:Entity@) CALL (n) { DELETE n } IN TRANSACTIONS OF 10000 ROWS",
    ],
};

const CLAIMS: &str = "MATCH (s)-[c:Seeded@|Outward@|Inward@]->(o)
    RETURN c.cursor AS cursor, c.finding AS finding, c.workspace AS workspace, o.scan AS scan, c.module AS module,
        CASE WHEN c:Seeded@ THEN null ELSE s.entity END AS subject, c.relation AS relation, o.entity AS object,
        CASE WHEN c:Outward@ THEN 'out' WHEN c:Inward@ THEN 'in' ELSE c.direction END AS direction,
        c.in_scope AS in_scope, c.confidence AS confidence, c.observed_at AS observed_at
    ORDER BY cursor";

const NODES: &str = "MATCH (n:Entity@) WHERE n.cursor IS NOT NULL
    RETURN n.entity AS entity, n.scan AS scan, n.workspace AS workspace, n.cursor AS cursor, n.kind AS kind, n.key AS key
    ORDER BY entity, scan";

/// A row of `nodes`: 0 entity, 1 scan, 2 workspace, 3 cursor, 4 kind, 5 key. The first one of an entity stays.
const MEET: &str = "UNWIND $rows AS r MERGE (n:Entity@ {entity: r[0], scan: r[1]})
    ON CREATE SET n.workspace = r[2], n.cursor = r[3], n.kind = r[4], n.key = r[5]
    ON MATCH SET n += CASE WHEN n.cursor IS NULL
        THEN {workspace: r[2], cursor: r[3], kind: r[4], key: r[5]} ELSE {} END";

/// A row of `claims`: 0 cursor, 1 finding, 2 workspace, 3 scan, 4 module, 5 subject, 6 relation, 7 object,
/// 8 direction, 9 in_scope, 10 confidence, 11 observed_at. To look for each claim before it is written takes three
/// times as long, so that comes only after a constraint said that one is there.
macro_rules! claim {
    ($subject:literal, $from:literal, $type:literal, $direction:literal) => {
        Claim {
            create: concat!(
                claim!(@ends $subject),
                "CREATE (", $from, ")-[:", $type, "@ {cursor: r[0], finding: r[1], workspace: r[2], module: r[4],
                    relation: r[6], in_scope: r[9], confidence: r[10], observed_at: r[11], direction: ", $direction, "}]->(o)"
            ),
            merge: concat!(
                claim!(@ends $subject),
                "MERGE (", $from, ")-[c:", $type, "@ {cursor: r[0]}]->(o)
                ON CREATE SET c += {finding: r[1], workspace: r[2], module: r[4], relation: r[6], in_scope: r[9],
                    confidence: r[10], observed_at: r[11], direction: ", $direction, "}"
            ),
        }
    };
    (@ends $subject:literal) => {
        concat!("UNWIND $rows AS r ", $subject, " MERGE (o:Entity@ {entity: r[7], scan: r[3]}) ")
    };
}

struct Claim {
    create: &'static str,
    merge: &'static str,
}

static SEEDED: Claim = claim!("", "o", "Seeded", "r[8]");
static OUTWARD: Claim = claim!(
    "MERGE (s:Entity@ {entity: r[5], scan: r[3]})",
    "s",
    "Outward",
    "null"
);
static INWARD: Claim = claim!(
    "MERGE (s:Entity@ {entity: r[5], scan: r[3]})",
    "s",
    "Inward",
    "null"
);

const SUBJECT: usize = 5;
const DIRECTION: usize = 8;

fn loads(rows: &Rows) -> Vec<Load> {
    match rows.table.name {
        "nodes" => vec![Load {
            create: MEET,
            merge: MEET,
            rows: rows.lines().map(list).collect(),
        }],
        _ => claims(rows),
    }
}

/// Claims by the type of their relationship.
fn claims(rows: &Rows) -> Vec<Load> {
    let load = |claim: &Claim| Load {
        create: claim.create,
        merge: claim.merge,
        rows: Vec::new(),
    };
    let [mut seeded, mut outward, mut inward] = [&SEEDED, &OUTWARD, &INWARD].map(load);
    for row in rows.lines() {
        let load = match (&row[SUBJECT], &row[DIRECTION]) {
            (Value::Null, _) => &mut seeded,
            (_, Value::Text(direction)) if direction == Direction::In.as_str() => &mut inward,
            _ => &mut outward,
        };
        load.rows.push(list(row));
    }
    vec![seeded, outward, inward]
}
