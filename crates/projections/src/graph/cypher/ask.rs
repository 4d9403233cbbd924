//! The graph's questions as Cypher.
//!
//! Lists of ids are one statement: what counts there are the trips to the server.

use data_encoding::HEXLOWER;
use mirage_domain::id::{EntityId, ScanId};
use neo4rs::BoltType;

use crate::graph::page::After;
use crate::graph::words::{Asked, Part, Statement, Told, Words};
use crate::store::neo4j::Cypher;

/// See the module's doc.
pub(in crate::graph) struct InCypher;

/// Claims `c` that a question may look at; the reader adds what is fallen.
const STANDS: &str = " c.workspace = $workspace AND c.cursor <= $last AND NOT c.finding IN $fallen";
const OF_RELATION: &str = " AND c.relation IN $relations";
/// As the first node of it that has come says, of whichever scan.
const OF_KIND: &str = " AND EXISTS { MATCH (k:Entity@ {entity: o.entity})
    WHERE k.scan IS NOT NULL AND k.kind IN $kinds }";
const AFTER: &str = " AND (o.entity > $other OR o.entity = $other
    AND (c.relation > $relation OR c.relation = $relation AND $way > $direction))";
const ONLY: &str = " AND o.entity = $other";

/// What claims say together.
const SAID: &str = " count(DISTINCT c.finding) AS findings, max(c.confidence) AS confidence,
    collect(DISTINCT c.module) AS modules, min(c.observed_at) AS first_seen, max(c.observed_at) AS last_seen";

const NAME: &str = "MATCH (n:Entity@ {entity: $id})
    WHERE n.scan IS NOT NULL AND n.workspace = $workspace AND n.cursor <= $last
    RETURN n.entity AS entity, n.kind AS kind, n.key AS key ORDER BY n.cursor LIMIT 1";

/// A seed's claim says nothing of a direction.
const FOUND: &str = " CALL (e) {
        MATCH (e)<-[c:Outward@|Seeded@]-() WHERE c.direction IS NULL OR c.direction <> 'in' RETURN c
        UNION ALL MATCH (e)-[c:Inward@]->() RETURN c }
    WITH e, c WHERE";
const FOUND_SAID: &str = " RETURN e.entity AS entity, count(DISTINCT c.finding) AS findings, max(c.in_scope) AS in_scope,
        max(CASE WHEN c.relation IS NULL THEN 1 ELSE 0 END) AS is_seed, max(c.confidence) AS confidence,
        min(c.observed_at) AS first_seen, max(c.observed_at) AS last_seen";

/// The first node of each neighbour names it.
const NAMED: &str = " ORDER BY other, relation LIMIT $limit
    CALL (other) { MATCH (n:Entity@ {entity: other})
        WHERE n.scan IS NOT NULL AND n.workspace = $workspace AND n.cursor <= $last
        RETURN n.kind AS kind, n.key AS key ORDER BY n.cursor LIMIT 1 }
    RETURN other AS entity, kind, key, relation, $way AS way, findings, confidence, modules, first_seen, last_seen
    ORDER BY other, relation";

const KINDS: &str = " WITH DISTINCT o.entity AS other ORDER BY other LIMIT $limit
    CALL (other) { OPTIONAL MATCH (k:Entity@ {entity: other}) WHERE k.scan IS NOT NULL AND k.kind IS NOT NULL
        RETURN k.kind AS kind LIMIT 1 }
    RETURN kind, count(*) AS count ORDER BY kind";

const AROUND: &str = " RETURN DISTINCT o.entity AS other ORDER BY other LIMIT $limit";

const MET: &str =
    "MATCH (n:Entity@) WHERE n.scan = $scan AND n.cursor > $after AND n.cursor <= $last
        AND n.workspace = $workspace
    RETURN n.entity AS entity, n.kind AS kind, n.key AS key, n.cursor AS cursor
    ORDER BY n.scan, n.cursor LIMIT $limit";

const EACH: &str = "UNWIND range(0, size($ids) - 1) AS i WITH i, $ids[i] AS id";

impl Words for InCypher {
    fn name(&self, asked: &Asked<'_>, id: EntityId) -> Statement {
        done(asked, Cypher::new(NAME).with("id", hex(id)))
    }

    fn found(&self, asked: &Asked<'_>, ids: &[EntityId]) -> Vec<Statement> {
        let entity = entity(asked, "e", "id");
        let text = format!("{EACH} {entity}{FOUND}{STANDS}{FOUND_SAID}");
        vec![done(asked, Cypher::new(text).with_all("ids", hexes(ids)))]
    }

