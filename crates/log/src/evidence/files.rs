//! Evidence in a folder: small items as rows of one SQLite file, larger ones as files.

use std::fs;
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use mirage_domain::id::{Digest, WorkspaceId};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use sha2::{Digest as _, Sha256};

use super::write::Writer;
use super::{Copyable, Error, EvidenceStore, FILE_BYTES_MAX, ITEM_BYTES_MAX, Item, Stored};
use crate::sqlite::use_wal;

/// Items up to this size are rows.
pub(super) const SMALL_BYTES_MAX: usize = 64 * 1024;
/// Idle reading connections that are kept.
const READERS_MAX: usize = 4;
/// Pages in memory while a group is written; with less they go to the WAL more than once.
const CACHE_KIB: i64 = 16 * 1024;
/// Pages in the WAL before they move into the file: digests are random, so each group meets most of the index's pages,
/// and pages that several groups wrote move once.
const WAL_PAGES: i64 = 16 * 1024;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS items (
        workspace TEXT NOT NULL,
        digest BLOB NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS items_by_digest ON items (digest, workspace);
";

/// See the module's doc.
pub struct Files {
    writer: Writer,
    pub(super) reader: Arc<Reader>,
}

pub(super) struct Reader {
    pub(super) shelf: Shelf,
    idle: Mutex<Vec<Connection>>,
}

/// Where things lie in the folder.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    pub(super) dir: PathBuf,
}

impl Shelf {
    pub(super) fn small(&self) -> PathBuf {
        self.dir.join("small.db")
    }

    /// `WORKSPACE/ab/ab…`: digests and workspace ids hold no character that a path could misread.
    pub(super) fn large(&self, workspace: &WorkspaceId, digest: Digest) -> PathBuf {
        let name = digest.to_string();
        self.dir
            .join(workspace.as_str())
            .join(&name[..2])
            .join(name)
    }

