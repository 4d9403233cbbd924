//! The catalog on PostgreSQL, folded live and built anew, beside a bare load of the same rows.
//!
//! The live view has its keys and indexes from the beginning: it is held against upserts of the same rows (`upserts`),
//! and against copies, which no row may meet that is there already. The rebuild makes keys and indexes when all rows are
//! there, and analyzes the tables: it is held against copies that do so too, fed by a bare reader of the log (`fed`),
//! and against copies of rows from nowhere. What is copied the bare one has in memory, as the server reads it. A server
//! gets faster as it works, so all take turns, and the first turn does not count.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::{SinkExt, TryStreamExt};
use mirage_log::EventLog;
use mirage_log::sqlite::Sqlite;
use mirage_projections::{Home, Postgres, PostgresOptions, Registered, Runner, named};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls};

use super::fed::Reader;
use super::made::Company;
use super::upserts;
use crate::row::{Row, grouped};

/// Of the findings that are asked for: a server takes a tenth of a file's rate.
const PART: usize = 10;
/// The first one warms the server.
const TURNS: usize = 4;

/// Parts of the log after which the fed copies go on; as many batches a rebuild of this size has.
const PARTS: usize = 25;
/// What a binary copy begins and ends with.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: &[u8] = &[0xff, 0xff];

/// Where every turn's schemas begin.
const PREFIX: &str = "turn";

pub(crate) fn run(dir: &Path, findings: usize) -> Result<Vec<Row>> {
    let Some(server) = mirage_servers::postgres_alone() else {
        return Ok(Vec::new());
    };
    let (place, runtime) = (tempfile::tempdir_in(dir)?, runtime()?);
    let log: Arc<dyn EventLog> = Arc::new(Sqlite::open(place.path())?);
    let findings = findings / PART;
    runtime.block_on(Company::default().grow(&*log, findings))?;
    let url = server.url();
    let client = runtime.block_on(connect(&url))?;
    let view = named("catalog")?;
    let (mut tables, mut rows) = (Vec::new(), Vec::new());
    // Seconds of ours and of the bare one: live against upserts, live against copies, anew, anew against fed ones.
    let mut spent = [[0.0; 2]; 4];
    for turn in 0..TURNS {
        let quiet = || runtime.block_on(client.batch_execute("CHECKPOINT"));
        quiet()?;
        let [live, anew] = ours(&runtime, &log, &url, view, turn, &quiet)?;
        let schema = format!("{PREFIX}{turn}_{}_{}_1", view.name, view.version);
        if turn == 0 {
            tables = runtime.block_on(read(&client, &schema))?;
            rows = runtime.block_on(upserts::read(&client, &schema))?;
        }
        let mut bare = [0.0; 4];
        quiet()?;
        bare[0] = runtime.block_on(upserts::load(&client, &rows, &schema))?;
        let ways = [(true, None), (false, None), (false, Some(place.path()))];
        for (bare, (is_live, log)) in bare[1..].iter_mut().zip(ways) {
            quiet()?;
            *bare = runtime.block_on(load(&client, &tables, &schema, is_live, log))?;
        }
        runtime.block_on(forget(&client, turn))?;
        let counts = f64::from(u8::from(turn > 0)) / (TURNS - 1) as f64;
        for (sum, (ours, bare)) in spent
            .iter_mut()
            .zip([live, live, anew, anew].into_iter().zip(bare))
        {
            sum[0] += ours * counts;
            sum[1] += bare * counts;
        }
    }
    Ok(vec![
        row(findings, "fold", "upserts", "≥ 0.8×", spent[0]),
        row(findings, "fold", "copies that meet no row", "–", spent[1]),
        row(
            findings,
            "rebuild",
            "copies fed by the log",
            "≥ 0.8×",
            spent[3],
        ),
        row(
            findings,
            "rebuild",
            "copies of rows from nowhere",
            "–",
            spent[2],
        ),
    ])
}

fn row(findings: usize, what: &str, against: &str, wanted: &str, [ours, bare]: [f64; 2]) -> Row {
    let rates = (findings as f64 / ours, findings as f64 / bare);
    let what = format!(
        "{} findings, {what} of the catalog on PostgreSQL, against {against}",
        grouped(findings as f64)
    );
    Row::rates(&what, "findings", rates, wanted).remark(format!(
        "{ours:.2} s against {bare:.2} s; ours reads, verifies and decodes the log; the bare one has its rows in memory, \
         and reads the log beside it where it is said"
    ))
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?)
}

