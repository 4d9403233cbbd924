//! What is in a store of evidence, page by page.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use mirage_domain::id::{Digest, WorkspaceId};
use rusqlite::params;

use super::files::{Files, Reader};
use super::{Error, Item};

/// Rows of one page.
const PAGE_ROWS: u32 = 512;

/// Goes through a store once: its rows in order of digest, then its files folder by folder.
pub(super) struct Inventory {
    reader: Arc<Reader>,
    /// The last row that was given out.
    after: Option<Item>,
    /// Folders of files still to be read; none before the rows are through.
    folders: Option<Vec<PathBuf>>,
}

impl Inventory {
    pub(super) fn of(store: &Files) -> Self {
        Self {
            reader: store.reader.clone(),
            after: None,
            folders: None,
        }
    }

    /// The next items; `None` at the end. Blocks.
    pub(super) fn next(&mut self) -> Result<Option<Vec<Item>>, Error> {
        if self.folders.is_none() {
            let rows = self.rows().map_err(|error| Error::Open(error.into()))?;
            if let Some(last) = rows.last() {
                self.after = Some(last.clone());
                return Ok(Some(rows));
            }
        }
        let listed = self.files();
        listed.map_err(|error| Error::Open(error.into()))
    }

    fn rows(&self) -> rusqlite::Result<Vec<Item>> {
        let (digest, workspace) = match &self.after {
            Some(item) => (item.digest.0.to_vec(), item.workspace.as_str()),
            None => (Vec::new(), ""),
        };
        let sql = "SELECT digest, workspace FROM items WHERE (digest, workspace) > (?1, ?2) \
                   ORDER BY digest, workspace LIMIT ?3";
        self.reader.with(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(params![digest, workspace, PAGE_ROWS], |row| {
                let workspace: String = row.get(1)?;
                let workspace = WorkspaceId::new(&workspace).map_err(|error| {
                    let at = rusqlite::types::Type::Text;
                    rusqlite::Error::FromSqlConversionFailure(1, at, error.into())
                })?;
                let digest = Digest(row.get(0)?);
                Ok(Item {
                    workspace,
                    digest,
                    is_large: false,
                })
            })?;
            rows.collect()
        })
    }

    fn files(&mut self) -> std::io::Result<Option<Vec<Item>>> {
        if self.folders.is_none() {
            self.folders = Some(folders(&self.reader)?);
        }
        while let Some(folder) = self.folders.as_mut().and_then(Vec::pop) {
            let workspace = folder.parent().and_then(|path| path.file_name()?.to_str());
            let Some(workspace) = workspace.and_then(|name| WorkspaceId::new(name).ok()) else {
                continue;
            };
            let mut items = Vec::new();
            for entry in fs::read_dir(&folder)? {
                // What is still being written, or was left half-written, has another name.
                let name = entry?.file_name();
                if let Some(digest) = name.to_str().and_then(|name| name.parse().ok()) {
                    let workspace = workspace.clone();
                    items.push(Item {
                        workspace,
                        digest,
                        is_large: true,
                    });
                }
            }
            if !items.is_empty() {
                return Ok(Some(items));
            }
        }
        Ok(None)
    }
}

/// `WORKSPACE/ab`, all of them.
fn folders(reader: &Reader) -> std::io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for workspace in fs::read_dir(&reader.shelf.dir)? {
        let workspace = workspace?;
        if !workspace.file_type()?.is_dir() {
            continue;
        }
        for folder in fs::read_dir(workspace.path())? {
            let folder = folder?;
            if folder.file_type()?.is_dir() {
                folders.push(folder.path());
            }
        }
    }
    Ok(folders)
}
