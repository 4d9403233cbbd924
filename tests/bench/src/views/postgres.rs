//! The catalog on PostgreSQL, folded live and built anew, beside a bare load of the same rows.
//!
//! The bare one has its rows in memory as the server reads them, copies each table at once, and makes its indexes when
//! all rows are there; for the live view they are there before.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::{SinkExt, TryStreamExt};
use mirage_log::EventLog;
use mirage_log::sqlite::Sqlite;
use mirage_projections::{Home, Postgres, PostgresOptions, Runner, named};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls};

use super::made::Company;
use crate::row::{Row, grouped};

/// Of the findings that are asked for: a server takes a tenth of a file's rate.
const PART: usize = 10;

pub(crate) fn run(dir: &Path, findings: usize) -> Result<Vec<Row>> {
    let Some(server) = mirage_servers::postgres_alone() else {
        return Ok(Vec::new());
    };
    let (place, runtime) = (tempfile::tempdir_in(dir)?, runtime()?);
    let log: Arc<dyn EventLog> = Arc::new(Sqlite::open(place.path())?);
    let findings = findings / PART;
    runtime.block_on(Company::default().grow(&*log, findings))?;
    let options = PostgresOptions {
        url: server.url(),
        ..PostgresOptions::default()
    };
    let home: Arc<dyn Home> = Arc::new(Postgres::new(&options)?);
    let catalog = named("catalog")?;
    let runner = Runner::open_at(log, [(catalog, home)])?;
    let begun = Instant::now();
    runtime.block_on(runner.fold_to_head())?;
    let live = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    runtime.block_on(runner.rebuild(catalog.name))?;
    let rebuilt = begun.elapsed().as_secs_f64();
    let schema = format!("mirage_{}_{}_2", catalog.name, catalog.version);
    let row = |what: &str, seconds: f64, bare: f64| {
        let rates = (findings as f64 / seconds, findings as f64 / bare);
        let what = format!(
            "{} findings, {what} of the catalog on PostgreSQL",
            grouped(findings as f64)
        );
        Row::rates(&what, "findings", rates, "≥ 0.8×").remark(format!(
            "{seconds:.1} s against {bare:.1} s; ours also reads, verifies and decodes the log; the bare one has its \
             rows in memory"
        ))
    };
    let bare = |is_live| runtime.block_on(load(&server.url(), &schema, is_live));
    Ok(vec![
        row("fold", live, bare(true)?),
        row("rebuild", rebuilt, bare(false)?),
    ])
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?)
}

/// Seconds for all rows of a schema into new tables like its own.
async fn load(url: &str, schema: &str, is_live: bool) -> Result<f64> {
    let client = connect(url).await?;
    let mut seconds = 0.0;
    client
        .batch_execute("CREATE SCHEMA bare; SET synchronous_commit = off")
        .await?;
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = $1 ORDER BY 1";
    for row in client.query(tables, &[&schema]).await? {
        let table: String = row.get(0);
        let rows = client
            .copy_out(&format!("COPY {schema}.{table} TO STDOUT BINARY"))
            .await?;
        let rows: Vec<Bytes> = rows.try_collect().await?;
        let begun = Instant::now();
        copy(&client, schema, &table, rows, is_live).await?;
        seconds += begun.elapsed().as_secs_f64();
    }
    client.batch_execute("DROP SCHEMA bare CASCADE").await?;
    Ok(seconds)
}

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn copy(
    client: &Client,
    schema: &str,
    table: &str,
    rows: Vec<Bytes>,
    is_live: bool,
) -> Result<()> {
    let create = format!("CREATE TABLE bare.{table} (LIKE {schema}.{table}");
    let indexes = if is_live { " INCLUDING INDEXES" } else { "" };
    client.batch_execute(&format!("{create}{indexes})")).await?;
    let sink = client
        .copy_in(&format!("COPY bare.{table} FROM STDIN BINARY"))
        .await?;
    let mut sink = pin!(sink);
    for row in rows {
        sink.feed(row).await?;
    }
    sink.finish().await?;
    if !is_live {
        let indexes = "SELECT replace(indexdef, schemaname || '.', 'bare.') FROM pg_indexes
            WHERE schemaname = $1 AND tablename = $2";
        for row in client.query(indexes, &[&schema, &table]).await? {
            client.batch_execute(row.get(0)).await.context("an index")?;
        }
    }
    Ok(())
}
