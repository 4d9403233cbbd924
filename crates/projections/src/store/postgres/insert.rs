//! Operations as bulk loads: a copy where no key comes twice, otherwise one insert a table.
//!
//! Measured at 100 000 findings, all indexes in place, against bare copies of the same rows: inserts of arrays 0.46×,
//! copies into temporary tables and inserts from there 0.65×, copies where they can be made 0.80×.

use std::collections::HashSet;

use bytes::{Bytes, BytesMut};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};

use super::client::Client;
use super::seen::Seen;
use crate::Value;
use crate::operations::Rows;

/// Rows of a table for which a copy and the savepoint before it are worth their round trips.
const COPY_MIN: usize = 64;

/// What every binary copy begins with: a signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: i16 = -1;

/// Inserts every row whose key is absent; `repeating` remembers tables in which keys come twice. The caller holds the
/// transaction.
pub(super) fn execute<'a>(
    client: &Client,
    tables: impl Iterator<Item = &'a Rows>,
    repeating: &mut HashSet<&'static str>,
) -> Result<(), Error> {
    for rows in tables.filter(|rows| !rows.values.is_empty()) {
        let table = rows.table.name;
        if rows.lines().len() >= COPY_MIN && !repeating.contains(table) {
            if try_copy(client, rows)? {
                continue;
            }
            repeating.insert(table);
        }
        insert(client, rows)?;
    }
    Ok(())
}

/// The copy of a table without a key: all rows but those whose key the batch has said before, or one before it as far
/// as that is remembered.
pub(super) fn keyless(rows: &Rows, key: &[String], seen: &mut Seen) -> (String, Bytes) {
    (statement(rows), binary(firsts(rows, key, seen)))
}

/// Copies rows; false, and nothing is written, if a key is there already.
fn try_copy(client: &Client, rows: &Rows) -> Result<bool, Error> {
    client.run("SAVEPOINT copy")?;
    match client.copy(&statement(rows), binary(rows.lines())) {
        Ok(()) => client.run("RELEASE copy").map(|()| true),
        Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
            client.run("ROLLBACK TO copy").map(|()| false)
        }
        Err(error) => Err(error),
    }
}

fn statement(rows: &Rows) -> String {
    let (table, columns) = (rows.table.name, rows.table.columns.join(", "));
    format!("COPY {table} ({columns}) FROM STDIN BINARY")
}

/// The rows whose keys come for the first time.
fn firsts<'a>(
    rows: &'a Rows,
    key: &[String],
    seen: &mut Seen,
) -> impl Iterator<Item = &'a [Value]> {
    let columns = rows.table.columns.iter().enumerate();
    let of_key = columns.filter(|(_, column)| key.iter().any(|key| key == *column));
    let of_key: Vec<usize> = of_key.map(|(at, _)| at).collect();
    // An event's rows come with it alone, so none of another batch has its cursor.
    let may_repeat = !key.iter().any(|column| column == "cursor");
    let (table, mut known) = (rows.table.name, HashSet::new());
    rows.lines().filter(move |line| {
        let key: Vec<&Value> = of_key.iter().map(|at| &line[*at]).collect();
        if !known.insert(key.clone()) {
            return false;
        }
        !may_repeat || seen.is_new(&(table, key))
    })
}

/// Rows as a binary copy receives them.
fn binary<'a>(lines: impl Iterator<Item = &'a [Value]>) -> Bytes {
    let mut out = BytesMut::from(HEADER);
    for line in lines {
        out.extend_from_slice(&(line.len() as i16).to_be_bytes());
        line.iter().for_each(|value| push(value, &mut out));
    }
    out.extend_from_slice(&TRAILER.to_be_bytes());
    out.freeze()
}

/// A value with its length before it. A commit has 256 KB, and so has no value more.
fn push(value: &Value, out: &mut BytesMut) {
    value.written(|bytes| {
        let length = bytes.map_or(-1, |bytes| bytes.len() as i32);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(bytes.unwrap_or_default());
    });
}

/// Each column is an array, so a statement is prepared once for any number of rows.
fn insert(client: &Client, rows: &Rows) -> Result<(), Error> {
    let (table, columns) = (rows.table.name, rows.table.columns.join(", "));
    let kinds = client.kinds(&format!("SELECT {columns} FROM {table}"))?;
    let arrays: Vec<String> = kinds.iter().map(|kind| format!("?::{kind}[]")).collect();
    let arrays = arrays.join(", ");
    let sql = format!(
        "INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING"
    );
    let columns: Vec<Column<'_>> = (0..kinds.len()).map(|at| Column { rows, at }).collect();
    let values: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| column as _).collect();
    client.execute(&sql, &values)?;
    Ok(())
}

/// One column of all rows.
#[derive(Debug)]
struct Column<'a> {
    rows: &'a Rows,
    at: usize,
}

impl Column<'_> {
    fn values(&self) -> impl Iterator<Item = &Value> {
        let width = self.rows.table.columns.len();
        self.rows.values.iter().skip(self.at).step_by(width)
    }
}

/// An array of one dimension, as PostgreSQL receives it.
impl ToSql for Column<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Kind::Array(element) = kind.kind() else {
            return Err(format!("a column is bound where {kind} is asked for").into());
        };
        let count = i32::try_from(self.values().count())?;
        let (dimensions, has_nulls, first) = (1_i32, 1_i32, 1_i32);
        out.extend_from_slice(&dimensions.to_be_bytes());
        out.extend_from_slice(&has_nulls.to_be_bytes());
        out.extend_from_slice(&element.oid().to_be_bytes());
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(&first.to_be_bytes());
        self.values().for_each(|value| push(value, out));
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
