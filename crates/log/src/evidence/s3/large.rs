//! Items that are objects of their own: put once, in parts if they are long, and read in pieces.

use std::fs::File;
use std::io::{Read, Seek, Write};

use mirage_domain::id::{Digest, WorkspaceId};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutPayload, WriteMultipart};
use sha2::{Digest as _, Sha256};

use super::bucket::Bucket;
use super::failed;
use crate::evidence::{Error, FILE_BYTES_MAX};

/// Bytes of one part and of one piece; S3 wants at least 5 MiB and at most 10 000 parts.
pub(super) const PART_BYTES: usize = 8 * 1024 * 1024;
/// Parts of one item that are under way at once.
const PARTS_MAX: usize = 4;

impl Bucket {
    /// Bytes of a large item; `None` if it is not there.
    pub(super) async fn size(
        &self,
        workspace: &WorkspaceId,
        digest: Digest,
    ) -> Result<Option<u64>, Error> {
        self.size_of(&self.large(workspace, digest)).await
    }

    async fn size_of(&self, path: &Path) -> Result<Option<u64>, Error> {
        match self.store.head(path).await {
            Ok(object) if object.size > FILE_BYTES_MAX => Err(Error::FileTooLarge {
                bytes: object.size,
                max: FILE_BYTES_MAX,
            }),
            Ok(object) => Ok(Some(object.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Puts an item under its digest unless it is there; it is complete or not there at all.
    pub(super) async fn keep<R: Read + Send + 'static>(
        &self,
        workspace: &WorkspaceId,
        digest: Digest,
        reader: R,
        bytes: u64,
    ) -> Result<(), Error> {
        let path = self.large(workspace, digest);
        let is_there = self.size_of(&path).await? == Some(bytes);
        let pieces = Pieces::of(reader);
        match bytes <= PART_BYTES as u64 {
            // What a file holds is held against its digest, there or not.
            _ if is_there => pieces.check(digest).await,
            true => self.put_whole(&path, digest, pieces).await,
            false => self.put_parts(&path, digest, pieces).await,
        }
    }

    async fn put_whole<R: Read + Send + 'static>(
        &self,
        path: &Path,
        digest: Digest,
        mut pieces: Pieces<R>,
    ) -> Result<(), Error> {
        let bytes = pieces.next().await?;
        // A file may have grown meanwhile.
        let rest = pieces.next().await?;
        let found = pieces.found();
        if found != digest || !rest.is_empty() {
            return Err(Error::Damaged { digest, found });
        }
        let size = bytes.len() as u64;
        let payload = PutPayload::from(bytes);
        let create = self
            .store
            .put_opts(path, payload.clone(), PutMode::Create.into());
        match create.await {
            Ok(_) => Ok(()),
            // Also said while another's put is under way, which may yet fail.
            Err(object_store::Error::AlreadyExists { .. }) => {
                if self.size_of(path).await? == Some(size) {
                    return Ok(());
                }
                self.store
                    .put(path, payload)
                    .await
                    .map(drop)
                    .map_err(failed)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// The parts of an upload that is not completed are not seen by anyone.
    async fn put_parts<R: Read + Send + 'static>(
        &self,
        path: &Path,
        digest: Digest,
        mut pieces: Pieces<R>,
    ) -> Result<(), Error> {
        let upload = self.store.put_multipart(path).await.map_err(failed)?;
        let mut parts = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        let sent = async {
            loop {
                let piece = pieces.next().await?;
                if piece.is_empty() {
                    break;
                }
                parts.wait_for_capacity(PARTS_MAX).await.map_err(failed)?;
                parts.put(piece.into());
            }
            match pieces.found() {
                found if found != digest => Err(Error::Damaged { digest, found }),
                _ => Ok(()),
            }
        };
        match sent.await {
            Ok(()) => parts.finish().await.map(drop).map_err(failed),
            Err(error) => {
                // A bucket's own rule removes what cannot be removed here.
                let _ = parts.abort().await;
                Err(error)
            }
        }
    }

    /// A large item as a file without a name, verified, at its start.
    pub(super) async fn download(
        &self,
        workspace: &WorkspaceId,
        digest: Digest,
        bytes: u64,
    ) -> Result<Option<File>, Error> {
        let get = |error: std::io::Error| Error::Get {
            digest,
            source: error.into(),
        };
        let path = self.large(workspace, digest);
        let made = match &self.scratch {
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        };
        let mut file = made.map_err(get)?;
        let mut hasher = Sha256::new();
        let mut start = 0;
        while start < bytes {
            let end = bytes.min(start + PART_BYTES as u64);
            let Some(piece) = self.range(&path, start, end).await? else {
                return Ok(None);
            };
            let write = move || -> std::io::Result<(File, Sha256)> {
                file.write_all(&piece)?;
                hasher.update(&piece);
                Ok((file, hasher))
            };
            let written = tokio::task::spawn_blocking(write).await;
            (file, hasher) = written.map_err(|error| get(error.into()))?.map_err(get)?;
            start = end;
        }
        let found = Digest(hasher.finalize().into());
        if found != digest {
            return Err(Error::Damaged { digest, found });
        }
        file.rewind().map_err(get)?;
        Ok(Some(file))
    }
}

/// A reader in pieces of [`PART_BYTES`], hashed on the way.
struct Pieces<R> {
    state: Option<(R, Sha256)>,
}

impl<R: Read + Send + 'static> Pieces<R> {
    fn of(reader: R) -> Self {
        let state = Some((reader, Sha256::new()));
        Self { state }
    }

    /// The next piece; empty at the end, shorter only before it.
    async fn next(&mut self) -> Result<Vec<u8>, Error> {
        let (mut reader, mut hasher) = self.state.take().expect("put back below");
        let read = move || {
            let mut piece = Vec::with_capacity(64 * 1024);
            let read = (&mut reader)
                .take(PART_BYTES as u64)
                .read_to_end(&mut piece);
            hasher.update(&piece);
            (read.map(|_| piece), (reader, hasher))
        };
        let done = tokio::task::spawn_blocking(read).await;
        let (piece, state) = done.map_err(|error| Error::Put(error.into()))?;
        self.state = Some(state);
        piece.map_err(|error| Error::Put(error.into()))
    }

    fn found(self) -> Digest {
        let (_, hasher) = self.state.expect("put back after each piece");
        Digest(hasher.finalize().into())
    }

    /// Reads to the end only to see whether it has this digest.
    async fn check(mut self, digest: Digest) -> Result<(), Error> {
        while !self.next().await?.is_empty() {}
        match self.found() {
            found if found == digest => Ok(()),
            found => Err(Error::Damaged { digest, found }),
        }
    }
}
