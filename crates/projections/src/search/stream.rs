//! Lists of the two indexes: cursors that match an expression, walked newest first.
//!
//! FTS5 gives a list in the order of its rows and can begin anywhere in it, so lists are walked side by side and none
//! is read to its end. Pages grow while one walks step by step, and are small again after a leap.

use mirage_domain::id::WorkspaceId;

use super::query::Clause;
use super::reader::Filter;
use crate::{Db, Error, Value};

/// Rows of the first page of a list, and of the largest.
const ROWS_MIN: usize = 64;
const ROWS_MAX: usize = 4_096;
/// Words that a beginning is replaced with; a walk along each of them begins at once.
const BEGINNING_WORDS: usize = 64;
/// Rows at once of a beginning that more words have: FTS5 gathers all rows before it tells the first.
const BEGINNING_ROWS: usize = 16_384;
/// Characters without which there is no part of a word.
const PART_CHARS_MIN: usize = 3;
/// What reading a page costs, in steps from row to row.
const PAGE_STEPS: u32 = 32;
/// Rows of a page that cost as much as a step: one list may be read past many rows for each of another's.
const STEP_ROWS: u32 = 2;

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
        let values = [
            self.expression.clone().into(),
            limit.into(),
            Value::Integer(self.rows as i64),
        ];
        self.page = db.rows(self.index.list, &values, |row| row.get(0))?;
        *steps = steps.saturating_add(self.page.len() as u32 / STEP_ROWS);
        self.at = 0;
        self.is_last = self.page.len() < self.rows;
        Ok(self.page.first().copied())
    }

    fn holds(&self, db: &Db, cursor: i64) -> Result<bool, Error> {
        let values = [self.expression.clone().into(), cursor.into()];
        Ok(db.row(self.index.probe, &values, |_| Ok(()))?.is_some())
    }
}

/// What one part of a query asks for: claims that stand in any of its lists.
pub(super) struct Term {
    lists: Vec<List>,
}

impl Term {
    pub(super) fn of_clause(db: &Db, clause: &Clause) -> Result<Self, Error> {
        let text = quoted(&clause.text);
        let mut lists = Vec::new();
        if clause.is_beginning {
            lists.push(of_beginning(db, &clause.text)?);
        } else {
            lists.push(List::new(&WORDS, in_words(&text), ROWS_MIN));
            if clause.text.chars().count() >= PART_CHARS_MIN {
                lists.push(List::new(&PARTS, text, ROWS_MIN));
            }
        }
        Ok(Self { lists })
    }

    /// Everything of a workspace that a filter lets through; the caller looks again, since ids may share a mark.
    pub(super) fn of_filter(workspace: &WorkspaceId, filter: &Filter) -> Self {
        let named = [
            marks(
                's',
                workspace,
                filter.scans.iter().map(|scan| scan.as_str()),
            ),
            marks(
                'm',
                workspace,
                filter.modules.iter().map(|module| module.as_str()),
            ),
            marks(
                'k',
                workspace,
                filter.kinds.iter().map(|kind| kind.as_str()),
            ),
        ];
        let mut all: Vec<String> = named.into_iter().flatten().collect();
        if all.is_empty() {
            all.extend(marks('w', workspace, [""].into_iter()));
        }
        let expression = format!("marks : ({})", all.join(" AND "));
        Self {
            lists: vec![List::new(&WORDS, expression, ROWS_MIN)],
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
}

/// The words of key and attributes that begin so: each by name where they are few.
fn of_beginning(db: &Db, text: &str) -> Result<List, Error> {
    let words = match text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        true => words_beginning(db, &text.to_ascii_lowercase())?,
        // The index has its own way with other letters, and takes several words as a phrase.
        false => None,
    };
    Ok(match words {
        Some(words) => {
            let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            let any = match words.is_empty() {
                true => quoted(""),
                false => words.join(" OR "),
            };
            List::new(&WORDS, in_words(&format!("({any})")), ROWS_MIN)
        }
        None => {
            let text = format!("{} *", quoted(text));
            List::new(&WORDS, in_words(&text), BEGINNING_ROWS)
        }
    })
}

/// All words with this beginning, unless they are too many.
fn words_beginning(db: &Db, beginning: &str) -> Result<Option<Vec<String>>, Error> {
    let sql = "SELECT term FROM vocabulary WHERE term >= ?1 ORDER BY term LIMIT 1";
    let mut words = Vec::new();
    let mut from = beginning.to_owned();
    while let Some(word) = db.row(sql, &[from.clone().into()], |row| row.get::<_, String>(0))? {
        if !word.starts_with(beginning) {
            break;
        }
        if words.len() == BEGINNING_WORDS {
            return Ok(None);
        }
        // The least text behind the word: no word has a control character.
        from = format!("{word}\u{1}");
        words.push(word);
    }
    Ok(Some(words))
}

fn in_words(expression: &str) -> String {
    format!("{{key text}} : {expression}")
}

/// A string of FTS5's language: whatever it holds means itself.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Any of these marks, as the view `indexed` writes them; none for no names.
fn marks<'a>(
    letter: char,
    workspace: &WorkspaceId,
    names: impl Iterator<Item = &'a str>,
) -> Option<String> {
    let mark = |name: &str| {
        let mark = format!("{letter}{workspace}{name}");
        quoted(&mark.replace(['-', '_'], ""))
    };
    let marks: Vec<String> = names.map(mark).collect();
    (!marks.is_empty()).then(|| format!("({})", marks.join(" OR ")))
}
