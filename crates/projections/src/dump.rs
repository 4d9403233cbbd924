//! The canonical dump: every table of a view as JSON lines, equal for equal views.
//!
//! Tables by name, rows by primary key, columns in the schema's order, bytes in hexadecimal. A full-text index is no
//! part of it: its pages tell how it was merged, and what it says is in the table that it indexes.
//! **Never:** a row number of the store or a time of writing.

use std::io::Write;

use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};

use crate::row::{Row, ValueRef};
use crate::store::meilisearch::Asked;
use crate::{Db, Error};

/// Writes the canonical dump of a view as of its checkpoint.
pub fn dump(db: &Db, out: &mut dyn Write) -> Result<(), Error> {
    if let Some(asked) = db.meilisearch() {
        return documents(db, asked, out);
    }
    db.at_one_moment(|| db.each_row(|table, row| write_row(db, table, row, out)))
}

fn write_row(db: &Db, table: &str, row: &Row<'_>, out: &mut dyn Write) -> Result<(), Error> {
    let mut fields = Map::new();
    for (index, column) in row.columns().into_iter().enumerate() {
        let value = row.get_ref(index);
        let value = value.map_err(|cause| Error::query(db.view(), cause))?;
        fields.insert(column.to_owned(), shown(value));
    }
    write_fields(db, table, fields, out)
}

/// Tables of a store that keeps rows as they are shown.
fn documents(db: &Db, asked: &Asked, out: &mut dyn Write) -> Result<(), Error> {
    let until = db.checkpoint()?;
    Asked::TABLES.iter().try_for_each(|table| {
        asked.each_shown(db.view(), table, until, |fields| {
            write_fields(db, table, fields, out)
        })
    })
}

fn write_fields(
    db: &Db,
    table: &str,
    fields: Map<String, Value>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let view = db.view().name;
    let line = json!({ "table": table, "row": fields });
    writeln!(out, "{line}").map_err(|source| Error::Dump { view, source })
}

fn shown(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => integer.into(),
        ValueRef::Text(text) => text.into(),
        ValueRef::Blob(bytes) => HEXLOWER.encode(bytes).into(),
    }
}
