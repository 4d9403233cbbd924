//! A reader of the catalog: one workspace, as of one position. Its questions stand beside it.

use std::cell::OnceCell;

use mirage_domain::id::{Cursor, FindingId, Position, WorkspaceId};

use super::page::{Listed, Page};
use super::sql::Sql;
use crate::error::Cause;
use crate::row::Row;
use crate::{Db, Error, Value};

/// Answers are consistent without a transaction: rows never change, and later ones are not looked at.
pub struct Reader<'db> {
    pub(super) db: &'db Db,
    pub(super) workspace: WorkspaceId,
    at: Position,
    /// What does not stand there, once it was derived.
    pub(super) fallen: OnceCell<Vec<FindingId>>,
}

impl<'db> Reader<'db> {
    /// Reads as of a position, or as of the view's checkpoint. A position that the view has not reached is an error.
    pub fn new(db: &'db Db, workspace: &WorkspaceId, at: Option<Position>) -> Result<Self, Error> {
        Ok(Self {
            db,
            workspace: workspace.clone(),
            at: db.reached(at)?,
            fallen: OnceCell::new(),
        })
    }

    /// The position that every answer is made at.
    pub fn position(&self) -> Position {
        self.at
    }

    pub fn workspace_id(&self) -> &WorkspaceId {
        &self.workspace
    }

    /// The same workspace as of an earlier position.
    pub fn as_of(&self, at: Position) -> Self {
        Self {
            db: self.db,
            workspace: self.workspace.clone(),
            at: at.min(self.at),
            fallen: OnceCell::new(),
        }
    }

    /// The packed cursor that nothing in an answer stands behind.
    pub(super) fn last(&self) -> Value {
        Cursor::after(self.at).packed().into()
    }
    pub(super) fn workspace(&self) -> Value {
        self.workspace.as_str().to_owned().into()
    }

    /// All rows; the connection leaves out what does not stand at this reader's position.
    pub(super) fn all<T>(
        &self,
        sql: Sql,
        read: impl FnMut(&Row<'_>) -> Result<T, Cause>,
    ) -> Result<Vec<T>, Error> {
        self.stand()?;
        self.all_claims(sql, read)
    }

    fn stand(&self) -> Result<(), Error> {
        match self.db.stands_at(&self.workspace, self.at) {
            true => Ok(()),
            false => self.db.exclude_at(self.fallen()?, &self.workspace, self.at),
        }
    }

    /// All rows of a statement that does not ask what stands.
    pub(super) fn all_claims<T>(
        &self,
        sql: Sql,
        read: impl FnMut(&Row<'_>) -> Result<T, Cause>,
    ) -> Result<Vec<T>, Error> {
        self.db.look_into(&self.workspace)?;
        self.db.rows(&sql.text, &sql.values, read)
    }

    pub(super) fn one<T>(
        &self,
        sql: Sql,
        read: impl FnMut(&Row<'_>) -> Result<T, Cause>,
    ) -> Result<Option<T>, Error> {
        Ok(self.all(sql, read)?.into_iter().next())
    }

    /// One number; 0 where there is none.
    pub(super) fn number(&self, sql: Sql) -> Result<u64, Error> {
        let number = self.one(sql, |row| row.get::<_, Option<i64>>(0))?;
        Ok(number.flatten().unwrap_or(0) as u64)
    }

    /// One page of a statement whose conditions end in `page_by`, the column of packed cursors.
    pub(super) fn page<T>(
        &self,
        sql: Sql,
        page: &Page,
        page_by: PageBy,
        mut read: impl FnMut(&Row<'_>) -> Result<T, Cause>,
    ) -> Result<Listed<T>, Error> {
        let (from, until) = page.bounds(self.at)?;
        let limit = Value::Integer(page.rows() as i64 + 1);
        let order = if page.is_newest_first {
            page_by.newest
        } else {
            page_by.oldest
        };
        let sql = sql
            .and(page_by.between, [from.into(), until.into()])
            .and(order, [limit]);
        let rows = self.all(sql, |row| {
            Ok((row.get::<_, i64>(page_by.column)?, read(row)?))
        })?;
        Ok(Listed::of(rows, page, self.at))
    }
}

/// The column by which a list is ordered and continued: its cursor.
pub(super) struct PageBy {
    column: &'static str,
    between: &'static str,
    oldest: &'static str,
    newest: &'static str,
}

macro_rules! page_by {
    ($table:literal) => {
        $crate::catalog::reader::PageBy::new(
            concat!("AND ", $table, ".cursor > ? AND ", $table, ".cursor < ?"),
            concat!("ORDER BY ", $table, ".cursor LIMIT ?"),
            concat!("ORDER BY ", $table, ".cursor DESC LIMIT ?"),
        )
    };
}
pub(super) use page_by;

impl PageBy {
    pub(super) const fn new(
        between: &'static str,
        oldest: &'static str,
        newest: &'static str,
    ) -> Self {
        Self {
            column: "cursor",
            between,
            oldest,
            newest,
        }
    }
}

pub(super) fn position(row: &Row<'_>) -> Result<Position, Cause> {
    Ok(row.get::<_, Cursor>("cursor")?.position)
}