/// Seconds of a fold into a place of its own, and of a rebuild beside it.
fn ours(
    runtime: &Runtime,
    log: &Arc<dyn EventLog>,
    url: &str,
    view: &'static Registered,
    turn: usize,
    quiet: &dyn Fn() -> Result<(), tokio_postgres::Error>,
) -> Result<[f64; 2]> {
    let options = PostgresOptions {
        url: url.to_owned(),
        prefix: format!("{PREFIX}{turn}"),
        ..PostgresOptions::default()
    };
    let home: Arc<dyn Home> = Arc::new(Postgres::new(&options)?);
    let runner = Runner::open_at(log.clone(), [(view, home)])?;
    let begun = Instant::now();
    runtime.block_on(runner.fold_to_head())?;
    let live = begun.elapsed().as_secs_f64();
    quiet()?;
    let begun = Instant::now();
    runtime.block_on(runner.rebuild(view.name))?;
    Ok([live, begun.elapsed().as_secs_f64()])
}

/// The rows of one table, as they are copied.
struct Table {
    name: String,
    rows: Vec<Bytes>,
}

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    client
        .batch_execute("SET synchronous_commit = off; SET client_min_messages = warning")
        .await?;
    Ok(client)
}

async fn read(client: &Client, schema: &str) -> Result<Vec<Table>> {
    let names = "SELECT tablename::text FROM pg_tables WHERE schemaname = $1 ORDER BY 1";
    let mut tables = Vec::new();
    for row in client.query(names, &[&schema]).await? {
        let name: String = row.get(0);
        let copy = format!("COPY {schema}.{name} TO STDOUT BINARY");
        let told: Vec<Bytes> = client.copy_out(&copy).await?.try_collect().await?;
        let is_row = |piece: &Bytes| !piece.is_empty() && piece != TRAILER;
        // The server sends the header with the first row, and the end by itself.
        let bare = |piece: Bytes| match piece.strip_prefix(HEADER) {
            Some(row) => piece.slice_ref(row),
            None => piece,
        };
        let rows = told.into_iter().map(bare).filter(is_row).collect();
        tables.push(Table { name, rows });
    }
    Ok(tables)
}

/// Seconds for all rows of a schema into new tables like its own; fed, if a log is named: no row goes in before its
/// part of the log was read.
async fn load(
    client: &Client,
    tables: &[Table],
    schema: &str,
    is_live: bool,
    log: Option<&Path>,
) -> Result<f64> {
    client.batch_execute("CREATE SCHEMA bare").await?;
    let begun = Instant::now();
    let reader = log.map(|log| Reader::start(log.to_owned()));
    for table in tables {
        create(client, table, schema, is_live).await?;
    }
    let parts = if reader.is_some() { PARTS } else { 1 };
    for part in 0..parts {
        if let Some(reader) = &reader {
            reader.wait((part + 1) as f64 / parts as f64);
        }
        for table in tables {
            let rows = &table.rows;
            let range = rows.len() * part / parts..rows.len() * (part + 1) / parts;
            copy(client, &table.name, &rows[range]).await?;
        }
    }
    if let Some(reader) = reader {
        reader.end()?;
    }
    if !is_live {
        for table in tables {
            put_in_order(client, table, schema).await?;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    client.batch_execute("DROP SCHEMA bare CASCADE").await?;
    Ok(seconds)
}

async fn create(client: &Client, table: &Table, schema: &str, is_live: bool) -> Result<()> {
    let name = &table.name;
    let create = format!("CREATE TABLE bare.{name} (LIKE {schema}.{name}");
    let indexes = if is_live { " INCLUDING INDEXES" } else { "" };
    Ok(client.batch_execute(&format!("{create}{indexes})")).await?)
}

async fn copy(client: &Client, table: &str, rows: &[Bytes]) -> Result<()> {
    let sink = client
        .copy_in(&format!("COPY bare.{table} FROM STDIN BINARY"))
        .await?;
    let mut sink = pin!(sink);
    sink.feed(Bytes::from_static(HEADER)).await?;
    for row in rows {
        sink.feed(row.clone()).await?;
    }
    sink.feed(Bytes::from_static(TRAILER)).await?;
    sink.finish().await?;
    Ok(())
}

async fn put_in_order(client: &Client, table: &Table, schema: &str) -> Result<()> {
    let name = &table.name;
    let indexes = "SELECT replace(indexdef, schemaname || '.', 'bare.') FROM pg_indexes
        WHERE schemaname = $1 AND tablename = $2";
    for row in client.query(indexes, &[&schema, name]).await? {
        client.batch_execute(row.get(0)).await.context("an index")?;
    }
    client
        .batch_execute(&format!("ANALYZE bare.{name}"))
        .await?;
    Ok(())
}

/// Drops what a turn left.
async fn forget(client: &Client, turn: usize) -> Result<()> {
    let schemas = "SELECT nspname::text FROM pg_namespace WHERE starts_with(nspname, $1)";
    let prefix = format!("{PREFIX}{turn}");
    for row in client.query(schemas, &[&prefix]).await? {
        let schema: &str = row.get(0);
        client
            .batch_execute(&format!("DROP SCHEMA \"{schema}\" CASCADE"))
            .await?;
    }
    Ok(())
}
