//! One connection to PostgreSQL: its calls block, its statements stay prepared.

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, SinkExt, TryStreamExt};
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Config, Error, NoTls, Row, RowStream, Statement};

use super::text;
use super::tls::Tls;
use crate::Value;
use crate::store::remote::{RUNTIME, wait};
use mirage_log::tls::Trouble;

/// Statements that stay prepared; a list with filters is a few texts.
const STATEMENTS_MAX: usize = 64;

/// For every connection. Views are disposable, so a batch does not wait for the disk: its rows and its checkpoint are
/// lost together or not at all. Whoever dies with a lock or hangs gives it back; nobody waits for one for ever.
const SESSION: &str = "
    SET synchronous_commit = off;
    SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '60s';
    SET client_min_messages = warning;
    SET jit = off";

/// See the module's doc.
pub(crate) struct Client {
    inner: Arc<tokio_postgres::Client>,
    /// By their texts as views write them.
    statements: RefCell<HashMap<String, Statement>>,
    /// Where names without a schema are looked for.
    schema: RefCell<String>,
    /// Of which workspace rows are seen behind the wall.
    workspace: RefCell<String>,
}

impl Client {
    pub(super) fn connect(config: &Config, tls: Option<&Tls>) -> Result<Self, Error> {
        let inner = wait(async {
            let (client, connection) = match tls {
                Some(tls) => {
                    let (client, connection) = config.connect(tls.clone()).await?;
                    (client, connection.boxed())
                }
                None => {
                    let (client, connection) = config.connect(NoTls).await?;
                    (client, connection.boxed())
                }
            };
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(error = %error, "a connection to PostgreSQL ends");
                }
            });
            client.batch_execute(SESSION).await?;
            Ok(client)
        })?;
        Ok(Self {
            inner: Arc::new(inner),
            statements: RefCell::default(),
            schema: RefCell::default(),
            workspace: RefCell::default(),
        })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// From now on names without a schema are of this one.
    pub(super) fn enter(&self, schema: &str) -> Result<(), Error> {
        if *self.schema.borrow() != schema {
            // A statement stands for the tables that it was prepared with.
            self.statements.borrow_mut().clear();
            self.run(&format!("SET search_path = \"{schema}\""))?;
            schema.clone_into(&mut self.schema.borrow_mut());
        }
        Ok(())
    }

    /// From now on the rows of this workspace are seen (`wall`).
    pub(super) fn look_into(&self, workspace: &str) -> Result<(), Error> {
        if *self.workspace.borrow() != workspace {
            self.rows(
                "SELECT set_config('mirage.workspace', ?, false)",
                &[&workspace],
            )?;
            workspace.clone_into(&mut self.workspace.borrow_mut());
        }
        Ok(())
    }

    /// Statements of this program's own, without values.
    pub(super) fn run(&self, sql: &str) -> Result<(), Error> {
        wait(self.inner.batch_execute(sql))
    }

    /// Takes what was begun back; a connection that cannot is lost, and so is what was begun.
    pub(super) fn roll_back(&self) {
        // What was set within the transaction is taken back, too.
        self.workspace.borrow_mut().clear();
        if let Err(error) = self.run("ROLLBACK") {
            tracing::debug!(error = %error, "a transaction ends with its connection");
        }
    }

    pub(super) fn execute(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        let statement = self.prepared(sql)?;
        wait(self.inner.execute(&statement, values))
    }

    pub(super) fn rows(
        &self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let statement = self.prepared(sql)?;
        wait(self.inner.query(&statement, values))
    }

    /// Hands a copy its bytes.
    pub(super) fn copy(&self, sql: &str, bytes: Bytes) -> Result<(), Error> {
        let statement = self.prepared(sql)?;
        wait(copy(&self.inner, &statement, bytes))
    }

    /// Hands copies their bytes, runs what comes last and commits, while the caller does something else. No other
    /// statement comes before the answer is waited for.
    pub(super) fn commit_later(
        &self,
        copies: Vec<(String, Bytes)>,
        last: &str,
    ) -> Result<Commit, Error> {
        let prepared = copies
            .into_iter()
            .map(|(sql, bytes)| Ok((self.prepared(&sql)?, bytes)));
        let prepared: Vec<(Statement, Bytes)> = prepared.collect::<Result<_, Error>>()?;
        let (inner, last) = (self.inner.clone(), format!("{last}; COMMIT"));
        Ok(Commit(RUNTIME.spawn(async move {
            for (statement, bytes) in prepared {
                copy(&inner, &statement, bytes).await?;
            }
            inner.batch_execute(&last).await
        })))
    }

    /// The types of an answer's columns.
    pub(super) fn kinds(&self, sql: &str) -> Result<Vec<Type>, Error> {
        let statement = self.prepared(sql)?;
        let columns = statement.columns().iter();
        Ok(columns.map(|column| column.type_().clone()).collect())
    }

    /// An answer row by row.
    pub(crate) fn ask(&self, sql: &str, values: &[Value]) -> Result<Answer, Error> {
        let statement = self.prepared(sql)?;
        let rows = wait(self.inner.query_raw(&statement, values))?;
        Ok(Answer(Box::pin(rows)))
    }

    fn prepared(&self, sql: &str) -> Result<Statement, Error> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(known.clone());
        }
        let statement = wait(self.inner.prepare(&text::numbered(sql)))?;
        let mut statements = self.statements.borrow_mut();
        if statements.len() == STATEMENTS_MAX {
            statements.clear();
        }
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

