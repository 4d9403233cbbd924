//! How a view's tables lie in a graph: its rules, its writing and its reading back, as statements.
//!
//! Each view that Neo4j keeps has a [`Layout`] beside its tables; quarantine and what was skipped are of every view.

use neo4rs::BoltType;

use super::cypher::Cypher;
use crate::operations::Operations;
use crate::{Error, Registered, Value, graph};

/// A constraint or an index: what it is and its name, and what it is of.
pub(crate) type Rule = (&'static str, &'static str);

/// See the module's doc.
pub(crate) struct Layout {
    pub(crate) rules: &'static [Rule],
    /// What writes the rows of a batch, in order: with `is_known` those that are not there yet, otherwise all, and then it
    /// may fail as a whole because one is there.
    pub(crate) statements: fn(operations: &Operations, is_known: bool) -> Vec<Cypher>,
    /// Tables as they read back: name, and a statement in the order of the primary key.
    pub(crate) tables: &'static [(&'static str, &'static str)],
    /// Statements that delete all of it, in transactions of bounded size.
    pub(crate) erasures: &'static [&'static str],
}

impl Layout {
    /// Neo4j keeps graphs, not lists: other views have no place there.
    pub(super) fn of(view: &'static Registered) -> Result<&'static Self, Error> {
        match view.name {
            graph::MODEL_OF => Ok(&graph::MODEL),
            _ => Err(Error::NoSuchView(format!("{} on Neo4j", view.name))),
        }
    }

    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        FRAME.rules.iter().chain(self.rules)
    }

    pub(super) fn statements(&self, operations: &Operations, is_known: bool) -> Vec<Cypher> {
        let own = (self.statements)(operations, is_known);
        let frame = (FRAME.statements)(operations, is_known);
        own.into_iter().chain(frame).collect()
    }

    pub(super) fn erasures(&self) -> impl Iterator<Item = &&'static str> {
        self.erasures.iter().chain(FRAME.erasures)
    }

    /// All tables by name; the checkpoint lies with its build.
    pub(super) fn tables(&self, build: &str) -> Vec<(&'static str, Cypher)> {
        let rows = self.tables.iter().chain(FRAME.tables);
        let mut tables: Vec<_> = rows
            .map(|(name, text)| (*name, Cypher::new(*text)))
            .collect();
        tables.push(("checkpoint", Cypher::new(CHECKPOINT).with("build", build)));
        tables.sort_unstable_by_key(|(name, _)| *name);
        tables
    }
}

const CHECKPOINT: &str = "MATCH (b:MirageBuild {id: $build}) WHERE b.position IS NOT NULL
    RETURN 1 AS id, b.position AS position, b.log_hash AS log_hash, b.hash AS hash";

static FRAME: Layout = Layout {
    rules: &[
        (
            "CONSTRAINT quarantined@",
            "FOR (q:Quarantined@) REQUIRE q.stream IS UNIQUE",
        ),
        (
            "CONSTRAINT skipped@",
            "FOR (s:Skipped@) REQUIRE (s.stream, s.position) IS UNIQUE",
        ),
    ],
    statements: frame,
    tables: &[
        (
            "quarantine",
            "MATCH (q:Quarantined@) RETURN q.stream AS stream, q.cursor AS cursor, q.error AS error ORDER BY stream",
        ),
        (
            "skipped",
            "MATCH (s:Skipped@) RETURN s.stream AS stream, s.position AS position ORDER BY stream, position",
        ),
    ],
    erasures: &[
        "MATCH (q:Quarantined@) CALL (q) { DELETE q } IN TRANSACTIONS OF 10000 ROWS",
        "MATCH (s:Skipped@) CALL (s) { DELETE s } IN TRANSACTIONS OF 10000 ROWS",
    ],
};

fn frame(operations: &Operations, _: bool) -> Vec<Cypher> {
    let of = |name, text| {
        let rows = operations.tables().find(|rows| rows.table.name == name)?;
        let rows: Vec<BoltType> = rows.lines().map(list).collect();
        (!rows.is_empty()).then(|| Cypher::new(text).with_all("rows", rows))
    };
    let (quarantine, skipped) = (of("quarantine", QUARANTINE), of("skipped", SKIPPED));
    quarantine.into_iter().chain(skipped).collect()
}

const QUARANTINE: &str = "UNWIND $rows AS r MERGE (q:Quarantined@ {stream: r[0]}) ON CREATE SET q.cursor = r[1], q.error = r[2]";
const SKIPPED: &str = "UNWIND $rows AS r MERGE (:Skipped@ {stream: r[0], position: r[1]})";

/// A row as a parameter.
fn list(row: &[Value]) -> BoltType {
    row.iter().map(BoltType::from).collect()
}
