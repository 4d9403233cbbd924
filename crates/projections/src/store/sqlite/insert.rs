//! Operations as multi-row inserts by cached statements.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};

use crate::operations::{Operations, Rows, Value};

/// Rows of one statement, greatest first. Few sizes, so that each is prepared once; beyond 64 rows the work on the
/// indexes outweighs what a longer statement saves.
const STEPS: [usize; 3] = [64, 8, 1];

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match self {
            Self::Null => ValueRef::Null,
            Self::Integer(integer) => ValueRef::Integer(*integer),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Id(id) => ValueRef::Blob(id),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

/// Inserts every row whose key is absent. The caller holds the transaction.
pub(crate) fn execute(connection: &Connection, operations: &Operations) -> rusqlite::Result<()> {
    operations
        .tables()
        .try_for_each(|rows| insert(connection, rows))
}

fn insert(connection: &Connection, rows: &Rows) -> rusqlite::Result<()> {
    let width = rows.table.columns.len();
    let mut rest = &rows.values[..];
    for step in STEPS {
        if rest.len() < step * width {
            continue;
        }
        let mut statement = connection.prepare_cached(&sql(rows, step))?;
        while rest.len() >= step * width {
            let (now, later) = rest.split_at(step * width);
            for (index, value) in now.iter().enumerate() {
                statement.raw_bind_parameter(index + 1, value)?;
            }
            statement.raw_execute()?;
            rest = later;
        }
    }
    Ok(())
}

fn sql(rows: &Rows, count: usize) -> String {
    let columns = rows.table.columns;
    let row = format!("({})", vec!["?"; columns.len()].join(", "));
    format!(
        "INSERT INTO {} ({}) VALUES {} ON CONFLICT DO NOTHING",
        rows.table.name,
        columns.join(", "),
        vec![row.as_str(); count].join(", ")
    )
}
