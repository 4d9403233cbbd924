//! One build, opened for asking.
//!
//! **Invariant:** no answer holds what stands behind the checkpoint.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use mirage_domain::id::{Cursor, FindingId, Position};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json, json};

use super::Fault;
use super::builds::Build;
use super::client::Patience;
use super::filter::Filter;
use super::rows::TABLES;
use super::server::{Server, Wanted};
use crate::db::Quarantined;
use crate::operations::Table;
use crate::search::DOCUMENTS;
use crate::store::quarantine::{QUARANTINE, SKIPPED};
use crate::{Checkpoint, Error, Registered};

/// Documents of one answer: at 64 KiB each, the longest, they are half of what is taken.
pub(crate) const PAGE_DOCUMENTS_MAX: usize = 512;

pub(crate) struct Asked {
    server: Arc<Server>,
    build: Build,
    /// Findings that are left out.
    fallen: RefCell<HashSet<FindingId>>,
}

#[derive(Deserialize)]
struct Aside {
    stream: String,
    cursor: i64,
    error: String,
}

impl Asked {
    /// Tables of a dump, by name.
    pub(crate) const TABLES: [&str; 4] = ["checkpoint", "documents", "quarantine", "skipped"];

    pub(super) fn new(server: Arc<Server>, build: Build) -> Self {
        Self {
            server,
            build,
            fallen: RefCell::default(),
        }
    }

    pub(crate) fn exclude(&self, fallen: &[FindingId]) {
        *self.fallen.borrow_mut() = fallen.iter().copied().collect();
    }

    pub(crate) fn is_fallen(&self, finding: FindingId) -> bool {
        self.fallen.borrow().contains(&finding)
    }

    /// As it is now: the build may be written to.
    pub(crate) fn checkpoint(&self, view: &Registered) -> Result<Checkpoint, Fault> {
        let builds = self.server.builds(view, Patience::Question)?;
        let own = builds.iter().find(|build| build.id == self.build.id);
        // Swept away by now: what was asked of it was asked as of then.
        Ok(own.unwrap_or(&self.build).checkpoint())
    }

    /// Documents as they are kept, in the order of a number of theirs.
    pub(crate) fn fetch<T: DeserializeOwned>(
        &self,
        filter: &Filter,
        sort: &str,
        limit: usize,
    ) -> Result<Vec<T>, Fault> {
        let wanted = Wanted {
            filter,
            fields: None,
            sort: Some(sort.to_owned()),
            limit,
        };
        let page = self.server.fetch(&self.build, wanted, Patience::Question)?;
        Ok(page.results)
    }

    fn count(&self, filter: &Filter) -> Result<u64, Fault> {
        let wanted = Wanted {
            filter,
            fields: Some(&["id"]),
            sort: None,
            limit: 1,
        };
        let page = self
            .server
            .fetch::<Json>(&self.build, wanted, Patience::Question)?;
        Ok(page.total)
    }

    /// Documents of a table up to a position, in pages.
    fn pages(
        &self,
        table: &'static str,
        order: &'static str,
        until: Position,
    ) -> impl Iterator<Item = Result<Vec<Map<String, Json>>, Fault>> {
        let last = match order {
            "cursor" => Cursor::after(until).packed(),
            _ => i64::try_from(until.0).unwrap_or(i64::MAX),
        };
        let mut from = Some(0);
        std::iter::from_fn(move || {
            let filter = Filter::All(vec![
                Filter::is("table", table),
                Filter::AtLeast(order, from?),
                Filter::AtMost(order, last),
            ]);
            let page = self.fetch(&filter, &format!("{order}:asc"), PAGE_DOCUMENTS_MAX);
            let greatest = |page: &Vec<Map<String, Json>>| page.last()?.get(order)?.as_i64();
            from = match &page {
                Ok(page) if page.len() == PAGE_DOCUMENTS_MAX => greatest(page).map(|last| last + 1),
                _ => None,
            };
            Some(page)
        })
    }

