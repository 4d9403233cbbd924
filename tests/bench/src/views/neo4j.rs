//! The graph folded into Neo4j, beside a bare bulk load of the same rows by the same client.
//!
//! The server's virtual machine gets faster as it works, at each one's statements for themselves, so both take turns,
//! and the first of each does not count.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use mirage_log::EventLog;
use mirage_log::sqlite::Sqlite;
use mirage_projections::{Home, Neo4j, Neo4jOptions, Runner, named};
use neo4rs::{BoltNull, BoltType, ConfigBuilder, Graph, query};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tokio::runtime::Runtime;

use super::made::Company;
use super::rebuild::newest;
use crate::row::{Row, grouped};

/// More say nothing else: a server takes minutes for a million.
const FINDINGS_MAX: usize = 50_000;
/// Rows of one bare statement.
const ROWS: usize = 2_000;
/// Who loads when.
const TURNS: [Turn; 6] = [
    Turn::Bare,
    Turn::Ours,
    Turn::Bare,
    Turn::Ours,
    Turn::Ours,
    Turn::Bare,
];

#[derive(Clone, Copy, PartialEq)]
enum Turn {
    Ours,
    Bare,
}

pub(crate) fn run(dir: &Path, findings: usize) -> Result<Vec<Row>> {
    let Some(server) = mirage_servers::neo4j() else {
        return Ok(Vec::new());
    };
    let findings = findings.min(FINDINGS_MAX);
    let place = tempfile::tempdir_in(dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let log: Arc<dyn EventLog> = Arc::new(Sqlite::open(place.path())?);
    runtime.block_on(Company::default().grow(&*log, findings))?;
    let bare = Bare::new(&runtime, server.bolt(), &log, place.path())?;
    let (mut ours, mut loads) = (Vec::new(), Vec::new());
    for (turn, who) in TURNS.into_iter().enumerate() {
        match who {
            Turn::Ours => ours.push(fold(&runtime, server.bolt(), &log, turn)?),
            Turn::Bare => loads.push(bare.load(&runtime, turn)?),
        }
    }
    let mean =
        |spent: &[Duration]| spent.iter().sum::<Duration>().as_secs_f64() / spent.len() as f64;
    // The first ones were to warm the server.
    let (ours, bare) = (mean(&ours[1..]), mean(&loads[1..]));
    let rates = (findings as f64 / ours, findings as f64 / bare);
    let what = format!("{} findings, graph into Neo4j", grouped(findings as f64));
    Ok(vec![
        Row::rates(&what, "findings", rates, "≥ 0.9×").remark(format!(
            "{ours:.1} s against {bare:.1} s; ours also reads, verifies and decodes the log, and moves the checkpoint; \
             the bare one has its rows in memory and looks for none of its relationships"
        )),
    ])
}

/// Folds the log into a namespace of its own.
fn fold(runtime: &Runtime, bolt: &str, log: &Arc<dyn EventLog>, turn: usize) -> Result<Duration> {
    let options =
        Neo4jOptions::at(bolt).in_namespace(format!("bench_{}_{turn}", std::process::id()));
    let home: Arc<dyn Home> = Arc::new(Neo4j::at(&options)?);
    let view = named("graph")?;
    let runner = Runner::open_at(log.clone(), [(view, home.clone())])?;
    let begun = Instant::now();
    runtime.block_on(runner.fold_to_head())?;
    let spent = begun.elapsed();
    home.discard(view)?;
    Ok(spent)
}

/// The rows, as the client takes them.
struct Bare {
    graph: Graph,
    nodes: Vec<BoltType>,
    claims: [Vec<BoltType>; 2],
}

const NODES: &str =
    "SELECT lower(hex(entity)), scan, workspace, cursor, kind, key FROM nodes ORDER BY cursor";
/// Without a subject, and with one: their relationships are made by two statements.
const CLAIMS: [&str; 2] = [
    "SELECT lower(hex(object)), lower(hex(object)), scan, cursor, lower(hex(finding)), workspace, module, relation,
        in_scope, confidence, observed_at, direction FROM claims WHERE subject IS NULL ORDER BY cursor",
    "SELECT lower(hex(subject)), lower(hex(object)), scan, cursor, lower(hex(finding)), workspace, module, relation,
        in_scope, confidence, observed_at, direction FROM claims WHERE subject IS NOT NULL ORDER BY cursor",
];

const RULES: [&str; 3] = [
    "CREATE CONSTRAINT entity@ FOR (n:Entity@) REQUIRE (n.entity, n.scan) IS UNIQUE",
    "CREATE INDEX met@ FOR (n:Entity@) ON (n.scan, n.cursor)",
    "CREATE CONSTRAINT claim@ FOR ()-[c:Claim@]-() REQUIRE c.cursor IS UNIQUE",
];
const MEET: &str = "UNWIND $rows AS r MERGE (n:Entity@ {entity: r[0], scan: r[1]})
    ON CREATE SET n.workspace = r[2], n.cursor = r[3], n.kind = r[4], n.key = r[5]";
const CLAIM: &str = "UNWIND $rows AS r
    MATCH (s:Entity@ {entity: r[0], scan: r[2]}) MATCH (o:Entity@ {entity: r[1], scan: r[2]})
    CREATE (s)-[:Claim@ {cursor: r[3], finding: r[4], workspace: r[5], module: r[6], relation: r[7],
        in_scope: r[8], confidence: r[9], observed_at: r[10], direction: r[11]}]->(o)";
const ERASE: [&str; 2] = [
    "MATCH ()-[c:Claim@]->() CALL (c) { DELETE c } IN TRANSACTIONS OF 10000 ROWS",
    "MATCH (n:Entity@) CALL (n) { DELETE n } IN TRANSACTIONS OF 10000 ROWS",
];

impl Bare {
    fn new(runtime: &Runtime, bolt: &str, log: &Arc<dyn EventLog>, data: &Path) -> Result<Self> {
        runtime.block_on(Runner::open(data, log.clone())?.fold_view_to_head("graph"))?;
        let rows = Connection::open(newest(&data.join("views"), "graph")?)?;
        let _entered = runtime.enter();
        let config = ConfigBuilder::default().uri(bolt).user("").password("");
        Ok(Self {
            graph: Graph::connect(config.build()?)?,
            nodes: read(&rows, NODES)?,
            claims: [read(&rows, CLAIMS[0])?, read(&rows, CLAIMS[1])?],
        })
    }

    fn load(&self, runtime: &Runtime, turn: usize) -> Result<Duration> {
        let mark = format!("_bare_{}_{turn}", std::process::id());
        let run = |text: &str, rows: &[BoltType]| {
            let query = query(&text.replace('@', &mark)).param("rows", rows.to_vec());
            runtime.block_on(self.graph.run(query))
        };
        let begun = Instant::now();
        for rule in RULES {
            run(rule, &[])?;
        }
        self.nodes
            .chunks(ROWS)
            .try_for_each(|rows| run(MEET, rows))?;
        for claims in &self.claims {
            claims.chunks(ROWS).try_for_each(|rows| run(CLAIM, rows))?;
        }
        let spent = begun.elapsed();
        ERASE.iter().try_for_each(|text| run(text, &[]))?;
        Ok(spent)
    }
}

fn read(connection: &Connection, sql: &str) -> Result<Vec<BoltType>> {
    let mut statement = connection.prepare(sql)?;
    let width = statement.column_count();
    let rows = statement.query_map([], |row| {
        let values = (0..width).map(|column| {
            Ok(match row.get_ref(column)? {
                ValueRef::Integer(integer) => integer.into(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
                ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => BoltType::Null(BoltNull),
            })
        });
        values
            .collect::<rusqlite::Result<Vec<BoltType>>>()
            .map(BoltType::from)
    })?;
    let rows: Vec<BoltType> = rows.collect::<rusqlite::Result<_>>()?;
    ensure!(!rows.is_empty(), "no rows: {sql}");
    Ok(rows)
}