async fn copy(
    client: &tokio_postgres::Client,
    statement: &Statement,
    bytes: Bytes,
) -> Result<(), Error> {
    let mut sink = Box::pin(client.copy_in(statement).await?);
    sink.send(bytes).await?;
    sink.as_mut().finish().await.map(drop)
}

/// A transaction that is on its way.
#[must_use]
pub(super) struct Commit(JoinHandle<Result<(), Error>>);

impl Commit {
    pub(super) fn wait(self) -> Result<(), Error> {
        wait(self.0).expect("it neither panics nor is ended")
    }
}

/// Rows that come as they are taken: the server waits for whoever reads slowly.
pub(crate) struct Answer(Pin<Box<RowStream>>);

impl Answer {
    pub(crate) fn next(&mut self) -> Result<Option<Row>, Error> {
        wait(self.0.try_next())
    }
}

/// Whether the same may succeed later: the server is away or overloaded, or somebody else was first.
pub(crate) fn may_retry(error: &Error) -> bool {
    use std::io::{Error as Io, ErrorKind};
    match error.code() {
        Some(code) => {
            // Connection, resources and intervention of an operator are classes of their own.
            let is_away = ["08", "53", "57"]
                .iter()
                .any(|class| code.code().starts_with(class));
            let is_turn = [
                SqlState::T_R_SERIALIZATION_FAILURE,
                SqlState::T_R_DEADLOCK_DETECTED,
                SqlState::LOCK_NOT_AVAILABLE,
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            ]
            .contains(code);
            (is_away && *code != SqlState::QUERY_CANCELED) || is_turn
        }
        None => {
            let source = std::error::Error::source(error);
            let io = source.and_then(|source| source.downcast_ref::<Io>());
            error.is_closed()
                || io.is_some_and(|io| {
                    !matches!(io.kind(), ErrorKind::InvalidData | ErrorKind::InvalidInput)
                })
        }
    }
}

/// What to do where the server refuses this program, or there is no TLS with it; what it says is only looked at.
pub(crate) fn fix(error: &Error) -> Option<String> {
    let told = error.as_db_error().map_or_else(
        || format!("{error}: {:?}", std::error::Error::source(error)),
        |told| told.message().to_owned(),
    );
    let trouble = match Trouble::of(error) {
        None if told.contains("does not support TLS") => Some(Trouble::Plain),
        None if told.contains("valid client certificate") => Some(Trouble::Certificate),
        found => found,
    };
    if let Some(trouble) = trouble {
        let fix = trouble.fix("catalog", "url");
        return Some(format!("there is no TLS with the server: {fix}"));
    }
    let fix = match error.code() {
        Some(&SqlState::INVALID_PASSWORD) => {
            "correct the user in `catalog.url`, and `catalog.password`"
        }
        Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) if told.contains("no encryption") => {
            "it wants TLS: put `?sslmode=require` into `catalog.url`"
        }
        Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => "correct the user in `catalog.url`",
        Some(&SqlState::INVALID_CATALOG_NAME) => {
            "make the database, or name another one in `catalog.url`"
        }
        None if told.contains("password missing") => "it wants a password: set `catalog.password`",
        _ => return None,
    };
    Some(format!("the server refuses this program: {fix}"))
}

/// Whether a table that is asked for is not there: its build was dropped, or nobody has built yet.
pub(crate) fn is_absent(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(&SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME)
    )
}
