//! Copying a store of evidence: only what is not there, each item held against its digest.

use std::fs::File;
use std::path::Path;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use mirage_domain::id::{Digest, WorkspaceId};
use rusqlite::params;
use tokio::sync::Mutex;

use super::files::{Files, SMALL_BYTES_MAX, open_small};
use super::inventory::Inventory;
use super::{Error, EvidenceStore, ITEM_BYTES_MAX};

/// Items that are under way at once: between a folder and a bucket each takes a request.
const AT_ONCE: usize = 16;

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

/// An item, and how it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub workspace: WorkspaceId,
    pub digest: Digest,
    /// Whether it is kept by itself; else it lies among other small ones.
    pub is_large: bool,
}

/// A store that can be copied from and to.
#[async_trait]
pub trait Copyable: EvidenceStore {
    /// Everything that was kept when each page was read, in no order.
    fn inventory(&self) -> BoxStream<'_, Result<Item, Error>>;

    /// Whether an item is there by its name; its bytes are not looked at.
    async fn holds(&self, item: &Item) -> Result<bool, Error>;

    /// An item that is too large for memory, as a file, which may be damaged; `None` for any other.
    async fn file_of(&self, item: &Item) -> Result<Option<File>, Error>;

    /// Puts the right bytes in the place of damaged ones: what a digest names cannot be anything else.
    async fn mend(&self, item: &Item, bytes: Vec<u8>) -> Result<(), Error>;
}

enum There {
    No,
    Yes,
    Damaged,
}

/// Copies what `to` does not hold; it is durable on return. What `from` gets meanwhile may be missed.
pub async fn copy(from: &dyn Copyable, to: &dyn Copyable, how: Copying) -> Result<Copied, Error> {
    // Large items one at a time: many small ones at once take less memory than one of them.
    let large = Mutex::new(());
    let mut copying = from
        .inventory()
        .map(|item| {
            let large = &large;
            async move {
                let item = item?;
                let _one = match item.is_large {
                    true => Some(large.lock().await),
                    false => None,
                };
                one(from, to, &item, how).await
            }
        })
        .buffer_unordered(AT_ONCE);
    let mut copied = Copied::default();
    while let Some(done) = copying.next().await {
        copied.add(done?);
    }
    to.flush().await?;
    Ok(copied)
}

impl Copied {
    fn add(&mut self, more: Self) {
        self.items += more.items;
        self.bytes += more.bytes;
        self.there += more.there;
        self.mended += more.mended;
        self.damaged += more.damaged;
        let room = NAMED_MAX - self.named.len();
        self.named.extend(more.named.into_iter().take(room));
    }
}

async fn one(
    from: &dyn Copyable,
    to: &dyn Copyable,
    item: &Item,
    how: Copying,
) -> Result<Copied, Error> {
    let mut copied = Copied::default();
    let there = there(to, item, how.is_thorough).await?;
    if matches!(there, There::Yes) {
        copied.there = 1;
        return Ok(copied);
    }
    if matches!(there, There::No)
        && let Some(file) = from.file_of(item).await?
    {
        let put = |error: std::io::Error| Error::Put(error.into());
        copied.bytes = file.metadata().map_err(put)?.len();
        copied.items = 1;
        to.put_file(&item.workspace, file, item.digest).await?;
        return Ok(copied);
    }
    let bytes = match from.get(&item.workspace, item.digest).await {
        Ok(Some(bytes)) => bytes,
        // Nothing is ever deleted; a store that was swapped underneath has other items.
        Ok(None) => return Ok(copied),
        Err(Error::Damaged { digest, .. }) if how.skips_damaged => {
            copied.damaged = 1;
            copied.named.push(digest);
            return Ok(copied);
        }
        Err(error) => return Err(error),
    };
    copied.bytes = bytes.len() as u64;
    if matches!(there, There::Damaged) {
        to.mend(item, bytes).await?;
        copied.mended = 1;
    } else {
        to.put(&item.workspace, bytes).await?;
        copied.items = 1;
    }
    Ok(copied)
}

async fn there(to: &dyn Copyable, item: &Item, is_thorough: bool) -> Result<There, Error> {
    if !is_thorough {
        return Ok(match to.holds(item).await? {
            true => There::Yes,
            false => There::No,
        });
    }
    match to.open(&item.workspace, item.digest).await {
        Ok(Some(_)) => Ok(There::Yes),
        Ok(None) => Ok(There::No),
        Err(Error::Damaged { .. }) => Ok(There::Damaged),
        Err(error) => Err(error),
    }
}

#[async_trait]
impl Copyable for Files {
    fn inventory(&self) -> BoxStream<'_, Result<Item, Error>> {
        let pages = stream::try_unfold(Inventory::of(self), |mut inventory| async {
            let read = tokio::task::spawn_blocking(move || {
                let page = inventory.next();
                page.map(|page| page.map(|page| (page, inventory)))
            });
            read.await.map_err(|error| Error::Open(error.into()))?
        });
        let items = pages.map_ok(|page| stream::iter(page.into_iter().map(Ok)));
        items.try_flatten().boxed()
    }

    async fn holds(&self, item: &Item) -> Result<bool, Error> {
        let (reader, item) = (self.reader.clone(), item.clone());
        let digest = item.digest;
        let sql = "SELECT count(*) FROM items WHERE digest = ?1 AND workspace = ?2";
        let look = move || -> rusqlite::Result<bool> {
            let rows: i64 = reader.with(|connection| {
                let key = params![item.digest.0, item.workspace.as_str()];
                connection
                    .prepare_cached(sql)?
                    .query_row(key, |row| row.get(0))
            })?;
            Ok(rows > 0 || reader.shelf.large(&item.workspace, item.digest).exists())
        };
        let fail = |source| Error::Get { digest, source };
        let looked = tokio::task::spawn_blocking(look).await;
        looked
            .map_err(|error| fail(error.into()))?
            .map_err(|error| fail(error.into()))
    }

    async fn file_of(&self, item: &Item) -> Result<Option<File>, Error> {
        let path = self.reader.shelf.large(&item.workspace, item.digest);
        let open = move || -> std::io::Result<Option<File>> {
            let file = match File::open(path) {
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

    async fn mend(&self, item: &Item, bytes: Vec<u8>) -> Result<(), Error> {
        let (reader, item) = (self.reader.clone(), item.clone());
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
