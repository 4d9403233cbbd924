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
mod write;

pub(super) use ask::InCypher;

use crate::store::neo4j::Layout;

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
    statements: |operations, is_known| write::statement(operations, is_known).into_iter().collect(),
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
