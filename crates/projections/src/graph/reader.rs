//! A reader of the graph: one workspace, as of one position. Its questions stand beside it.

use mirage_domain::id::{Cursor, FindingId, Position, WorkspaceId};

use super::page::Among;
use crate::catalog::{self, Sql};
use crate::db::stands;
use crate::error::Cause;
use crate::row::Row;
use crate::{Db, Error, Value};

/// Claims that a question may look at: of the workspace, not after the position, and of findings that stand.
const STANDS: &str = concat!("AND c.workspace = ? AND c.cursor <= ? ", stands!("c"));

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

    /// The packed cursor that nothing in an answer stands behind.
    pub(super) fn last(&self) -> Value {
        Cursor::after(self.at).packed().into()
    }
    pub(super) fn workspace(&self) -> Value {
        self.workspace.as_str().to_owned().into()
    }

    /// Narrows the claims `c` of a statement to those that stand, and to what is asked for.
    pub(super) fn standing(&self, sql: Sql, among: &Among) -> Sql {
        sql.and(STANDS, [self.workspace(), self.last()])
            .maybe("AND c.scan = ?", among.scan.as_ref().map(Value::from))
            .one_of(
                "AND c.relation IN",
                among
                    .relations
                    .iter()
                    .map(|relation| relation.as_str().into()),
            )
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
        sql: &Sql,
        read: impl FnMut(&Row<'_>) -> Result<T, Cause>,
    ) -> Result<Vec<T>, Error> {
        self.stand()?;
        self.db.rows(&sql.text, &sql.values, read)
    }

    pub(super) fn one<T>(
        &self,
        sql: &Sql,
        read: impl FnMut(&Row<'_>) -> Result<T, Cause>,
    ) -> Result<Option<T>, Error> {
        Ok(self.all(sql, read)?.into_iter().next())
    }

    /// Row by row, so that a statement of any length takes constant memory.
    pub(super) fn each<T>(
        &self,
        sql: &Sql,
        mut read: impl FnMut(&Row<'_>) -> Result<T, Cause>,
        mut take: impl FnMut(T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.stand()?;
        self.db.each(&sql.text, &sql.values, |row| {
            take(read(row).map_err(|cause| Error::query(self.db.view(), cause))?)
        })
    }
}
