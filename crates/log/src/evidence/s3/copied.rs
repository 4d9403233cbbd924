//! The bucket as a source and a target of copies.

use std::fs::File;
use std::future::ready;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use mirage_domain::id::WorkspaceId;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::{S3, failed, write};
use crate::evidence::files::SMALL_BYTES_MAX;
use crate::evidence::{Copyable, Error, ITEM_BYTES_MAX, Item};

#[async_trait]
impl Copyable for S3 {
    fn inventory(&self) -> BoxStream<'_, Result<Item, Error>> {
        let workspaces = stream::once(self.workspaces());
        let workspaces = workspaces.map_ok(|names| stream::iter(names.into_iter().map(Ok)));
        let items = workspaces
            .try_flatten()
            .map_ok(|workspace| self.items(workspace));
        items.try_flatten().boxed()
    }

    async fn holds(&self, item: &Item) -> Result<bool, Error> {
        self.bucket.known(&item.workspace).await?;
        Ok(self.bucket.index.has(&item.workspace, item.digest)?
            // A request for each small item would take longer than the item.
            || item.is_large && self.bucket.size(&item.workspace, item.digest).await?.is_some())
    }

    async fn file_of(&self, item: &Item) -> Result<Option<File>, Error> {
        if !item.is_large {
            return Ok(None);
        }
        match self.bucket.size(&item.workspace, item.digest).await? {
            Some(bytes) if bytes > ITEM_BYTES_MAX as u64 => {
                self.bucket
                    .download(&item.workspace, item.digest, bytes)
                    .await
            }
            _ => Ok(None),
        }
    }

    async fn mend(&self, item: &Item, bytes: Vec<u8>) -> Result<(), Error> {
        let path = self.bucket.large(&item.workspace, item.digest);
        let is_object = self
            .bucket
            .size(&item.workspace, item.digest)
            .await?
            .is_some();
        if !is_object && bytes.len() <= SMALL_BYTES_MAX {
            // A copy in another pack stands beside the damaged one.
            let items = [(item.digest, bytes.as_slice())];
            return write::put(&self.bucket, &item.workspace, &items).await;
        }
        let put = self.bucket.store.put(&path, bytes.into());
        put.await.map(drop).map_err(failed)
    }
}

impl S3 {
    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, Error> {
        let prefix = &self.bucket.prefix;
        let listed = self.bucket.store.list_with_delimiter(Some(prefix)).await;
        let folders = listed.map_err(failed)?.common_prefixes;
        let named = folders.iter().filter_map(|folder| folder.filename());
        Ok(named
            .filter_map(|name| WorkspaceId::new(name).ok())
            .collect())
    }
}

impl S3 {
    /// Everything of a workspace, each once.
    pub(super) fn items(&self, workspace: WorkspaceId) -> BoxStream<'_, Result<Item, Error>> {
        let large = self.objects(workspace.clone());
        let packed = async move {
            self.bucket.refresh(&workspace).await?;
            Ok(self.packed(workspace))
        };
        stream::once(packed).try_flatten().chain(large).boxed()
    }

    fn packed(&self, workspace: WorkspaceId) -> BoxStream<'_, Result<Item, Error>> {
        let pages = stream::try_unfold((workspace, None), move |(workspace, after)| async move {
            let page = self.bucket.index.page(&workspace, after)?;
            let Some(last) = page.last().copied() else {
                return Ok(None);
            };
            let item = |digest| Item {
                workspace: workspace.clone(),
                digest,
                is_large: false,
            };
            let items: Vec<_> = page.into_iter().map(item).map(Ok).collect();
            Ok(Some((stream::iter(items), (workspace, Some(last)))))
        });
        pages.try_flatten().boxed()
    }

    fn objects(&self, workspace: WorkspaceId) -> BoxStream<'_, Result<Item, Error>> {
        let listed = self
            .bucket
            .store
            .list(Some(&self.bucket.folder(&workspace)));
        let item = move |object: ObjectMeta| {
            // A pack has another kind of name.
            let name = object.location.filename().unwrap_or_default();
            let Ok(digest) = name.parse() else {
                return Ok(None);
            };
            let is_packed = self.bucket.index.has(&workspace, digest)?;
            let workspace = workspace.clone();
            Ok((!is_packed).then_some(Item {
                workspace,
                digest,
                is_large: true,
            }))
        };
        let items = listed.map_err(failed);
        items
            .try_filter_map(move |object| ready(item(object)))
            .boxed()
    }
}
