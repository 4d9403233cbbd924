//! What it means now: views folded from the log, their queries beside them.
//!
//! A [`Projection`] says three things: its schema, its version, and which rows one commit becomes. The [`Runner`]
//! follows the log and lets each view's [`Store`] write those rows and move the view's checkpoint in one transaction.
//! Queries are methods or functions beside the projection, and take the position *as of* which they answer.
//!
//! To add one: its file (`cargo xtask new projection NAME`), `mod NAME;`, and `registered::<NAME::Name>(),` in [`ALL`].
//!
//! Why inserts only: a row says what one event said and never changes, so that any past position can be asked, and
//! applying a commit twice, crashing between batches or batching otherwise cannot make a difference. What changes in
//! the world (a scan's state, a task's end) is one row per change; as of p is the newest row not after p.
//!
//! **Invariant:** a view rebuilt from the log equals the live one, byte for byte in its canonical dump.
//! **Invariant:** `apply` is pure: it reads nothing, awaits nothing, knows no clock.
//! **Never:** an update or a delete of a row; a view that skips what it does not understand.

pub mod catalog;
pub mod graph;
pub mod search;

mod claims;
mod db;
mod dump;
mod error;
#[cfg(test)]
mod laws;
mod operations;
mod page;
mod row;
mod runner;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use mirage_log::Recorded;

pub use db::{Db, Quarantined};
pub use dump::dump;
pub use error::{Cause, Error};
pub use operations::{Operations, Table, Value};
pub use page::{PAGE_ROWS_MAX, Page};
pub use runner::{Runner, Status};
pub use store::meilisearch;
pub use store::neo4j::{Neo4j, Options as Neo4jOptions};
pub use store::postgres::{Options as PostgresOptions, Postgres};
pub use store::sqlite::Folder;
pub use store::{Checkpoint, Completed, Folded, Home, Store, Target};

/// One view: what the log means, for one kind of question.
pub trait Projection {
    /// The name of its file or folder, of its database, and of its command-line argument.
    const NAME: &'static str;
    /// Raise when `SCHEMA` or `apply` changes meaning; the new one is then built beside the old.
    const VERSION: u32;
    /// SQL that makes the tables and indexes of an empty store.
    const SCHEMA: &'static str;
    /// SQL that brings indexes which no plain insert can feed up to date with the tables: run once a batch, after its
    /// rows and in their transaction. It may be run at any time, and a second time changes nothing.
    const SETTLE: &'static str = "";
    /// SQL that lets such indexes put themselves in order less often while a build is fed that nobody asks yet, and SQL
    /// that ends this.
    const HURRY: [&'static str; 2] = ["", ""];

    /// Says which rows a commit becomes. An error quarantines the commit's stream and nothing else.
    fn apply(recorded: &Recorded, operations: &mut Operations) -> Result<(), Error>;
}

type Apply = fn(&Recorded, &mut Operations) -> Result<(), Error>;

/// A projection without its type.
#[derive(Debug, Clone, Copy)]
pub struct Registered {
    pub name: &'static str,
    pub version: u32,
    schema: &'static str,
    settle: &'static str,
    hurry: [&'static str; 2],
    apply: Apply,
}

pub const fn registered<P: Projection>() -> Registered {
    Registered {
        name: P::NAME,
        version: P::VERSION,
        schema: P::SCHEMA,
        settle: P::SETTLE,
        hurry: P::HURRY,
        apply: P::apply,
    }
}

/// Every view, sorted by name.
pub static ALL: &[Registered] = &[
    registered::<catalog::Catalog>(),
    registered::<graph::Graph>(),
    registered::<search::Search>(),
];

/// The view of this name.
pub fn named(name: &str) -> Result<&'static Registered, Error> {
    ALL.iter()
        .find(|view| view.name == name)
        .ok_or_else(|| Error::NoSuchView(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_listed_once_and_sorted() {
        let names: Vec<&str> = ALL.iter().map(|view| view.name).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }

    #[test]
    fn an_unknown_view_is_named_in_the_error() {
        let error = named("catalogue").unwrap_err();
        assert_eq!(error.to_string(), "there is no view `catalogue`");
    }
}
