//! The canonical dump: every table of a view as JSON lines, equal for equal views.
//!
//! Tables by name, rows by primary key, columns in the schema's order, bytes in hexadecimal. A full-text index is no
//! part of it: its pages tell how it was merged, and what it says is in the table that it indexes.
//! **Never:** a row number of the store or a time of writing.

use std::io::Write;

use data_encoding::HEXLOWER;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::{Map, Value, json};

use crate::{Db, Error};

/// Writes the canonical dump of a view as of its checkpoint.
pub fn dump(db: &Db, out: &mut dyn Write) -> Result<(), Error> {
    let view = db.view().name;
    let fault = |source| Error::Query { view, source };
    // One transaction, so that all tables are of one checkpoint.
    let transaction = db.connection().unchecked_transaction().map_err(fault)?;
    for table in tables(&transaction).map_err(fault)? {
        let sql = ordered(&transaction, &table).map_err(fault)?;
        let mut statement = transaction.prepare(&sql).map_err(fault)?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([]).map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            let mut fields = Map::new();
            for (index, column) in columns.iter().enumerate() {
                fields.insert(column.clone(), shown(row.get_ref(index).map_err(fault)?));
            }
            let line = json!({ "table": table, "row": fields });
            writeln!(out, "{line}").map_err(|source| Error::Dump { view, source })?;
        }
    }
    Ok(())
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'
         ORDER BY name",
    )?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// The statement that reads a table in the order of its primary key; names come from the schema.
fn ordered(connection: &Connection, table: &str) -> rusqlite::Result<String> {
    let mut statement =
        connection.prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?;
    let keys: Vec<String> = statement
        .query_map([table], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let keys: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
    Ok(format!(
        "SELECT * FROM \"{table}\" ORDER BY {}",
        keys.join(", ")
    ))
}

fn shown(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => integer.into(),
        ValueRef::Real(real) => real.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => HEXLOWER.encode(bytes).into(),
    }
}
