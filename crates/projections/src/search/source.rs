//! Where hits come from: the claims of a query, whichever store the view lies in.
//!
//! Paging, ranking, facets and snippets stand above and are the same for all.
//!
//! **Invariant:** for the same log, query and position every source tells the same claims.

use super::hits::{Document, Hits};
use super::query::Query;
use super::reader::{Filter, Reader};
use super::walk::Walk;
use crate::Error;

/// The claims of a query, newest first; of each finding the newest that matches, and none that has fallen.
pub(super) trait Source {
    fn next(&mut self) -> Result<Option<Document>, Error>;

    /// The cursor before which the walk was given up, if it was.
    fn cut(&self) -> Option<i64>;
}

/// The claims that match, or of these the ones before a cursor.
pub(super) fn of<'a>(
    reader: &'a Reader<'a>,
    query: &Query,
    filter: &Filter,
    before: Option<i64>,
) -> Result<Box<dyn Source + 'a>, Error> {
    Ok(match reader.db.meilisearch() {
        Some(asked) => Box::new(Walk::new(reader, asked, query, filter).before(before)),
        None => Box::new(Hits::new(reader, query, filter)?.before(before)),
    })
}
