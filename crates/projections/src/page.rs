//! Pages: which part of a list is wanted, by the mark at which the page before it ended.

use mirage_domain::id::Position;

use crate::Error;

/// Most rows of one page.
pub const PAGE_ROWS_MAX: u32 = 1_000;

/// Which part of a list is wanted; `M` is the list's mark, opaque to those who hand it back.
#[derive(Debug, Clone, Copy)]
pub struct Page<M> {
    pub after: Option<M>,
    /// At most [`PAGE_ROWS_MAX`]; more is cut to that.
    pub limit: u32,
}

impl<M> Page<M> {
    pub fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    /// The rows behind the last page.
    pub fn after(self, after: M) -> Self {
        Self {
            after: Some(after),
            ..self
        }
    }

    pub(crate) fn rows(&self) -> usize {
        rows(self.limit)
    }
}

/// A limit as it is kept.
pub(crate) fn rows(limit: u32) -> usize {
    limit.clamp(1, PAGE_ROWS_MAX) as usize
}

/// A list is continued as of the position at which it was begun.
pub(crate) fn same_moment(begun: Position, asked: Position) -> Result<(), Error> {
    match begun == asked {
        true => Ok(()),
        false => Err(Error::OtherPosition { begun, asked }),
    }
}
