//! Evidence in a bucket of S3: small items packed, one put per group, larger ones under their hash.
//!
//! `PREFIX/WORKSPACE/packs/UUID` holds small items and its own index (`pack.rs`); `PREFIX/WORKSPACE/ab/ab…` is a larger
//! one. Which pack holds an item is kept in a local index that is made anew from the packs: any number of processes may
//! use one bucket, and each lists the packs again when it is asked for what it does not know.
//!
//! **Invariant:** an object is complete or not there: one put, or parts that are joined at the end.
//! **Never:** a change or a removal of an object; `mend` puts damaged bytes right under the same hash.
//!
//! Uploads that a killed process left half-done are invisible; a rule of the bucket (`AbortIncompleteMultipartUpload`)
//! removes them.

mod bucket;
mod copied;
mod failed;
mod index;
mod large;
mod looked;
mod options;
mod pack;
mod write;

#[cfg(test)]
mod tests;

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use mirage_domain::id::{Digest, WorkspaceId};
use object_store::{ObjectStore, path};

pub use options::{Options, PATIENCE};

use super::files::SMALL_BYTES_MAX;
use super::{Error, EvidenceStore, FILE_BYTES_MAX, ITEM_BYTES_MAX, Stored};
use bucket::Bucket;
use failed::failed;
use index::Index;
use write::Writer;

/// See the module's doc.
pub struct S3 {
    bucket: Arc<Bucket>,
    writer: Writer,
}

impl S3 {
    /// Opens the store in a bucket that is there; asks it once, so that wrong credentials are said here. The process
    /// has installed a provider of cryptography for TLS. Writes by a task of the caller's runtime.
    pub async fn open(options: &Options) -> Result<Self, Error> {
        let store = Self::over(Arc::new(options.client()?), options)?;
        store.reachable().await?;
        Ok(store)
    }

    fn over(store: Arc<dyn ObjectStore>, options: &Options) -> Result<Self, Error> {
        let prefix = path::Path::parse(&options.prefix);
        let prefix = prefix.map_err(|error| Error::Open(error.into()))?;
        let file = options.index.as_deref();
        let index = Index::open(file, &options.identity())?;
        let scratch = file.and_then(Path::parent).map(Path::to_owned);
        let bucket = Arc::new(Bucket::new(store, prefix, index, scratch));
        let writer = Writer::start(bucket.clone(), options.patience);
        Ok(Self { bucket, writer })
    }

    /// Asks for the first name in the bucket.
    async fn reachable(&self) -> Result<(), Error> {
        let mut listed = self.bucket.store.list(Some(&self.bucket.prefix));
        listed.try_next().await.map(drop).map_err(failed)
    }

    /// From the packs that are known, then as an object; what is damaged is said if nothing else is there.
    async fn look(&self, workspace: &WorkspaceId, digest: Digest) -> Result<Option<Found>, Error> {
        self.bucket.known(workspace).await?;
        let small = match self.bucket.small(workspace, digest).await {
            Ok(Some(bytes)) => return Ok(Some(Found::Small(bytes))),
            Err(error) if !matches!(error, Error::Damaged { .. }) => return Err(error),
            other => other,
        };
        if let Some(bytes) = self.bucket.size(workspace, digest).await? {
            return Ok(Some(Found::Large(bytes)));
        }
        // It may lie in a pack that another process made, also a damaged one that was put right.
        self.bucket.refresh(workspace).await?;
        match self.bucket.small(workspace, digest).await? {
            Some(bytes) => Ok(Some(Found::Small(bytes))),
            None => small.map(|_| None),
        }
    }
}

enum Found {
    Small(Vec<u8>),
    /// Its bytes by the bucket's word.
    Large(u64),
}

#[async_trait]
impl EvidenceStore for S3 {
    async fn put(&self, workspace: &WorkspaceId, bytes: Vec<u8>) -> Result<Digest, Error> {
        let (len, digest) = (bytes.len(), Digest::of(&bytes));
        if len > ITEM_BYTES_MAX {
            return Err(Error::TooLarge {
                bytes: len,
                max: ITEM_BYTES_MAX,
            });
        }
        if len > SMALL_BYTES_MAX {
            let (reader, len) = (Cursor::new(bytes), len as u64);
            self.bucket.keep(workspace, digest, reader, len).await?;
            return Ok(digest);
        }
        self.bucket.known(workspace).await?;
        self.writer.put(workspace.clone(), digest, bytes).await?;
        Ok(digest)
    }

    async fn flush(&self) -> Result<(), Error> {
        self.writer.flush().await
    }

    async fn get(&self, workspace: &WorkspaceId, digest: Digest) -> Result<Option<Vec<u8>>, Error> {
        let bytes = match self.look(workspace, digest).await? {
            None => return Ok(None),
            Some(Found::Small(bytes)) => return Ok(Some(bytes)),
            Some(Found::Large(bytes)) => bytes,
        };
        let path = self.bucket.large(workspace, digest);
        let Some(bytes) = self.bucket.range(&path, 0, bytes).await? else {
            return Ok(None);
        };
        match Digest::of(&bytes) {
            found if found == digest => Ok(Some(bytes)),
            found => Err(Error::Damaged { digest, found }),
        }
    }

    fn list<'a>(&'a self, workspace: &'a WorkspaceId) -> BoxStream<'a, Result<Digest, Error>> {
        let items = self.items(workspace.clone());
        items.map_ok(|item| item.digest).boxed()
    }

    async fn put_file(
        &self,
        workspace: &WorkspaceId,
        mut file: std::fs::File,
        digest: Digest,
    ) -> Result<(), Error> {
        let put = |error: std::io::Error| Error::Put(error.into());
        let bytes = file.metadata().map_err(put)?.len();
        if bytes > FILE_BYTES_MAX {
            let max = FILE_BYTES_MAX;
            return Err(Error::FileTooLarge { bytes, max });
        }
        std::io::Seek::rewind(&mut file).map_err(put)?;
        self.bucket.keep(workspace, digest, file, bytes).await
    }

    async fn open(
        &self,
        workspace: &WorkspaceId,
        digest: Digest,
    ) -> Result<Option<Box<dyn Stored>>, Error> {
        Ok(match self.look(workspace, digest).await? {
            None => None,
            Some(Found::Small(bytes)) => Some(Box::new(Cursor::new(bytes))),
            Some(Found::Large(bytes)) => {
                let file = self.bucket.download(workspace, digest, bytes).await?;
                file.map(|file| Box::new(file) as Box<dyn Stored>)
            }
        })
    }
}
