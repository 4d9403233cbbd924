//! Lists of the two indexes: cursors that match an expression, walked newest first.
//!
//! FTS5 gives a list in the order of its rows and can begin anywhere in it, so lists are walked side by side and none
//! is read to its end. Pages grow while one walks step by step, and are small again after a leap.

use mirage_domain::id::WorkspaceId;

use super::query::Clause;
use super::reader::Filter;
use crate::{Db, Error};

/// Rows of the first page of a list, and of the largest.
const ROWS_MIN: usize = 64;
const ROWS_MAX: usize = 4_096;
/// Rows at once of the words with one beginning: all of them are gathered before the first is told.
const BEGINNING_ROWS: usize = 16_384;
/// Characters without which there is no part of a word.
const PART_CHARS_MIN: usize = 3;
/// What reading a page costs, in steps from row to row.
const PAGE_STEPS: u32 = 32;

/// One of the indexes: how its lists are read, and asked about one row.
struct Index {
    list: &'static str,
    probe: &'static str,
}

static WORDS: Index = Index {
    list: "SELECT rowid FROM words WHERE words MATCH ?1 AND rowid <= ?2 ORDER BY rowid DESC LIMIT ?3",
    probe: "SELECT 1 FROM words WHERE words MATCH ?1 AND rowid = ?2",
};
static PARTS: Index = Index {
    list: "SELECT rowid FROM parts WHERE parts MATCH ?1 AND rowid <= ?2 ORDER BY rowid DESC LIMIT ?3",
    probe: "SELECT 1 FROM parts WHERE parts MATCH ?1 AND rowid = ?2",
};

struct List {
    index: &'static Index,
    /// In FTS5's language.
    expression: String,
    /// A page of the list, and how much of it is behind us.
    page: Vec<i64>,
    at: usize,
    rows: usize,
    /// Nothing comes after this page.
    is_last: bool,
}

impl List {
    fn new(index: &'static Index, expression: String, rows: usize) -> Self {
        Self {
            index,
            expression,
            page: Vec::new(),
            at: 0,
            rows,
            is_last: false,
        }
    }

    /// The greatest cursor of the list that is not above `limit`; limits only fall.
    fn at_most(&mut self, db: &Db, limit: i64, steps: &mut u32) -> Result<Option<i64>, Error> {
        let before = self.at;
        self.at += self.page[self.at..].partition_point(|cursor| *cursor > limit);
        *steps = steps.saturating_add(1);
        if self.at < self.page.len() || self.is_last {
            return Ok(self.page.get(self.at).copied());
        }
        let is_leap = self.page.len() - before > self.page.len() / 2;
        self.rows = match (self.page.is_empty() || is_leap, self.rows) {
            (_, BEGINNING_ROWS) => BEGINNING_ROWS,
            (true, _) => ROWS_MIN,
            (false, rows) => (rows * 4).min(ROWS_MAX),
        };
        *steps = steps.saturating_add(PAGE_STEPS);
        let values = rusqlite::params![self.expression, limit, self.rows as i64];
        self.page = db.rows(self.index.list, values, |row| row.get(0))?;
        self.at = 0;
        self.is_last = self.page.len() < self.rows;
        Ok(self.page.first().copied())
    }

    fn holds(&self, db: &Db, cursor: i64) -> Result<bool, Error> {
        let values = rusqlite::params![self.expression, cursor];
        Ok(db.row(self.index.probe, values, |_| Ok(()))?.is_some())
    }
}

/// What one part of a query asks for: claims that stand in any of its lists.
pub(super) struct Term {
    lists: Vec<List>,
    pub(super) is_negative: bool,
}

impl Term {
    pub(super) fn of_clause(clause: &Clause) -> Self {
        let text = quoted(&clause.text);
        let (star, rows) = match clause.is_beginning {
            true => (" *", BEGINNING_ROWS),
            false => ("", ROWS_MIN),
        };
        let mut lists = vec![List::new(
            &WORDS,
            format!("{{key text}} : {text}{star}"),
            rows,
        )];
        if !clause.is_beginning && clause.text.chars().count() >= PART_CHARS_MIN {
            lists.push(List::new(&PARTS, text, ROWS_MIN));
        }
        Self {
            lists,
            is_negative: clause.is_negative,
        }
    }

    /// Everything of a workspace that a filter lets through; the caller looks again, since ids may share a mark.
    pub(super) fn of_filter(workspace: &WorkspaceId, filter: &Filter) -> Self {
        let alternatives = [
            marks('w', [workspace.as_str()].into_iter()),
            marks('s', filter.scans.iter().map(|scan| scan.as_str())),
            marks('m', filter.modules.iter().map(|module| module.as_str())),
            marks('k', filter.kinds.iter().map(|kind| kind.as_str())),
        ];
        let all: Vec<String> = alternatives.into_iter().flatten().collect();
        let expression = format!("marks : ({})", all.join(" AND "));
        Self {
            lists: vec![List::new(&WORDS, expression, ROWS_MIN)],
            is_negative: false,
        }
    }

    /// See [`List::at_most`].
    pub(super) fn at_most(
        &mut self,
        db: &Db,
        limit: i64,
        steps: &mut u32,
    ) -> Result<Option<i64>, Error> {
        let mut greatest = None;
        for list in &mut self.lists {
            greatest = greatest.max(list.at_most(db, limit, steps)?);
        }
        Ok(greatest)
    }

    /// Whether a claim is in it, wherever the walk is.
    pub(super) fn holds(&self, db: &Db, cursor: i64) -> Result<bool, Error> {
        for list in &self.lists {
            if list.holds(db, cursor)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What it asks for, as text.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &str> {
        self.lists.iter().map(|list| list.expression.as_str())
    }
}

/// A string of FTS5's language: whatever it holds means itself.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Any of these marks, as the view `indexed` writes them; none for no names.
fn marks<'a>(letter: char, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mark = |name: &str| quoted(&format!("{letter}{}", name.replace(['-', '_'], "")));
    let marks: Vec<String> = names.map(mark).collect();
    (!marks.is_empty()).then(|| format!("({})", marks.join(" OR ")))
}
