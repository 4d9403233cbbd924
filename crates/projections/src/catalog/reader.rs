//! A reader of the catalog: one workspace, as of one position. Its questions stand beside it.

use std::cell::OnceCell;

use jiff::Timestamp;
use mirage_domain::id::{Cursor, FindingId, Position, WorkspaceId};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Row, params_from_iter};

use super::page::{Listed, Page};
use super::sql::Sql;
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
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
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
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        self.db.rows(&sql.text, params_from_iter(&sql.values), read)
    }

    pub(super) fn one<T>(
        &self,
        sql: Sql,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
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
        mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
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

/// Nanoseconds since 1970, as the catalog keeps times.
pub(crate) struct Time(pub(crate) Timestamp);

impl FromSql for Time {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let nanoseconds = i64::column_result(value)?;
        let time = Timestamp::from_nanosecond(nanoseconds.into());
        time.map(Self)
            .map_err(|error| FromSqlError::Other(error.into()))
    }
}

/// An id or a name that reads back from its text.
pub(super) struct Parsed<T>(pub(super) T);

impl<T> FromSql for Parsed<T>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let parsed = value.as_str()?.parse::<T>();
        parsed
            .map(Self)
            .map_err(|error| FromSqlError::Other(error.into()))
    }
}

/// A column that reads back from its text.
pub(crate) fn parsed<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<T>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.get::<_, Parsed<T>>(column).map(|parsed| parsed.0)
}

/// A column that reads back from its text, or is null.
pub(crate) fn parsed_option<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let parsed = row.get::<_, Option<Parsed<T>>>(column)?;
    Ok(parsed.map(|parsed| parsed.0))
}

pub(crate) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    row.get::<_, Time>(column).map(|time| time.0)
}

pub(super) fn position(row: &Row<'_>) -> rusqlite::Result<Position> {
    Ok(Cursor::unpacked(row.get("cursor")?).position)
}
