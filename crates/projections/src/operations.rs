//! Operations: the rows that commits become, grouped by table for the sink that inserts them.
//!
//! **Invariant:** a row is inserted if its key is absent, and otherwise ignored; there is no other operation.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::hash::{Hash, Hasher};

/// A table and its columns, as `SCHEMA` makes them.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub columns: &'static [&'static str],
}

/// One column of one row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    Null,
    Integer(i64),
    Text(Cow<'static, str>),
    /// An entity's or finding's id.
    Id([u8; 16]),
    Blob(Vec<u8>),
}

impl From<i64> for Value {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}
impl From<u64> for Value {
    /// Counts; one beyond 2^63 is held there.
    fn from(integer: u64) -> Self {
        Self::Integer(i64::try_from(integer).unwrap_or(i64::MAX))
    }
}
impl From<u32> for Value {
    fn from(integer: u32) -> Self {
        Self::Integer(integer.into())
    }
}
impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Integer(truth.into())
    }
}
impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}
impl From<[u8; 16]> for Value {
    fn from(id: [u8; 16]) -> Self {
        Self::Id(id)
    }
}
impl From<[u8; 32]> for Value {
    fn from(digest: [u8; 32]) -> Self {
        Self::Blob(digest.to_vec())
    }
}
impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Blob(bytes)
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Rows of one table, one after the other.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) table: &'static Table,
    pub(crate) values: Vec<Value>,
    /// Values of commits that were applied to their end.
    accepted: usize,
    /// Where rows stand that a batch may say again, by the hash of their keys.
    firsts: HashMap<u64, usize>,
}

impl Rows {
    fn of(table: &'static Table) -> Self {
        Self {
            table,
            values: Vec::new(),
            accepted: 0,
            firsts: HashMap::new(),
        }
    }

    /// Whether a row with this key is known to stand here already. One in 2^64 others is not known.
    fn has(&mut self, key: &[Value]) -> bool {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let next = self.values.len();
        match self.firsts.entry(hasher.finish()) {
            Entry::Vacant(vacant) => {
                vacant.insert(next);
                false
            }
            Entry::Occupied(first) => self.values[*first.get()..].starts_with(key),
        }
    }
}

impl Rows {
    /// Row by row, values in the order of the table's columns.
    pub(crate) fn lines(&self) -> impl ExactSizeIterator<Item = &[Value]> {
        self.values.chunks_exact(self.table.columns.len())
    }
}

impl PartialEq for Rows {
    fn eq(&self, other: &Self) -> bool {
        self.table.name == other.table.name && self.values == other.values
    }
}

/// The rows of a batch of commits.
#[derive(Debug, Default, PartialEq)]
pub struct Operations {
    tables: Vec<Rows>,
}

impl Operations {
    /// Inserts a row if its key is absent; `values` stand in the order of the table's columns.
    pub fn insert<const N: usize>(&mut self, table: &'static Table, values: [Value; N]) {
        debug_assert_eq!(N, table.columns.len(), "{}", table.name);
        self.rows(table).values.extend(values);
    }

    /// Inserts a row whose key, the first `key` columns, the same batch may say many times: only the first is kept, and
    /// the store spared the others.
    pub fn insert_first<const N: usize>(
        &mut self,
        table: &'static Table,
        key: usize,
        values: [Value; N],
    ) {
        debug_assert_eq!(N, table.columns.len(), "{}", table.name);
        let rows = self.rows(table);
        if !rows.has(&values[..key]) {
            rows.values.extend(values);
        }
    }

    fn rows(&mut self, table: &'static Table) -> &mut Rows {
        let known = self
            .tables
            .iter()
            .position(|rows| std::ptr::eq(rows.table, table));
        let at = known.unwrap_or_else(|| {
            self.tables.push(Rows::of(table));
            self.tables.len() - 1
        });
        &mut self.tables[at]
    }

    /// The commit at hand is applied to its end.
    pub(crate) fn accept(&mut self) {
        for rows in &mut self.tables {
            rows.accepted = rows.values.len();
        }
    }

    /// Forgets the rows of the commit at hand.
    pub(crate) fn discard(&mut self) {
        for rows in &mut self.tables {
            let kept = rows.accepted;
            if rows.values.len() > kept {
                rows.firsts.retain(|_, first| *first < kept);
                rows.values.truncate(kept);
            }
        }
    }

    /// Empties everything and keeps the memory for the next batch.
    pub(crate) fn clear(&mut self) {
        for rows in &mut self.tables {
            rows.values.clear();
            rows.firsts.clear();
            rows.accepted = 0;
        }
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = &Rows> {
        self.tables.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static THINGS: Table = Table {
        name: "things",
        columns: &["id", "name"],
    };

    fn values(operations: &Operations) -> usize {
        operations.tables().map(|rows| rows.values.len()).sum()
    }

    #[test]
    fn a_commit_that_fails_leaves_the_rows_of_the_others() {
        let mut operations = Operations::default();
        operations.insert(&THINGS, [1_i64.into(), "one".into()]);
        operations.accept();
        operations.insert(&THINGS, [2_i64.into(), "two".into()]);
        operations.discard();
        assert_eq!(values(&operations), 2);
    }

    #[test]
    fn a_row_that_a_batch_says_again_is_kept_once_unless_the_first_is_discarded() {
        let mut operations = Operations::default();
        let say = |operations: &mut Operations, name: &'static str| {
            operations.insert_first(&THINGS, 1, [1_i64.into(), name.into()]);
        };
        say(&mut operations, "first");
        operations.discard();
        say(&mut operations, "second");
        operations.accept();
        say(&mut operations, "third");
        let rows: Vec<&Rows> = operations.tables().collect();
        assert_eq!(rows[0].values, [1_i64.into(), "second".into()]);
        operations.clear();
        say(&mut operations, "fourth");
        assert_eq!(values(&operations), 2);
    }
}