    fn joined(&self, asked: &Asked<'_>, id: EntityId, part: Part, limit: usize) -> Vec<Statement> {
        let one_way = |way: &'static str, to: &str| {
            let claims = around(asked, to);
            let part_of = match part {
                Part::All => "",
                Part::After(_) => AFTER,
                Part::Only(_) => ONLY,
            };
            let cypher = Cypher::new(format!(
                "{claims}{part_of} WITH o.entity AS other, c.relation AS relation,{SAID}{NAMED}"
            ));
            let cypher = cypher
                .with("id", hex(id))
                .with("way", way)
                .with("limit", limit as i64);
            done(asked, of_part(cypher, part))
        };
        vec![
            one_way("out", "-[c:Outward@|Inward@]->"),
            one_way("in", "<-[c:Outward@|Inward@]-"),
        ]
    }

    fn holds(&self, asked: &Asked<'_>, id: EntityId) -> Statement {
        let entity = entity(asked, "e", "$id");
        let text = format!("{entity}{FOUND}{STANDS} RETURN 1 AS any LIMIT 1");
        done(asked, Cypher::new(text).with("id", hex(id)))
    }

    fn others(&self, asked: &Asked<'_>, id: EntityId, told: Told, limit: u32) -> Statement {
        let claims = around(asked, "-[c:Outward@|Inward@]-");
        let answer = match told {
            Told::Ids => AROUND,
            Told::Kinds => KINDS,
        };
        let cypher = Cypher::new(format!("{claims}{answer}"))
            .with("id", hex(id))
            .with("limit", limit);
        done(asked, cypher)
    }

    fn met(&self, asked: &Asked<'_>, scan: &ScanId, after: i64, limit: u32) -> Statement {
        let met = Cypher::new(MET)
            .with("scan", scan.as_str())
            .with("after", after)
            .with("limit", limit);
        done(asked, met)
    }

    fn joins(&self, asked: &Asked<'_>, objects: &[EntityId]) -> Vec<Statement> {
        let (object, stands) = (entity(asked, "o", "id"), standing(asked));
        let text = format!(
            "{EACH} {object} MATCH (o)<-[c:Seeded@|Outward@|Inward@]-(s) WHERE{stands}
            RETURN DISTINCT i, o.entity AS object, s.entity AS subject ORDER BY i, subject"
        );
        vec![done(
            asked,
            Cypher::new(text).with_all("ids", hexes(objects)),
        )]
    }

    fn edges(&self, asked: &Asked<'_>, subjects: &[EntityId]) -> Vec<Statement> {
        let (subject, stands) = (entity(asked, "s", "id"), standing(asked));
        let text = format!(
            "{EACH} {subject} MATCH (s)-[c:Outward@|Inward@]->(o) WHERE{stands} AND o.entity <> s.entity
            WITH i, s.entity AS subject, c.relation AS relation, o.entity AS object,{SAID}
            RETURN i, subject, relation, object, findings, confidence, modules, first_seen, last_seen
            ORDER BY i, object, relation"
        );
        vec![done(
            asked,
            Cypher::new(text).with_all("ids", hexes(subjects)),
        )]
    }
}

fn hex(id: EntityId) -> String {
    HEXLOWER.encode(&id.0)
}

fn hexes(ids: &[EntityId]) -> Vec<BoltType> {
    ids.iter().map(|id| hex(*id).into()).collect()
}

/// The nodes of an entity, in the scan that is asked for or in each. The index asks for both parts of its key.
fn entity(asked: &Asked<'_>, variable: &str, id: &str) -> String {
    let scan = match &asked.among.scan {
        Some(_) => "= $scan",
        None => "IS NOT NULL",
    };
    format!("MATCH ({variable}:Entity@) WHERE {variable}.entity = {id} AND {variable}.scan {scan}")
}

/// Conditions on the claims `c` that are asked for.
fn standing(asked: &Asked<'_>) -> String {
    let of_relation = if asked.among.relations.is_empty() {
        ""
    } else {
        OF_RELATION
    };
    format!("{STANDS}{of_relation}")
}

/// Claims between an entity `e` and others `o`, with the conditions on both.
fn around(asked: &Asked<'_>, to: &str) -> String {
    let (entity, stands) = (entity(asked, "e", "$id"), standing(asked));
    let of_kind = if asked.among.kinds.is_empty() {
        ""
    } else {
        OF_KIND
    };
    format!("{entity} MATCH (e){to}(o) WHERE o.entity <> $id AND{stands}{of_kind}")
}

fn of_part(cypher: Cypher, part: Part) -> Cypher {
    match part {
        Part::All => cypher,
        Part::Only(other) => cypher.with("other", hex(other)),
        Part::After(After {
            entity,
            relation,
            direction,
            ..
        }) => cypher
            .with("other", hex(entity))
            .with("relation", relation.as_str())
            .with("direction", direction.as_str()),
    }
}

/// With what every question is narrowed to.
fn done(asked: &Asked<'_>, cypher: Cypher) -> Statement {
    let among = asked.among;
    let cypher = cypher
        .with("workspace", asked.workspace.as_str())
        .with("last", asked.last);
    let cypher = match &among.scan {
        Some(scan) => cypher.with("scan", scan.as_str()),
        None => cypher,
    };
    let relations = among
        .relations
        .iter()
        .map(|relation| relation.as_str().into());
    let kinds = among.kinds.iter().map(|kind| kind.as_str().into());
    Statement::Cypher(
        cypher
            .with_all("relations", relations.collect())
            .with_all("kinds", kinds.collect()),
    )
}
