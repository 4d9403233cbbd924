//! Bare multi-row upserts of a schema's rows into tables like its own, their keys in place.
//!
//! A statement takes a column as an array, so it is prepared once; a transaction takes a batch of the runner's size.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

/// Rows of one statement and transaction.
const ROWS: usize = 8_192;

/// The rows of one table, batch by batch, column by column, in the order of their cursors where they have one.
pub(super) struct Table {
    name: String,
    columns: Vec<(String, &'static str)>,
    batches: Vec<Vec<Column>>,
}

enum Column {
    Integers(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Column {
    fn of(rows: &[Row], at: usize) -> Result<Self> {
        Ok(match *rows[0].columns()[at].type_() {
            Type::INT8 => Self::Integers(rows.iter().map(|row| row.get(at)).collect()),
            Type::TEXT => Self::Texts(rows.iter().map(|row| row.get(at)).collect()),
            Type::BYTEA => Self::Bytes(rows.iter().map(|row| row.get(at)).collect()),
            ref other => bail!("a view has no column of {other}"),
        })
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Integers(_) => "bigint",
            Self::Texts(_) => "text",
            Self::Bytes(_) => "bytea",
        }
    }

    fn array(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Integers(values) => values,
            Self::Texts(values) => values,
            Self::Bytes(values) => values,
        }
    }
}

pub(super) async fn read(client: &Client, schema: &str) -> Result<Vec<Table>> {
    let names = "SELECT t.tablename::text, EXISTS (SELECT FROM information_schema.columns c
            WHERE c.table_schema = t.schemaname AND c.table_name = t.tablename AND c.column_name = 'cursor')
        FROM pg_tables t WHERE schemaname = $1 ORDER BY 1";
    let mut tables = Vec::new();
    for row in client.query(names, &[&schema]).await? {
        let (name, has_cursor): (String, bool) = (row.get(0), row.get(1));
        let order = if has_cursor { " ORDER BY cursor" } else { "" };
        let select = format!("SELECT * FROM {schema}.{name}{order}");
        let rows = client.query(&select, &[]).await?;
        let Some(first) = rows.first() else { continue };
        let columns: Vec<String> = (first.columns().iter())
            .map(|column| column.name().to_owned())
            .collect();
        let batch = |rows: &[Row]| -> Result<Vec<Column>> {
            (0..columns.len()).map(|at| Column::of(rows, at)).collect()
        };
        let batches: Vec<Vec<Column>> = rows.chunks(ROWS).map(batch).collect::<Result<_>>()?;
        let kinds: Vec<&'static str> = batches[0].iter().map(Column::kind).collect();
        tables.push(Table {
            name,
            columns: columns.into_iter().zip(kinds).collect(),
            batches,
        });
    }
    Ok(tables)
}

/// Seconds for all rows.
pub(super) async fn load(client: &Client, tables: &[Table], schema: &str) -> Result<f64> {
    client.batch_execute("CREATE SCHEMA bare").await?;
    let begun = Instant::now();
    for table in tables {
        upsert(client, table, schema).await.context("upserts")?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    client.batch_execute("DROP SCHEMA bare CASCADE").await?;
    Ok(seconds)
}

async fn upsert(client: &Client, table: &Table, schema: &str) -> Result<()> {
    let name = &table.name;
    let create = format!("CREATE TABLE bare.{name} (LIKE {schema}.{name} INCLUDING INDEXES)");
    client.batch_execute(&create).await?;
    let listed = table.columns.iter().map(|(column, _)| column.as_str());
    let columns = listed.collect::<Vec<_>>().join(", ");
    let arrays = table.columns.iter().enumerate();
    let arrays = arrays.map(|(at, (_, kind))| format!("${}::{kind}[]", at + 1));
    let arrays = arrays.collect::<Vec<_>>().join(", ");
    let sql = format!(
        "INSERT INTO bare.{name} ({columns}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING"
    );
    let statement = client.prepare(&sql).await?;
    for batch in &table.batches {
        let values: Vec<_> = batch.iter().map(Column::array).collect();
        client.execute(&statement, &values).await?;
    }
    Ok(())
}
