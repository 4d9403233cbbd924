//! A server, and how statements are run on it: each by itself, or several as one transaction.
//!
//! The client repeats a statement by itself that failed for a passing reason, so each may run twice.

use neo4rs::{Graph, Neo4jClientErrorKind, Neo4jErrorKind, Query, Txn};

use mirage_log::tls::Trouble;

use super::cypher::{Cypher, Record};
use crate::error::Cause;
use crate::store::remote::wait;

/// Tried again where two processes write the same rows at one time; the second try finds them there.
const TRIES: usize = 3;

/// See the module's doc.
#[derive(Clone)]
pub(super) struct Server(Graph);

impl Server {
    pub(super) fn new(graph: Graph) -> Self {
        Self(graph)
    }

    /// Runs a statement to its end.
    pub(super) fn run(&self, cypher: &Cypher, mark: &str) -> Result<(), Cause> {
        wait(self.0.run(cypher.clone().of(mark)))?;
        Ok(())
    }

    /// Runs a statement that finds what it makes there already if it lost a race, and then does nothing.
    pub(super) fn run_racing(&self, cypher: &Cypher, mark: &str) -> Result<(), Cause> {
        let mut tries = 1;
        loop {
            match self.run(cypher, mark) {
                Err(cause) if is_there_already(&cause) && tries < TRIES => tries += 1,
                ran => return ran,
            }
        }
    }

    /// Runs statements and a last one as one transaction; false if the last one answers nothing, and then nothing was
    /// written.
    pub(super) fn run_together(
        &self,
        statements: impl Iterator<Item = Cypher>,
        last: Cypher,
        mark: &str,
    ) -> Result<bool, Cause> {
        wait(async {
            let mut transaction = self.0.start_txn().await?;
            let statements = statements.map(|cypher| cypher.of(mark));
            match run_all(&mut transaction, statements, last.of(mark)).await {
                Ok(true) => transaction
                    .commit()
                    .await
                    .map(|()| true)
                    .map_err(Cause::from),
                // A transaction that is dropped keeps its locks until its connection is used again.
                ran => {
                    let _ = transaction.rollback().await;
                    Ok(ran?)
                }
            }
        })
    }

    /// Row by row, so that an answer of any length takes constant memory.
    pub(super) fn each<E: From<Cause>>(
        &self,
        cypher: &Cypher,
        mark: &str,
        mut take: impl FnMut(&Record) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rows = wait(self.0.execute(cypher.clone().of(mark))).map_err(Cause::from)?;
        while let Some(row) = wait(rows.next()).map_err(Cause::from)? {
            take(&Record::of(&row)?)?;
        }
        Ok(())
    }

    pub(super) fn rows<T>(
        &self,
        cypher: &Cypher,
        mark: &str,
        read: impl Fn(&Record) -> Result<T, Cause>,
    ) -> Result<Vec<T>, Cause> {
        let mut all = Vec::new();
        self.each(cypher, mark, |record| {
            all.push(read(record)?);
            Ok::<_, Cause>(())
        })?;
        Ok(all)
    }
}

async fn run_all(
    transaction: &mut Txn,
    statements: impl Iterator<Item = Query>,
    last: Query,
) -> neo4rs::Result<bool> {
    for statement in statements {
        transaction.run(statement).await?;
    }
    let mut answer = transaction.execute(last).await?;
    Ok(answer.next(transaction.handle()).await?.is_some())
}

/// Whether a constraint refused a second one of what is there.
pub(super) fn is_there_already(cause: &Cause) -> bool {
    match cause {
        Cause::Neo4j(neo4rs::Error::Neo4j(error)) => {
            let code = error.code();
            code == "Neo.ClientError.Schema.ConstraintValidationFailed"
                || code.starts_with("Neo.ClientError.Schema.") && code.ends_with("AlreadyExists")
        }
        _ => false,
    }
}

/// Whether the server chose this transaction to give way to another one.
pub(super) fn gave_way(cause: &Cause) -> bool {
    matches!(cause, Cause::Neo4j(neo4rs::Error::Neo4j(error)) if error.kind() == Neo4jErrorKind::Transient)
}

/// What to do where the server refuses this program, or there is no TLS with it.
pub(crate) fn fix(error: &neo4rs::Error) -> Option<String> {
    if let Some(trouble) = Trouble::of(error) {
        let fix = trouble.fix("graph", "url");
        return Some(format!("there is no TLS with the server: {fix}"));
    }
    let fix = match error {
        neo4rs::Error::AuthenticationError(_) => "correct `graph.user` and `graph.password`",
        neo4rs::Error::Neo4j(error) if error.code().starts_with("Neo.ClientError.Security.") => {
            "correct `graph.user` and `graph.password`"
        }
        neo4rs::Error::IOError { detail } if is_hung_up(detail) => {
            "it hangs up; where it wants TLS, `graph.url` begins with bolt+s://"
        }
        _ => return None,
    };
    Some(format!("the server refuses this program: {fix}"))
}

fn is_hung_up(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionReset, UnexpectedEof};
    matches!(error.kind(), ConnectionReset | UnexpectedEof)
}

/// Whether the same may succeed later: a server that is away, busy, or gave way in a deadlock.
pub(crate) fn may_retry(error: &neo4rs::Error) -> bool {
    use neo4rs::Error::{
        ConnectionError, ConnectionTimedOut, IOError, IncompleteBoltExchange, Neo4j,
        RequestIgnoredError, ServerUnavailableError,
    };
    match error {
        IOError { .. }
        | ConnectionError
        | ConnectionTimedOut
        | IncompleteBoltExchange
        | RequestIgnoredError
        | ServerUnavailableError(_) => true,
        Neo4j(error) => matches!(
            error.kind(),
            Neo4jErrorKind::Transient
                | Neo4jErrorKind::Client(
                    Neo4jClientErrorKind::SessionExpired
                        | Neo4jClientErrorKind::TransactionTerminated
                )
        ),
        _ => false,
    }
}
