//! The second wall between workspaces: row-level security, whatever a question's text forgets.
//!
//! Questions are asked in a role that owns nothing, and a policy of each table shows it the rows of one workspace:
//! the one that the connection names in `mirage.workspace`; none without. The first wall is the condition that each
//! question brings itself.
//!
//! Whoever writes owns the tables and is not held: a copy is refused to whom a policy holds.
//!
//! **Never:** a reader's role that a policy does not hold: a superuser, or one with `BYPASSRLS`.

use std::sync::Once;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::client::Client;
use crate::Registered;

/// The role of questions where no other is named; made where the login may make one.
const ROLE: &str = "mirage_reader";

/// Tables of a view that tell of scans, and whether they name the workspace themselves.
const TABLES: &str = "SELECT c.relname::text, bool_or(a.attname = 'workspace')
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('workspace', 'scan')
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND NOT c.relrowsecurity
    GROUP BY c.relname ORDER BY c.relname";

/// Whether a role is there, the login may take it on, and no policy would hold it.
const IS_FIT: &str = "SELECT pg_has_role(oid, 'MEMBER'), rolsuper OR rolbypassrls FROM pg_roles
    WHERE rolname = ?";

/// What is to be said of a reader's role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Fit,
    Absent,
    NotOurs,
    Unheld,
}

/// See the module's doc.
pub(super) struct Wall {
    role: String,
    /// Nobody reads without it.
    is_named: bool,
    /// Told once.
    gap: Once,
}

impl Wall {
    /// With a role that the operator named, or with one of this program's own where it may be made.
    pub(super) fn new(role: Option<&str>) -> Self {
        Self {
            role: role.unwrap_or(ROLE).to_owned(),
            is_named: role.is_some(),
            gap: Once::new(),
        }
    }

    /// Puts up what is not up yet in the schema at hand, for one who owns it; within a transaction.
    pub(super) fn raise(&self, client: &Client, prefix: &str, schema: &str) -> Result<(), Error> {
        for row in client.rows(TABLES, &[])? {
            let (table, has_workspace): (&str, bool) = (row.get(0), row.get(1));
            // The setting is read once a statement; a scan's table holds the questioner itself.
            let own = match has_workspace {
                true => "workspace = (SELECT current_setting('mirage.workspace', true))".to_owned(),
                false => format!(
                    "EXISTS (SELECT 1 FROM \"{schema}\".scans s WHERE s.scan = \"{table}\".scan)"
                ),
            };
            client.run(&format!(
                "ALTER TABLE \"{table}\" ENABLE ROW LEVEL SECURITY;
                 CREATE POLICY workspace ON \"{table}\" FOR SELECT USING ({own})"
            ))?;
        }
        if self.made(client)? != Role::Fit {
            return Ok(());
        }
        let role = &self.role;
        client.run(&format!(
            "GRANT USAGE ON SCHEMA \"{prefix}\", \"{schema}\" TO \"{role}\";
             GRANT SELECT ON \"{prefix}\".builds TO \"{role}\";
             GRANT SELECT ON ALL TABLES IN SCHEMA \"{schema}\" TO \"{role}\""
        ))
    }

    /// Lets a connection ask behind the wall from now on.
    pub(super) fn enter(
        &self,
        client: &Client,
        view: &'static Registered,
    ) -> Result<(), crate::Error> {
        let open = |error| crate::Error::open(view, error);
        let role = &self.role;
        let trouble = match self.look(client).map_err(open)? {
            Role::Fit => return self.again(client).map_err(open),
            Role::Absent => format!("there is no role `{role}`"),
            Role::NotOurs => format!("the user may not take on the role `{role}`"),
            Role::Unheld => format!("row-level security does not hold the role `{role}`"),
        };
        if self.is_named {
            return Err(crate::Error::options(format!(
                "`catalog.reader`: {trouble}"
            )));
        }
        self.gap.call_once(|| {
            tracing::warn!(
                "no row-level security between workspaces: {trouble}; let its administrator run CREATE ROLE {role} \
                 NOLOGIN, and GRANT {role} to the user in catalog.url"
            );
        });
        Ok(())
    }

    /// Takes a connection behind the wall again.
    pub(super) fn again(&self, client: &Client) -> Result<(), Error> {
        client.run(&format!("SET ROLE \"{}\"", self.role))
    }

    /// Takes a connection before the wall; answers whether it was behind it.
    pub(super) fn leave(&self, client: &Client) -> Result<bool, Error> {
        let rows = client.rows("SELECT current_user::text = ?", &[&self.role])?;
        client.run("RESET ROLE")?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// The role, made where it is not there and the login may.
    fn made(&self, client: &Client) -> Result<Role, Error> {
        let found = self.look(client)?;
        let role = &self.role;
        let make = match found {
            Role::Absent => {
                format!("CREATE ROLE \"{role}\" NOLOGIN; GRANT \"{role}\" TO CURRENT_USER")
            }
            Role::NotOurs => format!("GRANT \"{role}\" TO CURRENT_USER"),
            Role::Fit | Role::Unheld => return Ok(found),
        };
        client.run("SAVEPOINT role")?;
        match client.run(&make) {
            Ok(()) => client.run("RELEASE role")?,
            Err(error) if is_refused(&error) => client.run("ROLLBACK TO role")?,
            Err(error) => return Err(error),
        }
        self.look(client)
    }

    fn look(&self, client: &Client) -> Result<Role, Error> {
        let rows = client.rows(IS_FIT, &[&self.role])?;
        Ok(match rows.first().map(|row| (row.get(0), row.get(1))) {
            None => Role::Absent,
            Some((_, true)) => Role::Unheld,
            Some((false, false)) => Role::NotOurs,
            Some((true, false)) => Role::Fit,
        })
    }
}

/// Whether the login may not, or another database's node was first.
fn is_refused(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(
            &SqlState::INSUFFICIENT_PRIVILEGE
                | &SqlState::DUPLICATE_OBJECT
                | &SqlState::UNIQUE_VIOLATION
        )
    )
}

#[cfg(test)]
mod tests;
