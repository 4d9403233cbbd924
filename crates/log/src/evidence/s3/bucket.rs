//! The bucket as the store sees it: where things lie, and what of the packs is known.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use mirage_domain::id::{Digest, WorkspaceId};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use uuid::Uuid;

use super::failed;
use super::index::{Index, Place};
use super::looked::Looked;
use super::pack::{self, Entry, Reading};
use crate::evidence::Error;

/// The folder of the packs in a workspace's.
pub(super) const PACKS: &str = "packs";
/// Packs whose beginnings are read at once.
const READS_MAX: usize = 16;
/// What is read of a pack first: the index of 1 800 items.
const FIRST_BYTES: u64 = 64 * 1024;

pub(super) struct Bucket {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) prefix: Path,
    pub(super) index: Index,
    /// The folder for items that are read in pieces; none: the system's.
    pub(super) scratch: Option<PathBuf>,
    looked: Looked,
}

impl Bucket {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        index: Index,
        scratch: Option<PathBuf>,
    ) -> Self {
        Self {
            store,
            prefix,
            index,
            scratch,
            looked: Looked::default(),
        }
    }

    pub(super) fn folder(&self, workspace: &WorkspaceId) -> Path {
        self.prefix.clone().join(workspace.as_str())
    }

    pub(super) fn pack(&self, workspace: &WorkspaceId, name: &str) -> Path {
        self.folder(workspace).join(PACKS).join(name)
    }

    /// `WORKSPACE/ab/ab…`, as in a folder.
    pub(super) fn large(&self, workspace: &WorkspaceId, digest: Digest) -> Path {
        let name = digest.to_string();
        self.folder(workspace).join(&name[..2]).join(name)
    }

    /// Lists a workspace's packs if this process has not yet.
    pub(super) async fn known(&self, workspace: &WorkspaceId) -> Result<(), Error> {
        match self.looked.has(workspace) {
            true => Ok(()),
            false => self.refresh(workspace).await,
        }
    }

    /// Takes in the packs that others made, and forgets those that are gone. All are listed: names begin with the time
    /// by somebody's clock, so a new one may stand before an old one.
    pub(super) async fn refresh(&self, workspace: &WorkspaceId) -> Result<(), Error> {
        let list = async || self.take_in(workspace).await;
        self.looked.again(workspace, list).await
    }

    async fn take_in(&self, workspace: &WorkspaceId) -> Result<(), Error> {
        let mut known = self.index.packs(workspace)?;
        let unseen = self.unseen(workspace, &mut known).await?;
        for gone in known.keys() {
            tracing::error!(%workspace, pack = gone, "a pack of evidence is gone or cut off");
            self.index.forget(workspace, gone)?;
        }
        let mut read = stream::iter(unseen)
            .map(|(name, size)| async move {
                let entries = self.entries(workspace, &name, size).await?;
                Ok::<_, Error>((name, size, entries))
            })
            .buffer_unordered(READS_MAX);
        while let Some((name, size, entries)) = read.try_next().await? {
            if let Some(entries) = entries {
                self.index.take(workspace, name, size, entries).await?;
            }
        }
        Ok(())
    }

    /// Names and sizes of packs that are not known; leaves in `known` those that are not there, or not as they were.
    async fn unseen(
        &self,
        workspace: &WorkspaceId,
        known: &mut HashMap<String, u64>,
    ) -> Result<Vec<(String, u64)>, Error> {
        let mut listed = self.store.list(Some(&self.folder(workspace).join(PACKS)));
        let mut unseen = Vec::new();
        while let Some(object) = listed.try_next().await.map_err(failed)? {
            let name = object.location.filename().unwrap_or_default();
            if known.get(name) == Some(&object.size) {
                known.remove(name);
            } else if name.parse::<Uuid>().is_ok() {
                unseen.push((name.to_owned(), object.size));
            }
        }
        Ok(unseen)
    }

    /// What a pack holds; `None` if it is gone.
    async fn entries(
        &self,
        workspace: &WorkspaceId,
        name: &str,
        size: u64,
    ) -> Result<Option<Vec<Entry>>, Error> {
        let path = self.pack(workspace, name);
        let mut bytes = FIRST_BYTES;
        loop {
            let Some(beginning) = self.range(&path, 0, bytes.min(size)).await? else {
                return Ok(None);
            };
            match pack::read(&beginning, size) {
                Reading::Entries(entries) => return Ok(Some(entries)),
                Reading::Needs(more) if more > bytes => bytes = more,
                Reading::Needs(_) => return Ok(Some(Vec::new())),
                Reading::Damaged(named) => {
                    tracing::error!(%workspace, pack = name, "the index of a pack of evidence is damaged");
                    let all = size.min(pack::OBJECT_BYTES_MAX);
                    let whole = self.range(&path, 0, all).await?;
                    return Ok(whole.map(|whole| pack::salvage(named, &whole)));
                }
            }
        }
    }

    /// Bytes of an object; fewer if it is shorter, `None` if it is not there.
    pub(super) async fn range(
        &self,
        path: &Path,
        start: u64,
        end: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        if start >= end {
            return Ok(Some(Vec::new()));
        }
        match self.store.get_range(path, start..end).await {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// A small item out of the packs that are known: the first copy that is right; what is wrong is an error only if
    /// no copy is.
    pub(super) async fn small(
        &self,
        workspace: &WorkspaceId,
        digest: Digest,
    ) -> Result<Option<Vec<u8>>, Error> {
        let mut damaged = None;
        for place in self.index.places(workspace, digest)? {
            let Some(bytes) = self.at(workspace, &place).await? else {
                continue;
            };
            match Digest::of(&bytes) {
                found if found == digest => return Ok(Some(bytes)),
                found => damaged = Some(Error::Damaged { digest, found }),
            }
        }
        damaged.map_or(Ok(None), Err)
    }

    async fn at(&self, workspace: &WorkspaceId, place: &Place) -> Result<Option<Vec<u8>>, Error> {
        let path = self.pack(workspace, &place.pack);
        let end = place.end.min(place.size);
        match self.range(&path, place.start, end).await {
            // A range beyond the end is an error like any other; the pack may have been cut off since.
            Err(error) => match self.store.head(&path).await {
                Ok(object) if object.size != place.size => {
                    let end = place.end.min(object.size);
                    self.range(&path, place.start, end).await
                }
                _ => Err(error),
            },
            read => read,
        }
    }
}
