//! Copying a store of evidence: only what is not there, each item held against its digest.

use std::path::Path;

use mirage_domain::id::Digest;
use rusqlite::params;

use super::files::{Files, SMALL_BYTES_MAX, open_small};
use super::inventory::{Inventory, Item};
use super::{Error, EvidenceStore, ITEM_BYTES_MAX};

/// Damaged items that are named; more are counted.
const NAMED_MAX: usize = 100;

/// How to copy.
#[derive(Debug, Clone, Copy, Default)]
pub struct Copying {
    /// Read what is there already, and put a damaged item right; otherwise its name is enough.
    pub is_thorough: bool,
    /// Leave out what is damaged in the source instead of failing at it.
    pub skips_damaged: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// Items that were copied, and their bytes.
    pub items: u64,
    pub bytes: u64,
    /// Items that were there already.
    pub there: u64,
    /// Items that were there and damaged, and are right now.
    pub mended: u64,
    /// Items that are damaged in the source: how many, and the first of them.
    pub damaged: u64,
    pub named: Vec<Digest>,
}

enum There {
    No,
    Yes,
    Damaged,
}

/// Copies what `to` does not hold; it is on disk on return. What `from` gets meanwhile may be missed.
pub async fn copy(from: &Files, to: &Files, how: Copying) -> Result<Copied, Error> {
    let mut inventory = Inventory::of(from);
    let mut copied = Copied::default();
    loop {
        let listed = tokio::task::spawn_blocking(move || {
            let page = inventory.next();
            (inventory, page)
        });
        let (again, page) = listed.await.map_err(|error| Error::Open(error.into()))?;
        inventory = again;
        let Some(items) = page? else { break };
        for item in items {
            one(from, to, &item, how, &mut copied).await?;
        }
    }
    to.flush().await?;
    Ok(copied)
}

