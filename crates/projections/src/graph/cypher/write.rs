//! Writing the graph to Neo4j: a batch meets each end of its claims once, then lays the claims.
//!
//! To look for both ends of each claim would take three times as many searches of an index. To look for each claim
//! before it is written is dear, too, so that comes only after a constraint said that one is there.

use std::collections::HashMap;

use mirage_domain::relation::Direction;
use neo4rs::BoltType;

use crate::Value;
use crate::operations::{Operations, Rows};
use crate::store::neo4j::Cypher;

/// Columns of `nodes`: entity, scan, and what an end has once its own row came.
const NODE: usize = 6;
/// Places in a row of `claims`.
const SCAN: usize = 3;
const SUBJECT: usize = 5;
const OBJECT: usize = 7;
const DIRECTION: usize = 8;

/// The list `ends`, in the order of `$ends`. A row: 0 place, 1 entity, 2 scan, and of a node whose row is in the batch 3
/// workspace, 4 cursor, 5 kind, 6 key. The first row of an entity stays.
macro_rules! meet {
    () => {
        "UNWIND $ends AS r MERGE (n:Entity@ {entity: r[1], scan: r[2]})
            ON CREATE SET n.workspace = r[3], n.cursor = r[4], n.kind = r[5], n.key = r[6]
            ON MATCH SET n += CASE WHEN r[4] IS NOT NULL AND n.cursor IS NULL
                THEN {workspace: r[3], cursor: r[4], kind: r[5], key: r[6]} ELSE {} END
        WITH r[0] AS place, n ORDER BY place WITH collect(n) AS ends "
    };
}

/// A row: the columns of `claims`, and then the places of both ends.
macro_rules! create {
    ($rows:literal, $type:literal, $direction:literal) => {
        concat!(
            "CALL (ends) { UNWIND $", $rows, " AS r WITH r, ends[r[12]] AS s, ends[r[13]] AS o
                CREATE (s)-[:", $type, "@ {cursor: r[0], finding: r[1], workspace: r[2], module: r[4],
                    relation: r[6], in_scope: r[9], confidence: r[10], observed_at: r[11], direction: ", $direction, "}]->(o) } "
        )
    };
}
macro_rules! merge {
    ($rows:literal, $type:literal, $direction:literal) => {
        concat!(
            "CALL (ends) { UNWIND $", $rows, " AS r WITH r, ends[r[12]] AS s, ends[r[13]] AS o
                MERGE (s)-[c:", $type, "@ {cursor: r[0]}]->(o)
                ON CREATE SET c += {finding: r[1], workspace: r[2], module: r[4], relation: r[6], in_scope: r[9],
                    confidence: r[10], observed_at: r[11], direction: ", $direction, "} } "
        )
    };
}

const CREATE: &str = concat!(
    meet!(),
    create!("seeded", "Seeded", "r[8]"),
    create!("outward", "Outward", "null"),
    create!("inward", "Inward", "null"),
);
const MERGE: &str = concat!(
    meet!(),
    merge!("seeded", "Seeded", "r[8]"),
    merge!("outward", "Outward", "null"),
    merge!("inward", "Inward", "null"),
);

/// Entity and scan.
type End<'a> = (&'a Value, &'a Value);

#[derive(Default)]
struct Ends<'a> {
    rows: Vec<BoltType>,
    places: HashMap<End<'a>, usize>,
}

impl<'a> Ends<'a> {
    /// The place of an end; `rest` is of its own row, where the batch has that.
    fn place(&mut self, end: End<'a>, rest: &[Value]) -> BoltType {
        let next = self.rows.len();
        let place = *self.places.entry(end).or_insert(next);
        if place == next {
            let row = [BoltType::from(next as i64), end.0.into(), end.1.into()];
            let row = row.into_iter().chain(rest.iter().map(BoltType::from));
            self.rows.push(row.collect());
        }
        BoltType::from(place as i64)
    }
}

/// One statement for all rows of a batch, whose bounds are those of the runner; fails as a whole if a claim is there
/// already that is not known to be.
pub(super) fn statement(operations: &Operations, is_known: bool) -> Option<Cypher> {
    let of = |name: &'static str| {
        let tables = operations.tables();
        let found = tables.filter(move |rows| rows.table.name == name);
        found.flat_map(Rows::lines)
    };
    let mut ends = Ends::default();
    for node in of("nodes") {
        debug_assert_eq!(node.len(), NODE);
        ends.place((&node[0], &node[1]), &node[2..]);
    }
    let [mut seeded, mut outward, mut inward] = [const { Vec::new() }; 3];
    for claim in of("claims") {
        let object = ends.place((&claim[OBJECT], &claim[SCAN]), &[]);
        let (claims, subject) = match (&claim[SUBJECT], &claim[DIRECTION]) {
            (Value::Null, _) => (&mut seeded, object.clone()),
            (subject, Value::Text(direction)) if direction == Direction::In.as_str() => {
                (&mut inward, ends.place((subject, &claim[SCAN]), &[]))
            }
            (subject, _) => (&mut outward, ends.place((subject, &claim[SCAN]), &[])),
        };
        let row = claim.iter().map(BoltType::from).chain([subject, object]);
        claims.push(row.collect());
    }
    let text = if is_known { MERGE } else { CREATE };
    (!ends.rows.is_empty()).then(|| {
        Cypher::new(text)
            .with_all("ends", ends.rows)
            .with_all("seeded", seeded)
            .with_all("outward", outward)
            .with_all("inward", inward)
    })
}
