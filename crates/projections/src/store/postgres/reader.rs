//! A connection that asks a build of a view; it goes back to its home for the next question.

use std::cell::Cell;

use mirage_domain::id::{FindingId, WorkspaceId};
use tokio_postgres::Error;

use super::client::{Answer, Client};
use super::{Postgres, build};
use crate::store::Checkpoint;
use crate::{Registered, Value};

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
    home: Postgres,
}

impl Reader {
    /// A fresh connection within a build's schema.
    pub(super) fn over(
        client: Client,
        home: &Postgres,
        view: &'static Registered,
    ) -> Result<Self, crate::Error> {
        home.0.wall.enter(&client, view)?;
        let made = client.run(SESSION);
        made.map_err(|error| crate::Error::open(view, error))?;
        Ok(Self::again(client, home))
    }

    /// A connection that has asked before.
    pub(super) fn again(client: Client, home: &Postgres) -> Self {
        Self {
            client: Some(client),
            has_fallen: Cell::new(false),
            home: home.clone(),
        }
    }

    /// From now on the rows of this workspace are seen.
    pub(crate) fn look_into(&self, workspace: &WorkspaceId) -> Result<(), Error> {
        self.client().look_into(workspace.as_str())
    }

    /// Asks what belongs to no workspace: a dump, which is the operator's.
    pub(crate) fn above_the_wall<T>(
        &self,
        ask: impl FnOnce() -> Result<T, crate::Error>,
    ) -> Result<Result<T, crate::Error>, Error> {
        let (wall, client) = (&self.home.0.wall, self.client());
        let was_held = wall.leave(client)?;
        let asked = ask();
        if was_held {
            wall.again(client)?;
        }
        Ok(asked)
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
        if let Some(client) = self.client.take() {
            self.home.0.idle.put(client, self.has_fallen.get());
        }
    }
}
