//! A reader of the graph: one workspace, as of one position. Its questions stand beside it.

use mirage_domain::id::{Cursor, FindingId, Position, WorkspaceId};

use super::cypher::InCypher;
use super::page::Among;
use super::sql::InSql;
use super::words::{Asked, Statement, Words};
use crate::catalog;
use crate::error::Cause;
use crate::row::Row;
use crate::{Db, Error};

/// Answers are consistent without a transaction: rows never change, and later ones are not looked at.
pub struct Reader<'db> {
    pub(super) db: &'db Db,
    workspace: WorkspaceId,
    at: Position,
    /// Findings that do not stand there; without them the database leaves out what it was told to.
    fallen: Option<Vec<FindingId>>,
}

impl<'db> Reader<'db> {
    /// Reads as of a position, or as of the view's checkpoint. A position that the view has not reached is an error.
    pub fn new(db: &'db Db, workspace: &WorkspaceId, at: Option<Position>) -> Result<Self, Error> {
        Ok(Self {
            db,
            workspace: workspace.clone(),
            at: db.reached(at)?,
            fallen: None,
        })
    }

    /// Reads as a reader of the catalog does: its workspace, its position, and without what does not stand there.
    pub fn beside(db: &'db Db, catalog: &catalog::Reader<'_>) -> Result<Self, Error> {
        let reader = Self::new(db, catalog.workspace_id(), Some(catalog.position()))?;
        Ok(Self {
            fallen: Some(catalog.fallen()?.to_vec()),
            ..reader
        })
    }

    /// The position that every answer is made at.
    pub fn position(&self) -> Position {
        self.at
    }

    /// What a question of this reader is narrowed to.
    pub(super) fn asked<'a>(&'a self, among: &'a Among) -> Asked<'a> {
        Asked {
            workspace: &self.workspace,
            last: Cursor::after(self.at).packed(),
            among,
        }
    }

    /// The words of the store that answers.
    pub(super) fn words(&self) -> &'static dyn Words {
        match self.db.is_graph() {
            true => &InCypher,
            false => &InSql,
        }
    }

    /// Another reader of the same database may have left out other findings.
    fn stand(&self) -> Result<(), Error> {
        match &self.fallen {
            Some(fallen) if !self.db.stands_at(&self.workspace, self.at) => {
                self.db.exclude_at(fallen, &self.workspace, self.at)
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn all<T>(
        &self,
        statement: &Statement,
        read: impl FnMut(&Row<'_>) -> Result<T, Cause>,
    ) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        self.each(statement, read, |one| {
            all.push(one);
            Ok(())
        })?;
        Ok(all)
    }

    pub(super) fn one<T>(
        &self,
        statement: &Statement,
        read: impl FnMut(&Row<'_>) -> Result<T, Cause>,
    ) -> Result<Option<T>, Error> {
        Ok(self.all(statement, read)?.into_iter().next())
    }

    /// Row by row, so that a statement of any length takes constant memory.
    pub(super) fn each<T>(
        &self,
        statement: &Statement,
        mut read: impl FnMut(&Row<'_>) -> Result<T, Cause>,
        mut take: impl FnMut(T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.stand()?;
        let each =
            |row: &Row<'_>| take(read(row).map_err(|cause| Error::query(self.db.view(), cause))?);
        match statement {
            Statement::Sql(sql) => self.db.each(&sql.text, &sql.values, each),
            Statement::Cypher(cypher) => self.db.each_in_graph(cypher, each),
        }
    }
}