    /// Streams that are set aside up to a position.
    pub(super) fn quarantined_streams(&self, until: Position) -> Result<HashSet<String>, Fault> {
        let mut streams = HashSet::new();
        for page in self.pages(QUARANTINE.name, "cursor", until) {
            let names = page?.into_iter().filter_map(|row| text(&row, "stream"));
            streams.extend(names);
        }
        Ok(streams)
    }

    /// How many they are.
    pub(crate) fn quarantined(&self, until: Position) -> Result<u64, Fault> {
        self.count(&Filter::All(vec![
            Filter::is("table", QUARANTINE.name),
            Filter::AtMost("cursor", Cursor::after(until).packed()),
        ]))
    }

    /// Streams that are set aside, oldest first.
    pub(crate) fn quarantine(
        &self,
        until: Position,
        limit: u32,
    ) -> Result<Vec<Quarantined>, Fault> {
        let filter = Filter::All(vec![
            Filter::is("table", QUARANTINE.name),
            Filter::AtMost("cursor", Cursor::after(until).packed()),
        ]);
        let limit = PAGE_DOCUMENTS_MAX.min(limit as usize);
        let rows: Vec<Aside> = self.fetch(&filter, "cursor:asc", limit)?;
        let with_skipped = rows.into_iter().map(|row| {
            let skipped = Filter::All(vec![
                Filter::is("table", SKIPPED.name),
                Filter::is("stream", row.stream.as_str()),
                Filter::AtMost("position", i64::try_from(until.0).unwrap_or(i64::MAX)),
            ]);
            Ok(Quarantined {
                skipped: self.count(&skipped)?,
                stream: row.stream,
                cursor: Cursor::unpacked(row.cursor),
                error: row.error,
            })
        });
        with_skipped.collect()
    }

    /// The rows of a table as the canonical dump has them, one after the other.
    pub(crate) fn each_shown(
        &self,
        view: &'static Registered,
        table: &str,
        until: Checkpoint,
        mut take: impl FnMut(Map<String, Json>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some((table, order)) = TABLES.iter().find(|(known, _)| known.name == table) else {
            return checkpoint_row(until).map_or(Ok(()), take);
        };
        let mut rest = Vec::new();
        for page in self.pages(table.name, order, until.position) {
            for row in page.map_err(|fault| Error::query(view, fault))? {
                match table.name == DOCUMENTS.name {
                    true => take(shown(table, &row))?,
                    false => rest.push(row),
                }
            }
        }
        // Few have any: in the order of their keys, which begin with the stream.
        rest.sort_by_key(|row| (text(row, "stream"), row.get(*order).and_then(Json::as_i64)));
        rest.iter().try_for_each(|row| take(shown(table, row)))
    }

    /// What the server's own way with words finds: words that are nearly the same, best first.
    pub(crate) fn near<T: DeserializeOwned>(
        &self,
        words: &str,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<T>, Fault> {
        let asked = json!({
            "q": words, "filter": filter.to_string(), "limit": limit, "matchingStrategy": "all",
        });
        self.server.search(&self.build, asked)
    }
}

/// The row that other stores keep beside the tables; none before the first commit.
fn checkpoint_row(checkpoint: Checkpoint) -> Option<Map<String, Json>> {
    let row = json!({
        "id": 1,
        "position": checkpoint.position.0,
        "log_hash": checkpoint.log_hash.to_string(),
        "hash": checkpoint.hash.to_string(),
    });
    let row = row.as_object().cloned();
    row.filter(|_| checkpoint != Checkpoint::NONE)
}

fn text(row: &Map<String, Json>, name: &str) -> Option<String> {
    row.get(name)?.as_str().map(str::to_owned)
}

fn shown(table: &Table, row: &Map<String, Json>) -> Map<String, Json> {
    let column = |name: &&str| {
        let value = row.get(*name).cloned().unwrap_or_default();
        ((*name).to_owned(), value)
    };
    table.columns.iter().map(column).collect()
}
