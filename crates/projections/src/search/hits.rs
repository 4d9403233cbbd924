//! The walk along the lists of a query: where they meet is a hit, one per finding.

use mirage_domain::entity::Kind;
use mirage_domain::id::{EntityId, FindingId, ScanId};

use super::query::Query;
use super::reader::{Filter, Reader};
use super::source::Source;
use super::stream::Term;
use crate::db::stands;
use crate::error::Cause;
use crate::row::{Row, parsed};
use crate::{Error, Value};

/// Steps of one walk: 100 000 took 109 ms where lists are leapt through (a million findings, release build). A walk that
/// is longer is cut, and says where it goes on.
pub(super) const STEPS_MAX: u32 = 25_000;
/// So many times as many for counts, which do not go on.
pub(super) const STEPS_OF_COUNTS: u32 = 4;
/// What reading a claim costs, in steps.
pub(super) const DOCUMENT_STEPS: u32 = 8;

/// A claim that matches.
pub(super) struct Document {
    pub(super) cursor: i64,
    pub(super) finding: FindingId,
    pub(super) entity: EntityId,
    pub(super) scan: ScanId,
    pub(super) module: String,
    pub(super) kind: Kind,
    pub(super) key: Option<String>,
    pub(super) text: Option<String>,
}

/// The claims of a query, newest first; of each finding the newest that matches.
pub(super) struct Hits<'a> {
    reader: &'a Reader<'a>,
    positive: Vec<Term>,
    negative: Vec<Term>,
    /// Reads one claim, if filter and marks let it through.
    sql: String,
    values: Vec<Value>,
    /// Nothing above is wanted any more.
    limit: i64,
    steps: u32,
}

impl<'a> Hits<'a> {
    pub(super) fn new(
        reader: &'a Reader<'a>,
        query: &Query,
        filter: &Filter,
    ) -> Result<Self, Error> {
        let (mut positive, mut negative) = (Vec::new(), Vec::new());
        for clause in &query.clauses {
            let side = match clause.is_negative {
                true => &mut negative,
                false => &mut positive,
            };
            side.push(Term::of_clause(reader.db, clause)?);
        }
        if positive.is_empty() || !filter.is_empty() {
            positive.push(Term::of_filter(reader.workspace(), filter));
        }
        let (sql, values) = document_sql(reader, filter);
        Ok(Self {
            reader,
            positive,
            negative,
            sql,
            values,
            limit: reader.last(),
            steps: 0,
        })
    }

    /// Only claims before this cursor.
    pub(super) fn before(self, cursor: Option<i64>) -> Self {
        let below = cursor.map_or(i64::MAX, |cursor| cursor - 1);
        Self {
            limit: self.limit.min(below),
            ..self
        }
    }

    /// The greatest cursor that all lists hold; none when one of them ends or the walk is cut.
    fn meet(&mut self) -> Result<Option<i64>, Error> {
        let mut agreed = 0;
        while agreed < self.positive.len() {
            if self.steps >= self.reader.steps_max {
                return Ok(None);
            }
            let term = &mut self.positive[agreed];
            match term.at_most(self.reader.db, self.limit, &mut self.steps)? {
                None => return Ok(None),
                Some(cursor) if cursor == self.limit => agreed += 1,
                Some(cursor) => {
                    self.limit = cursor;
                    // This one agrees; the ones before it must follow.
                    agreed = usize::from(agreed == 0);
                }
            }
        }
        Ok(Some(self.limit))
    }

    fn is_excluded(&mut self, cursor: i64) -> Result<bool, Error> {
        for term in &mut self.negative {
            if term.at_most(self.reader.db, cursor, &mut self.steps)? == Some(cursor) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn document(&self, cursor: i64) -> Result<Option<Document>, Error> {
        let values = std::iter::once(Value::from(cursor)).chain(self.values.iter().cloned());
        let values: Vec<Value> = values.collect();
        self.reader.db.row(&self.sql, &values, document)
    }

    /// Whether a newer claim of the same finding matches too, and so was a hit before.
    fn is_told(&self, document: &Document) -> Result<bool, Error> {
        let sql = "SELECT cursor FROM documents WHERE finding = ?1 AND cursor > ?2 AND cursor <= ?3
            ORDER BY cursor LIMIT 1";
        let (db, last) = (self.reader.db, self.reader.last());
        let mut cursor = document.cursor;
        loop {
            let values = [document.finding.into(), cursor.into(), last.into()];
            cursor = match db.row(sql, &values, |row| row.get(0))? {
                Some(newer) => newer,
                None => return Ok(false),
            };
            if self.matches(cursor)? {
                return Ok(true);
            }
        }
    }

    fn matches(&self, cursor: i64) -> Result<bool, Error> {
        for (terms, is_wanted) in [(&self.positive, true), (&self.negative, false)] {
            for term in terms {
                if term.holds(self.reader.db, cursor)? != is_wanted {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

impl Source for Hits<'_> {
    fn next(&mut self) -> Result<Option<Document>, Error> {
        while let Some(cursor) = self.meet()? {
            self.limit = cursor - 1;
            if self.is_excluded(cursor)? {
                continue;
            }
            self.steps = self.steps.saturating_add(DOCUMENT_STEPS);
            let Some(document) = self.document(cursor)? else {
                continue;
            };
            if !self.is_told(&document)? {
                return Ok(Some(document));
            }
        }
        Ok(None)
    }

    fn cut(&self) -> Option<i64> {
        (self.steps >= self.reader.steps_max).then_some(self.limit + 1)
    }
}

fn document_sql(reader: &Reader<'_>, filter: &Filter) -> (String, Vec<Value>) {
    let mut sql = concat!(
        "SELECT cursor, finding, entity, scan, module, kind, key, text FROM documents d
         WHERE cursor = ? AND workspace = ? ",
        stands!("d")
    )
    .to_owned();
    let mut values = vec![reader.workspace().to_string().into()];
    for (column, names) in filter.named() {
        let marks = vec!["?"; names.len()].join(", ");
        sql.push_str(&format!(" AND {column} IN ({marks})"));
        values.extend(names.into_iter().map(Value::from));
    }
    (sql, values)
}

fn document(row: &Row<'_>) -> Result<Document, Cause> {
    Ok(Document {
        cursor: row.get(0)?,
        finding: FindingId(row.get(1)?),
        entity: EntityId(row.get(2)?),
        scan: parsed(row, 3)?,
        module: row.get(4)?,
        kind: parsed(row, 5)?,
        key: row.get(6)?,
        text: row.get(7)?,
    })
}
