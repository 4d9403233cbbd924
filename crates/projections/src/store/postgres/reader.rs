//! A connection that asks a build of a view; it goes back to its home for the next question.

use std::cell::Cell;
use std::sync::Arc;

use mirage_domain::id::FindingId;
use tokio_postgres::Error;

use super::build;
use super::client::{Answer, Client};
use super::idle::Idle;
use crate::Value;
use crate::store::Checkpoint;

/// For connections that ask: nothing is written but what has fallen, which is of the connection alone. A condition on
/// it must stay a hash in memory; looked through for each row it would take for ever.
const SESSION: &str = "
    CREATE TEMP TABLE IF NOT EXISTS fallen (finding BYTEA PRIMARY KEY);
    SET work_mem = '32MB';
    SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY";

/// See the module's doc.
pub(crate) struct Reader {
    /// None only while it is dropped.
    client: Option<Client>,
    /// Something is left out.
    has_fallen: Cell<bool>,
    home: Option<Arc<Idle>>,
}

impl Reader {
    /// A fresh connection within a build's schema.
    pub(super) fn over(client: Client, home: Option<Arc<Idle>>) -> Result<Self, Error> {
        client.run(SESSION)?;
        Ok(Self::again(client, home))
    }

    /// A connection that has asked before.
    pub(super) fn again(client: Client, home: Option<Arc<Idle>>) -> Self {
        Self {
            client: Some(client),
            has_fallen: Cell::new(false),
            home,
        }
    }

    fn client(&self) -> &Client {
        self.client.as_ref().expect("there until it is dropped")
    }

    pub(crate) fn checkpoint(&self) -> Result<Checkpoint, Error> {
        build::checkpoint(self.client())
    }

    pub(crate) fn tables(&self) -> Result<Vec<(String, Vec<String>)>, Error> {
        build::tables(self.client())
    }

    pub(crate) fn ask(&self, sql: &str, values: &[Value]) -> Result<Answer, Error> {
        self.client().ask(sql, values)
    }

    pub(crate) fn exclude(&self, fallen: &[FindingId]) -> Result<(), Error> {
        if fallen.is_empty() && !self.has_fallen.get() {
            return Ok(());
        }
        self.has_fallen.set(true);
        let client = self.client();
        client.run("BEGIN READ WRITE; TRUNCATE pg_temp.fallen")?;
        let insert = "INSERT INTO pg_temp.fallen SELECT unnest(?::bytea[]) ON CONFLICT DO NOTHING";
        let ids: Vec<&[u8]> = fallen.iter().map(|finding| &finding.0[..]).collect();
        let inserted = client.execute(insert, &[&ids]);
        match inserted {
            Ok(_) => client.run("COMMIT; ANALYZE pg_temp.fallen"),
            Err(error) => {
                client.roll_back();
                Err(error)
            }
        }
    }

    /// Begins to answer from one moment; ended by [`Reader::end`].
    pub(crate) fn begin(&self) -> Result<(), Error> {
        self.client()
            .run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    }

    pub(crate) fn end(&self) {
        self.client().roll_back();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let Some((client, home)) = self.client.take().zip(self.home.take()) else {
            return;
        };
        home.put(client, self.has_fallen.get());
    }
}
