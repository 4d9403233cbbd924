//! Pages of lists: keyset paging with an opaque mark, bound to the position of the first page.

use std::fmt;
use std::str::FromStr;

use mirage_domain::id::{Cursor, Position};
use serde::Serialize;

use crate::Error;
use crate::page::{rows, same_moment};

/// Where the next page of a list begins, opaque to those who hand it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    pub(super) at: Position,
    /// Packed cursor of the last row.
    pub(super) key: i64,
}

impl After {
    /// The position as of which the list was begun, and is to be continued.
    pub fn position(self) -> Position {
        self.at
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.at.0, self.key)
    }
}

impl FromStr for After {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let (at, key) = text.split_once('-')?;
            Some(Self {
                at: Position(u64::from_str_radix(at, 16).ok()?),
                key: i64::from_str_radix(key, 16).ok()?,
            })
        };
        parse().ok_or_else(|| Error::After(text.to_owned()))
    }
}

impl Serialize for After {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    pub after: Option<After>,
    /// At most [`crate::PAGE_ROWS_MAX`]; more is cut to that.
    pub limit: u32,
    pub is_newest_first: bool,
}

impl Page {
    /// The oldest rows.
    pub fn first(limit: u32) -> Self {
        Self {
            after: None,
            limit,
            is_newest_first: false,
        }
    }

    /// The newest rows, newest first.
    pub fn newest(limit: u32) -> Self {
        Self {
            is_newest_first: true,
            ..Self::first(limit)
        }
    }

    /// The rows behind the last page.
    pub fn after(self, after: After) -> Self {
        Self {
            after: Some(after),
            ..self
        }
    }

    pub(super) fn rows(&self) -> usize {
        rows(self.limit)
    }

    /// Packed cursors between which the page's rows lie, both exclusive.
    pub(super) fn bounds(&self, at: Position) -> Result<(i64, i64), Error> {
        let (from, until) = (0, Cursor::after(at).packed() + 1);
        if let Some(after) = self.after {
            same_moment(after.at, at)?;
        }
        match self.after {
            None => Ok((from, until)),
            Some(after) if self.is_newest_first => Ok((from, after.key)),
            Some(after) => Ok((after.key, until)),
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed<T> {
    pub rows: Vec<T>,
    /// As of which the list was made.
    pub at: Position,
    /// None on the last page.
    pub next: Option<After>,
}

impl<T> Listed<T> {
    /// A page out of rows with their packed cursors, read one further than wanted.
    pub(super) fn of(mut rows: Vec<(i64, T)>, page: &Page, at: Position) -> Self {
        let is_more = rows.len() > page.rows();
        rows.truncate(page.rows());
        let last = rows.last().map(|(key, _)| *key);
        Self {
            next: last.filter(|_| is_more).map(|key| After { at, key }),
            rows: rows.into_iter().map(|(_, row)| row).collect(),
            at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_and_holds_only_at_its_position() {
        let after = After {
            at: Position(300),
            key: 77,
        };
        assert_eq!(after.to_string().parse::<After>().unwrap(), after);
        let page = Page::first(10).after(after);
        assert_eq!(page.bounds(Position(300)).unwrap().0, 77);
        assert!(matches!(
            page.bounds(Position(301)),
            Err(Error::OtherPosition { .. })
        ));
        assert!("77".parse::<After>().is_err());
    }
}
