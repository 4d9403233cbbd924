//! Folding the log into a view against bare multi-row inserts of the same rows.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use mirage_log::EventLog;
use mirage_log::sqlite::Sqlite;
use mirage_projections::catalog::Catalog;
use mirage_projections::search::Search;
use mirage_projections::{Registered, Runner, registered};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use tokio::runtime::Runtime;

use crate::append::commits;
use crate::row::{Row, median};

const COMMITS: usize = 1_500;
const EVENTS: usize = 100;
const ROUNDS: usize = 5;
/// Rows of one bare statement, and statements of one bare transaction: about a batch of the runner.
const ROWS: usize = 32;
const STATEMENTS: usize = 128;

/// One table's rows as the view holds them.
struct Table {
    name: String,
    columns: usize,
    rows: Vec<Vec<Value>>,
}

/// A view alone, what feeds its indexes in the bare one beside the rows, and what DESIGN wants.
struct View {
    views: &'static [Registered],
    /// `?1` and `?2` are the least and greatest first column of a batch.
    index: &'static [&'static str],
    wanted: &'static str,
}

static VIEWS: [View; 2] = [
    View {
        views: &[registered::<Catalog>()],
        index: &[],
        wanted: "≥ 0.8×",
    },
    View {
        views: &[registered::<Search>()],
        index: &[
            "INSERT INTO words (rowid, key, text, marks)
             SELECT cursor, key, text, marks FROM indexed WHERE cursor BETWEEN ?1 AND ?2",
            "INSERT INTO parts (rowid, key, unspaced)
             SELECT cursor, key, unspaced FROM indexed WHERE cursor BETWEEN ?1 AND ?2",
        ],
        wanted: "≥ 0.9×",
    },
];

pub(crate) fn run(dir: &Path) -> Result<Vec<Row>> {
    let place = tempfile::tempdir_in(dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let log: Arc<dyn EventLog> = Arc::new(Sqlite::open(place.path())?);
    runtime.block_on(async {
        for batch in commits(0, COMMITS, EVENTS).chunks(64) {
            let batch = batch.iter().map(|commit| log.append(commit.clone(), None));
            futures::future::try_join_all(batch).await?;
        }
        anyhow::Ok(())
    })?;
    let measured = VIEWS.iter().map(|view| measure(dir, view, &log, &runtime));
    measured.collect()
}

fn measure(dir: &Path, view: &View, log: &Arc<dyn EventLog>, runtime: &Runtime) -> Result<Row> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut source = None;
    for _ in 0..ROUNDS {
        let data = tempfile::tempdir_in(dir)?;
        let begun = Instant::now();
        let views = Runner::open_views(data.path(), log.clone(), view.views)?;
        runtime.block_on(views.fold_to_head())?;
        ours.push((COMMITS * EVENTS) as f64 / begun.elapsed().as_secs_f64());
        drop(views);
        if source.is_none() {
            source = Some(content(&data.path().join("views"))?);
        }
        let (schema, tables) = source.as_ref().expect("just read");
        let begun = Instant::now();
        insert(&data.path().join("bare.db"), schema, tables, view.index)?;
        theirs.push((COMMITS * EVENTS) as f64 / begun.elapsed().as_secs_f64());
    }
    let what = format!("{} projection, 150 000 findings", view.views[0].name);
    let rates = (median(ours), median(theirs));
    let remark =
        "ours also reads, verifies and decodes the log; the bare one has its rows in memory";
    Ok(Row::rates(&what, "events", rates, view.wanted).remark(remark))
}

/// Schema and rows of the one view in a folder, in the order in which they were inserted.
fn content(views: &Path) -> Result<(Vec<String>, Vec<Table>)> {
    let file = std::fs::read_dir(views)?
        .filter_map(Result::ok)
        .map(|entry| entry.path());
    let mut files = file.filter(|path| path.extension().is_some_and(|extension| extension == "db"));
    let connection = Connection::open(files.next().expect("the view's file"))?;
    // An index of FTS5 makes its own tables.
    let sql = "SELECT s.sql FROM sqlite_schema s LEFT JOIN pragma_table_list l ON l.schema = 'main' AND l.name = s.name
        WHERE s.sql IS NOT NULL AND l.type IS NOT 'shadow' ORDER BY s.rowid";
    let schema: Vec<String> = connection
        .prepare(sql)?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let sql = "SELECT name FROM pragma_table_list
        WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'";
    let names: Vec<String> = connection
        .prepare(sql)?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut tables = Vec::new();
    for name in names {
        let mut statement = connection.prepare(&format!("SELECT * FROM {name}"))?;
        let columns = statement.column_count();
        let rows = statement
            .query_map([], |row| {
                (0..columns).map(|column| row.get(column)).collect()
            })?
            .collect::<rusqlite::Result<_>>()?;
        tables.push(Table {
            name,
            columns,
            rows,
        });
    }
    Ok((schema, tables))
}

fn insert(path: &Path, schema: &[String], tables: &[Table], index: &[&str]) -> Result<()> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    for statement in schema {
        connection.execute_batch(statement)?;
    }
    for table in tables {
        let one = format!("({})", vec!["?"; table.columns].join(","));
        for batch in table.rows.chunks(ROWS * STATEMENTS) {
            connection.execute_batch("BEGIN IMMEDIATE")?;
            for rows in batch.chunks(ROWS) {
                let many = vec![one.as_str(); rows.len()].join(",");
                let sql = format!("INSERT OR IGNORE INTO {} VALUES {many}", table.name);
                connection
                    .prepare_cached(&sql)?
                    .execute(params_from_iter(rows.iter().flatten()))?;
            }
            let ends = [&batch[0][0], &batch[batch.len() - 1][0]];
            for sql in index.iter().filter(|_| table.name == "documents") {
                connection.prepare_cached(sql)?.execute(ends)?;
            }
            connection.execute_batch("COMMIT")?;
        }
    }
    Ok(())
}