    /// Writes a large item: whole and on disk, or not at all.
    pub(super) fn keep(
        &self,
        workspace: &WorkspaceId,
        digest: Digest,
        bytes: &[u8],
    ) -> std::io::Result<()> {
        let path = self.large(workspace, digest);
        let folder = path.parent().expect("a large item lies two folders deep");
        fs::create_dir_all(folder)?;
        match fs::File::open(&path) {
            // Whoever put it there may have died before it was on disk.
            Ok(there) => there.sync_all()?,
            Err(_) => self.write_anew(&path, bytes)?,
        }
        for folder in folder.ancestors().take(3) {
            fs::File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

impl Shelf {
    /// Writes a file under a name of its own and gives it its place: two processes may do so at once.
    pub(super) fn write_anew(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let fresh = path.with_extension(format!("{}.new", std::process::id()));
        let mut file = fs::File::create(&fresh)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(&fresh, path)
    }
}

impl Shelf {
    /// Copies a file to its place, unless it lies there: whole and on disk, or not at all.
    fn keep_file(
        &self,
        workspace: &WorkspaceId,
        file: fs::File,
        digest: Digest,
    ) -> Result<(), Error> {
        let put = |error: std::io::Error| match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::Full(error.into()),
            _ => Error::Put(error.into()),
        };
        let path = self.large(workspace, digest);
        let folder = path.parent().expect("a large item lies two folders deep");
        fs::create_dir_all(folder).map_err(put)?;
        match fs::File::open(&path) {
            Ok(there) if hash_of(&there).map_err(put)? == digest => {
                there.sync_all().map_err(put)?;
            }
            _ => {
                let fresh = path.with_extension(format!("{}.new", std::process::id()));
                let copied = copy(&file, &fresh, digest, &put);
                if let Err(error) = copied.and_then(|()| fs::rename(&fresh, &path).map_err(put)) {
                    // What is half there is of no use; that it cannot be removed changes nothing.
                    let _ = fs::remove_file(&fresh);
                    return Err(error);
                }
            }
        }
        for folder in folder.ancestors().take(3) {
            let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(put)?;
        }
        Ok(())
    }
}

fn copy(
    mut file: &fs::File,
    fresh: &Path,
    digest: Digest,
    put: &impl Fn(std::io::Error) -> Error,
) -> Result<(), Error> {
    let mut out = fs::File::create(fresh).map_err(put)?;
    file.rewind().map_err(put)?;
    let found = pieces(file, |piece| out.write_all(piece)).map_err(put)?;
    if found != digest {
        return Err(Error::Damaged { digest, found });
    }
    out.sync_data().map_err(put)
}

fn hash_of(file: &fs::File) -> std::io::Result<Digest> {
    pieces(file, |_| Ok(()))
}

/// Reads to the end in pieces; answers the SHA-256.
fn pieces(
    mut file: &fs::File,
    mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 256 * 1024];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(Digest(hasher.finalize().into())),
            Ok(read) => {
                hasher.update(&piece[..read]);
                take(&piece[..read])?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Makes what an earlier process may have written to the WAL and not synced durable: it is readable from here on, and
/// what is readable counts as kept.
pub(crate) fn sync_wal(path: &Path) -> std::io::Result<()> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    match fs::File::open(wal) {
        Ok(wal) => wal.sync_all(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

pub(super) fn open_small(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    use_wal(&connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

impl Files {
    /// Opens the store in `dir`, or makes an empty one.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(|error| Error::Open(error.into()))?;
        let shelf = Shelf {
            dir: dir.to_owned(),
        };
        sync_wal(&shelf.small()).map_err(|error| Error::Open(error.into()))?;
        let connection = open_small(&shelf.small()).map_err(|error| Error::Open(error.into()))?;
        let writer = Writer::start(connection, shelf.clone());
        let reader = Reader {
            shelf,
            idle: Mutex::default(),
        };
        Ok(Self {
            writer,
            reader: reader.into(),
        })
    }
}

impl Reader {
    pub(super) fn with<T>(
        &self,
        act: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let idle = self.idle.lock().expect("no holder panics").pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                Connection::open_with_flags(self.shelf.small(), flags)?
            }
        };
        let answer = act(&connection)?;
        let mut idle = self.idle.lock().expect("no holder panics");
        if idle.len() < READERS_MAX {
            idle.push(connection);
        }
        Ok(answer)
    }

    fn small(&self, workspace: &WorkspaceId, digest: Digest) -> rusqlite::Result<Option<Vec<u8>>> {
        let sql = "SELECT bytes FROM items WHERE digest = ?1 AND workspace = ?2";
        self.with(|connection| {
            connection
                .prepare_cached(sql)?
                .query_row(params![digest.0, workspace.as_str()], |row| row.get(0))
                .optional()
        })
    }

    /// A large item, verified, at its start.
    fn open_large(
        &self,
        workspace: &WorkspaceId,
        digest: Digest,
    ) -> Result<Option<fs::File>, Error> {
        let fail = |error: std::io::Error| Error::Get {
            digest,
            source: error.into(),
        };
        let mut file = match fs::File::open(self.shelf.large(workspace, digest)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        let found = hash_of(&file).map_err(fail)?;
        file.rewind().map_err(fail)?;
        match found == digest {
            true => Ok(Some(file)),
            false => Err(Error::Damaged { digest, found }),
        }
    }

    fn find(&self, workspace: &WorkspaceId, digest: Digest) -> Result<Option<Vec<u8>>, Error> {
        let fail = |source| Error::Get { digest, source };
        let small = self
            .small(workspace, digest)
            .map_err(|error| fail(error.into()))?;
        let bytes = match small {
            Some(bytes) => bytes,
            None => match fs::read(self.shelf.large(workspace, digest)) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(fail(error.into())),
            },
        };
        match Digest::of(&bytes) {
            found if found == digest => Ok(Some(bytes)),
            found => Err(Error::Damaged { digest, found }),
        }
    }
}

#[async_trait]
impl EvidenceStore for Files {
    async fn put(&self, workspace: &WorkspaceId, bytes: Vec<u8>) -> Result<Digest, Error> {
        if bytes.len() > ITEM_BYTES_MAX {
            return Err(Error::TooLarge {
                bytes: bytes.len(),
                max: ITEM_BYTES_MAX,
            });
        }
        self.writer.put(workspace.clone(), bytes).await
    }

    async fn flush(&self) -> Result<(), Error> {
        self.writer.flush().await
    }

    async fn get(&self, workspace: &WorkspaceId, digest: Digest) -> Result<Option<Vec<u8>>, Error> {
        let (reader, workspace) = (self.reader.clone(), workspace.clone());
        let read = tokio::task::spawn_blocking(move || reader.find(&workspace, digest)).await;
        read.map_err(|error| Error::Get {
            digest,
            source: error.into(),
        })?
    }

    async fn put_file(
        &self,
        workspace: &WorkspaceId,
        file: fs::File,
        digest: Digest,
    ) -> Result<(), Error> {
        let bytes = file
            .metadata()
            .map_err(|error| Error::Put(error.into()))?
            .len();
        if bytes > FILE_BYTES_MAX {
            let max = FILE_BYTES_MAX;
            return Err(Error::FileTooLarge { bytes, max });
        }
        let (shelf, workspace) = (self.reader.shelf.clone(), workspace.clone());
        let kept =
            tokio::task::spawn_blocking(move || shelf.keep_file(&workspace, file, digest)).await;
        kept.map_err(|error| Error::Put(error.into()))?
    }

    async fn open(
        &self,
        workspace: &WorkspaceId,
        digest: Digest,
    ) -> Result<Option<Box<dyn Stored>>, Error> {
        let (reader, owner) = (self.reader.clone(), workspace.clone());
        let open = move || match reader.open_large(&owner, digest)? {
            Some(file) => Ok(Some(Box::new(file) as Box<dyn Stored>)),
            None => {
                let bytes = reader.find(&owner, digest)?;
                Ok(bytes.map(|bytes| Box::new(std::io::Cursor::new(bytes)) as Box<dyn Stored>))
            }
        };
        let opened = tokio::task::spawn_blocking(open).await;
        opened.map_err(|error| Error::Get {
            digest,
            source: error.into(),
        })?
    }

    fn list<'a>(&'a self, workspace: &'a WorkspaceId) -> BoxStream<'a, Result<Digest, Error>> {
        let own = |item: Item| (item.workspace == *workspace).then_some(item.digest);
        let items = self.inventory();
        items
            .try_filter_map(move |item| std::future::ready(Ok(own(item))))
            .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn workspace() -> WorkspaceId {
        WorkspaceId::new("default").unwrap()
    }

    fn fresh() -> (Files, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        (Files::open(dir.path()).unwrap(), dir)
    }

    async fn make() -> Option<(Files, TempDir)> {
        Some(fresh())
    }

    crate::evidence::contract::suite!(make);

    #[tokio::test]
    async fn what_was_flushed_is_there_for_the_next_process_byte_for_byte() {
        let (store, dir) = fresh();
        let items = [
            b"".to_vec(),
            b"small".to_vec(),
            vec![7; SMALL_BYTES_MAX + 1],
        ];
        let mut digests = Vec::new();
        for item in &items {
            digests.push(store.put(&workspace(), item.clone()).await.unwrap());
            store.put(&workspace(), item.clone()).await.unwrap();
        }
        store.flush().await.unwrap();
        let next = Files::open(dir.path()).unwrap();
        for (item, digest) in items.iter().zip(digests) {
            assert_eq!(digest, Digest::of(item));
            assert_eq!(
                next.get(&workspace(), digest).await.unwrap().as_ref(),
                Some(item)
            );
        }
        let listed = next.list(&workspace()).try_collect::<Vec<_>>().await;
        assert_eq!(listed.unwrap().len(), items.len());
        assert_eq!(
            next.get(&workspace(), Digest::of(b"never put"))
                .await
                .unwrap(),
            None
        );
    }

    #[tokio::test]
    async fn a_file_leaves_nothing_half_written() {
        let (store, dir) = fresh();
        let path = dir.path().join("file");
        fs::write(&path, vec![7; 3 * SMALL_BYTES_MAX]).unwrap();
        let file = || fs::File::open(&path).unwrap();
        let right = hash_of(&file()).unwrap();
        for digest in [Digest::of(b"before it changed"), right] {
            let put = store.put_file(&workspace(), file(), digest).await;
            assert_eq!(put.is_ok(), digest == right);
        }
        let names = fs::read_dir(dir.path().join("default")).unwrap();
        let left: Vec<_> = names
            .flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap())
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name.to_string_lossy().contains("new"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }

    #[tokio::test]
    async fn damage_is_said() {
        let (store, dir) = fresh();
        let small = store.put(&workspace(), b"small".to_vec()).await.unwrap();
        let large = store
            .put(&workspace(), vec![7; SMALL_BYTES_MAX + 1])
            .await
            .unwrap();
        store.flush().await.unwrap();
        Connection::open(dir.path().join("small.db"))
            .unwrap()
            .execute("UPDATE items SET bytes = x'00'", [])
            .unwrap();
        fs::write(store.reader.shelf.large(&workspace(), large), b"cut").unwrap();
        for digest in [small, large] {
            let damaged = store.get(&workspace(), digest).await;
            assert!(matches!(damaged, Err(Error::Damaged { .. })), "{damaged:?}");
        }
    }
}
