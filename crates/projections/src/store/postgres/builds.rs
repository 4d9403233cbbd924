//! The builds of views: schemas `PREFIX_VIEW_VERSION_BUILD`.
//!
//! The table `PREFIX.builds` says which are complete, and when somebody was last at work on each.
//!
//! **Invariant:** a batch and a query use the highest complete build of the program's version whose schema is there.
//! **Never:** a number that is given twice: whoever takes one holds the lock of builds.

use tokio_postgres::Error;

use super::client::{Client, is_absent};
use super::deferred::Deferred;
use super::text;
use super::wall::Wall;
use crate::Registered;
use crate::store::{FRAME, LINGER};

/// Which builds are meant: of one view, below one prefix.
#[derive(Clone, Copy)]
pub(super) struct Builds<'a> {
    pub(super) prefix: &'a str,
    pub(super) wall: &'a Wall,
    pub(super) view: &'static Registered,
}

impl Builds<'_> {
    pub(super) fn schema(&self, build: i64) -> String {
        format!("{}{build}", self.stem())
    }

    fn stem(&self) -> String {
        format!("{}_{}_{}_", self.prefix, self.view.name, self.view.version)
    }

    fn version(&self) -> i64 {
        self.view.version.into()
    }

    /// The build that batches and queries use.
    pub(super) fn live(&self, client: &Client) -> Result<Option<i64>, Error> {
        // Whoever drops a schema by hand has it made again.
        let sql = format!(
            "SELECT max(build) FROM \"{}\".builds WHERE view = ? AND version = ? AND is_complete
             AND to_regnamespace('{}' || build) IS NOT NULL",
            self.prefix,
            self.stem()
        );
        match client.rows(&sql, &[&self.view.name, &self.version()]) {
            Ok(rows) => Ok(rows.first().and_then(|row| row.get(0))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes the lock of builds until the transaction at hand ends; makes their table where there is none yet.
    pub(super) fn lock(&self, client: &Client) -> Result<(), Error> {
        let prefix = self.prefix;
        let lock = "SELECT pg_advisory_xact_lock(hashtextextended(?, 0))";
        client.rows(lock, &[&format!("{prefix}.builds")])?;
        client.run(&format!(
            "CREATE SCHEMA IF NOT EXISTS \"{prefix}\";
             CREATE TABLE IF NOT EXISTS \"{prefix}\".builds (
                view TEXT NOT NULL,
                version BIGINT NOT NULL,
                build BIGINT NOT NULL,
                is_complete BOOLEAN NOT NULL,
                touched_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
                PRIMARY KEY (view, version, build))"
        ))
    }

    /// Makes the next build's schema and tables, within a transaction that holds the lock; answers its number, and what
    /// one that is still to be filled does without.
    pub(super) fn make(
        &self,
        client: &Client,
        is_complete: bool,
    ) -> Result<(i64, Option<Deferred>), Error> {
        let prefix = self.prefix;
        let next = format!(
            "INSERT INTO \"{prefix}\".builds (view, version, build, is_complete)
             SELECT ?, ?, coalesce(max(build), 0) + 1, ? FROM \"{prefix}\".builds WHERE view = ? AND version = ?
             RETURNING build"
        );
        let (view, version) = (self.view.name, self.version());
        let rows = client.rows(&next, &[&view, &version, &is_complete, &view, &version])?;
        let build = rows.first().map_or(1, |row| row.get(0));
        let schema = self.schema(build);
        client.run(&format!("CREATE SCHEMA \"{schema}\""))?;
        client.enter(&schema)?;
        client.run(&text::schema(self.view.schema))?;
        let deferred = (!is_complete).then(|| Deferred::from(client)).transpose()?;
        // What every view has beside its own stays in order.
        client.run(&text::schema(FRAME))?;
        self.raise(client, build)?;
        Ok((build, deferred))
    }

    /// Puts up the wall of a build whose schema the connection has entered, within a transaction that holds the lock.
    pub(super) fn raise(&self, client: &Client, build: i64) -> Result<(), Error> {
        self.wall.raise(client, self.prefix, &self.schema(build))
    }

    /// Says that somebody is at work on a build.
    pub(super) fn touch(&self, client: &Client, build: i64) -> Result<(), Error> {
        let sql = format!(
            "UPDATE \"{}\".builds SET touched_at = clock_timestamp() WHERE view = ? AND version = ? AND build = ?",
            self.prefix
        );
        client.execute(&sql, &[&self.view.name, &self.version(), &build])?;
        Ok(())
    }

    /// Says that a build is complete, from now on under this number; those before it have a minute left.
    pub(super) fn complete(&self, client: &Client, build: i64, number: i64) -> Result<(), Error> {
        let sql = format!(
            "UPDATE \"{}\".builds SET is_complete = true, touched_at = clock_timestamp(),
             build = CASE build WHEN ? THEN ? ELSE build END
             WHERE view = ? AND version = ? AND (is_complete OR build = ?)",
            self.prefix
        );
        if build != number {
            let (from, to) = (self.schema(build), self.schema(number));
            client.run(&format!("ALTER SCHEMA \"{from}\" RENAME TO \"{to}\""))?;
        }
        let (view, version) = (self.view.name, self.version());
        client.execute(&sql, &[&build, &number, &view, &version, &build])?;
        Ok(())
    }

    /// Drops builds that nobody needs: before the highest complete one, or left behind by a rebuild that died.
    pub(super) fn sweep(&self, client: &Client) -> Result<(), Error> {
        let condition = format!(
            "touched_at < clock_timestamp() - interval '{} seconds' AND (NOT is_complete OR build < (
                SELECT max(n.build) FROM \"{}\".builds n
                WHERE n.view = b.view AND n.version = b.version AND n.is_complete))",
            LINGER.as_secs(),
            self.prefix
        );
        self.drop_where(client, &condition)
    }

    /// Drops the complete builds.
    pub(super) fn discard(&self, client: &Client) -> Result<(), Error> {
        self.drop_where(client, "is_complete")
    }

    fn drop_where(&self, client: &Client, condition: &str) -> Result<(), Error> {
        let prefix = self.prefix;
        // A row that is locked is of a build which somebody completes just now.
        let which = format!(
            "SELECT build FROM \"{prefix}\".builds b WHERE view = ? AND version = ? AND {condition}
             FOR UPDATE SKIP LOCKED"
        );
        let (view, version) = (self.view.name, self.version());
        let builds = match client.rows(&which, &[&view, &version]) {
            Err(error) if is_absent(&error) => return Ok(()),
            builds => builds?,
        };
        for row in builds {
            let build: i64 = row.get(0);
            let schema = self.schema(build);
            client.run(&format!("DROP SCHEMA IF EXISTS \"{schema}\" CASCADE"))?;
            let forget = format!(
                "DELETE FROM \"{prefix}\".builds WHERE view = ? AND version = ? AND build = ?"
            );
            client.execute(&forget, &[&view, &version, &build])?;
        }
        Ok(())
    }
}
