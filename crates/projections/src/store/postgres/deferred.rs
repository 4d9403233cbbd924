//! What a rebuild does without until all of its rows are there: keys and indexes.
//!
//! Sorting all rows once costs a fraction of finding a place for each. Nobody asks such a build yet, and one process
//! alone writes it. Without a key a row that is there already comes again. The first one stays at the end: that of the
//! earliest transaction, within which no key comes twice (`insert`).

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::build::tables;
use super::client::Client;

/// See the module's doc.
pub(super) struct Deferred {
    /// Tables, each with the columns of its key.
    keys: Vec<(String, Vec<String>)>,
    /// The statements that make the indexes.
    indexes: Vec<String>,
}

/// Indexes that no key has made, and what makes them.
const INDEXES: &str = "SELECT c.relname::text, pg_get_indexdef(c.oid)
    FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace AND NOT i.indisprimary
    ORDER BY c.oid";

impl Deferred {
    /// Takes keys and indexes from the tables of the schema, which are empty.
    pub(super) fn from(client: &Client) -> Result<Self, Error> {
        let mut indexes = Vec::new();
        for row in client.rows(INDEXES, &[])? {
            client.run(&format!("DROP INDEX \"{}\"", row.get::<_, &str>(0)))?;
            indexes.push(row.get(1));
        }
        let keys = tables(client)?;
        for (table, _) in &keys {
            client.run(&format!(
                "ALTER TABLE \"{table}\" DROP CONSTRAINT \"{table}_pkey\""
            ))?;
        }
        Ok(Self { keys, indexes })
    }

    /// The columns of a table's key, if it does without one.
    pub(super) fn key(&self, table: &str) -> Option<&[String]> {
        let found = self.keys.iter().find(|(name, _)| name == table);
        found.map(|(_, key)| &key[..])
    }

    /// Makes up for all of it. The caller holds the transaction.
    pub(super) fn make_up(&self, client: &Client) -> Result<(), Error> {
        for (table, columns) in &self.keys {
            let columns = columns.join("\", \"");
            let key = format!("ALTER TABLE \"{table}\" ADD PRIMARY KEY (\"{columns}\")");
            client.run("SAVEPOINT key")?;
            match client.run(&key) {
                Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                    client.run("ROLLBACK TO key")?;
                    client.run(&keep_firsts(table, &columns))?;
                    client.run(&key)?;
                }
                made => made?,
            }
        }
        self.indexes.iter().try_for_each(|index| client.run(index))
    }
}

/// Deletes the rows that came again.
fn keep_firsts(table: &str, columns: &str) -> String {
    format!(
        "DELETE FROM \"{table}\" again USING (
            SELECT \"{columns}\", max(age(xmin)) AS age FROM \"{table}\" GROUP BY \"{columns}\" HAVING count(*) > 1
         ) first WHERE (again.\"{again}\") = (first.\"{first}\") AND age(again.xmin) < first.age",
        again = columns.replace("\", \"", "\", again.\""),
        first = columns.replace("\", \"", "\", first.\""),
    )
}
