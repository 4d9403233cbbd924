//! Search: claims by the words they hold and by parts of their keys.
//!
//! A document is a claim: its key, and its attributes as lines `name: value`. Two indexes of SQLite stand beside the
//! table. `words` knows whole words of key and attributes; `parts` knows every three characters of the key, and of
//! words in scripts that are written without spaces. Parts of attributes would cost five times as much as all the rest
//! (FACTS §4.1). Both give cursors in order without looking at all matches, so a first page costs the same in any log;
//! their own ranks do not, and change with what comes later, so a set that is small is ranked here.
//!
//! The indexes are fed once a batch from the rows behind the last indexed one: FTS5 writes its pages out at each
//! statement that may fail half-way, so a trigger would make thrice the work of it.
//!
//! A store that has no such indexes keeps each claim's `terms` beside it, asks for those that stand together in whatever
//! a query matches, and holds what comes against the query by `words`: hits come from a `source`, and all else is one.
//!
//! Answers come from a [`Reader`]: one workspace, as of one position. What has fallen there is the catalog's to say:
//! hand it to [`crate::Db::exclude`] first.
//!
//! **Invariant:** one row per claim; the indexes hold what the rows hold and nothing else.
//! **Invariant:** an answer as of a position is the one that a view folded up to there gives.
//! **Never:** a word of the user's in a statement's text, or in FTS5's language outside a quoted string.

mod documents;
mod facets;
mod hits;
mod page;
mod query;
mod reader;
mod snippet;
mod source;
mod stream;
pub(crate) mod terms;
mod walk;
mod words;

use mirage_log::Recorded;

pub(crate) use documents::DOCUMENTS;
pub use facets::{FINDINGS_MAX, Facets};
pub use page::{After, Found, Page};
pub use query::{Query, QueryError};
pub use reader::{Filter, Hit, Reader};
pub(crate) use words::Searched;

use crate::{Error, Operations, Projection};

pub struct Search;

impl Projection for Search {
    const NAME: &'static str = "search";
    const VERSION: u32 = 2;
    const SCHEMA: &'static str = include_str!("schema.sql");
    const SETTLE: &'static str = include_str!("settle.sql");
    /// In a build the segments of an index are merged sixteen at a time, and not by and by from the fourth on, so that
    /// each entry is written less often. Up to fifteen a level stay, which live batches go on to merge.
    const HURRY: [&'static str; 2] = [
        "INSERT INTO parts (parts, rank) VALUES ('automerge', 0); INSERT INTO words (words, rank) VALUES ('automerge', 0)",
        "INSERT INTO parts (parts, rank) VALUES ('automerge', 4); INSERT INTO words (words, rank) VALUES ('automerge', 4)",
    ];

    fn apply(recorded: &Recorded, operations: &mut Operations) -> Result<(), Error> {
        documents::of_commit(recorded, operations)
    }
}

#[cfg(test)]
mod tests;