async fn one(
    from: &Files,
    to: &Files,
    item: &Item,
    how: Copying,
    copied: &mut Copied,
) -> Result<(), Error> {
    let there = to.there(item, how.is_thorough).await?;
    if matches!(there, There::Yes) {
        copied.there += 1;
        return Ok(());
    }
    if matches!(there, There::No)
        && let Some(file) = from.file_of(item).await?
    {
        copied.bytes += file
            .metadata()
            .map_err(|error| Error::Put(error.into()))?
            .len();
        copied.items += 1;
        return to.put_file(&item.workspace, file, item.digest).await;
    }
    let bytes = match from.get(&item.workspace, item.digest).await {
        Ok(Some(bytes)) => bytes,
        // Nothing is ever deleted; a store that was swapped underneath has other items.
        Ok(None) => return Ok(()),
        Err(Error::Damaged { digest, .. }) if how.skips_damaged => {
            copied.damaged += 1;
            if copied.named.len() < NAMED_MAX {
                copied.named.push(digest);
            }
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    copied.bytes += bytes.len() as u64;
    match there {
        There::Damaged => {
            to.mend(item.clone(), bytes).await?;
            copied.mended += 1;
        }
        _ => {
            to.put(&item.workspace, bytes).await?;
            copied.items += 1;
        }
    }
    Ok(())
}

impl Files {
    /// An item that is too large for memory, as its file; the copy is held against its digest.
    async fn file_of(&self, item: &Item) -> Result<Option<std::fs::File>, Error> {
        let path = self.reader.shelf.large(&item.workspace, item.digest);
        let open = move || -> std::io::Result<Option<std::fs::File>> {
            let file = match std::fs::File::open(path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                file => file?,
            };
            let is_larger = file.metadata()?.len() > ITEM_BYTES_MAX as u64;
            Ok(is_larger.then_some(file))
        };
        let opened = tokio::task::spawn_blocking(open).await;
        let opened = opened.map_err(|error| Error::Open(error.into()))?;
        opened.map_err(|source| Error::Get {
            digest: item.digest,
            source: source.into(),
        })
    }

    async fn there(&self, item: &Item, is_thorough: bool) -> Result<There, Error> {
        if is_thorough {
            return match self.open(&item.workspace, item.digest).await {
                Ok(Some(_)) => Ok(There::Yes),
                Ok(None) => Ok(There::No),
                Err(Error::Damaged { .. }) => Ok(There::Damaged),
                Err(error) => Err(error),
            };
        }
        let (reader, item) = (self.reader.clone(), item.clone());
        let digest = item.digest;
        let sql = "SELECT count(*) FROM items WHERE digest = ?1 AND workspace = ?2";
        let look = move || -> rusqlite::Result<There> {
            let rows: i64 = reader.with(|connection| {
                let key = params![item.digest.0, item.workspace.as_str()];
                connection
                    .prepare_cached(sql)?
                    .query_row(key, |row| row.get(0))
            })?;
            let is_there = rows > 0 || reader.shelf.large(&item.workspace, item.digest).exists();
            Ok(if is_there { There::Yes } else { There::No })
        };
        let fail = |source| Error::Get { digest, source };
        let looked = tokio::task::spawn_blocking(look).await;
        looked
            .map_err(|error| fail(error.into()))?
            .map_err(|error| fail(error.into()))
    }

    /// Puts the right bytes in the place of damaged ones: what a digest names cannot be anything else.
    async fn mend(&self, item: Item, bytes: Vec<u8>) -> Result<(), Error> {
        let reader = self.reader.clone();
        let mend = move || -> Result<(), Error> {
            let fail = |error: std::io::Error| Error::Put(error.into());
            let path = reader.shelf.large(&item.workspace, item.digest);
            if bytes.len() > SMALL_BYTES_MAX {
                return reader.shelf.write_anew(&path, &bytes).map_err(fail);
            }
            update(&reader.shelf.small(), &item, &bytes).map_err(|error| Error::Put(error.into()))
        };
        let mended = tokio::task::spawn_blocking(mend).await;
        mended.map_err(|error| Error::Put(error.into()))?
    }
}

fn update(path: &Path, item: &Item, bytes: &[u8]) -> rusqlite::Result<()> {
    let sql = "UPDATE items SET bytes = ?3 WHERE digest = ?1 AND workspace = ?2";
    let key = params![item.digest.0, item.workspace.as_str(), bytes];
    open_small(path)?.execute(sql, key).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mirage_domain::id::WorkspaceId;
    use tempfile::TempDir;

    const LARGE: usize = SMALL_BYTES_MAX + 1;

    fn workspace(name: &str) -> WorkspaceId {
        WorkspaceId::new(name).unwrap()
    }

    async fn filled(items: u32) -> (Files, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let store = Files::open(dir.path()).unwrap();
        for n in 0..items {
            let small = n.to_be_bytes().to_vec();
            store.put(&workspace("default"), small).await.unwrap();
        }
        for name in ["default", "other"] {
            let large = vec![7; LARGE];
            store.put(&workspace(name), large).await.unwrap();
            store.put(&workspace(name), b"both".to_vec()).await.unwrap();
        }
        store.flush().await.unwrap();
        (store, dir)
    }

    fn empty() -> (Files, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        (Files::open(dir.path()).unwrap(), dir)
    }

    #[tokio::test]
    async fn everything_is_copied_once_and_a_repetition_copies_what_is_new() {
        let ((from, _keep), (to, _also)) = (filled(1300).await, empty());
        let first = copy(&from, &to, Copying::default()).await.unwrap();
        assert_eq!((first.items, first.there), (1304, 0));
        from.put(&workspace("default"), b"new".to_vec())
            .await
            .unwrap();
        from.flush().await.unwrap();
        let second = copy(&from, &to, Copying::default()).await.unwrap();
        assert_eq!((second.items, second.there, second.bytes), (1, 1304, 3));
        for name in ["default", "other"] {
            let large = Digest::of(&vec![7; LARGE]);
            assert!(to.get(&workspace(name), large).await.unwrap().is_some());
        }
    }

    #[tokio::test]
    async fn what_is_damaged_in_the_source_is_named_or_left_out() {
        let ((from, dir), (to, _keep)) = (filled(3).await, empty());
        let bad = Digest::of(&vec![7; LARGE]);
        std::fs::write(from.reader.shelf.large(&workspace("other"), bad), b"cut").unwrap();
        let refused = copy(&from, &to, Copying::default()).await.unwrap_err();
        assert!(matches!(refused, Error::Damaged { digest, .. } if digest == bad));
        let how = Copying {
            skips_damaged: true,
            ..Copying::default()
        };
        let copied = copy(&from, &to, how).await.unwrap();
        assert_eq!((copied.damaged, copied.named), (1, vec![bad]));
        drop(dir);
    }

    #[tokio::test]
    async fn what_is_damaged_in_the_target_is_put_right_by_a_thorough_copy() {
        let ((from, _keep), (to, dir)) = (filled(3).await, empty());
        copy(&from, &to, Copying::default()).await.unwrap();
        let large = Digest::of(&vec![7; LARGE]);
        std::fs::write(to.reader.shelf.large(&workspace("other"), large), b"cut").unwrap();
        rusqlite::Connection::open(dir.path().join("small.db"))
            .unwrap()
            .execute(
                "UPDATE items SET bytes = x'00' WHERE workspace = 'other'",
                [],
            )
            .unwrap();
        let how = Copying {
            is_thorough: true,
            ..Copying::default()
        };
        let copied = copy(&from, &to, how).await.unwrap();
        assert_eq!((copied.items, copied.mended), (0, 2));
        let again = copy(&from, &to, how).await.unwrap();
        assert_eq!((again.mended, again.there), (0, 7));
    }
}
