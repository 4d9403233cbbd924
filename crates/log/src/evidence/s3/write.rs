//! The one task that writes packs: one put per group, flushes answered together.
//!
//! What queued during the last group goes into the next; a flush waits for no more.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use mirage_domain::id::{Digest, WorkspaceId};
use object_store::ObjectStoreExt;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use uuid::Uuid;

use super::bucket::Bucket;
use super::{failed, pack};
use crate::evidence::Error;

/// KiB of evidence that may wait for the store.
const QUEUE_KIB: usize = 64 * 1024;
/// Bytes after which a group is written without a flush.
const GROUP_BYTES: usize = pack::BYTES_MAX;
/// What was put and never flushed is written after this long; what could not be written is tried again.
const IDLE: Duration = Duration::from_secs(1);
/// Looks into the index between which other tasks get their turn.
const LOOKS_MAX: usize = 64;
/// Packs of one group that are under way at once: each is held in memory twice.
const PUTS_MAX: usize = 4;

struct Item {
    workspace: WorkspaceId,
    digest: Digest,
    bytes: Vec<u8>,
    /// Room in the queue, given back once the item is written.
    _room: OwnedSemaphorePermit,
}

#[derive(Default)]
struct Queue {
    items: Vec<Item>,
    bytes: usize,
    flushes: Vec<oneshot::Sender<Result<(), Error>>>,
    /// No more will come.
    is_done: bool,
    /// Nobody will take any.
    is_gone: bool,
}

#[derive(Default)]
struct Desk {
    queue: Mutex<Queue>,
    wake: Notify,
}

impl Desk {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no holder panics")
    }

    /// Waits for a full group, a flush or the end; with something to write not longer than [`IDLE`].
    async fn take(&self, has_more: bool) -> Queue {
        loop {
            let woken = self.wake.notified();
            let is_empty = {
                let mut queue = self.queue();
                if queue.bytes >= GROUP_BYTES || !queue.flushes.is_empty() || queue.is_done {
                    return queue.taken();
                }
                queue.items.is_empty() && !has_more
            };
            if is_empty {
                woken.await;
            } else if tokio::time::timeout(IDLE, woken).await.is_err() {
                return self.queue().taken();
            }
        }
    }
}

impl Queue {
    fn taken(&mut self) -> Self {
        Self {
            items: std::mem::take(&mut self.items),
            bytes: std::mem::take(&mut self.bytes),
            flushes: std::mem::take(&mut self.flushes),
            ..*self
        }
    }
}

pub(super) struct Writer {
    desk: Arc<Desk>,
    room: Arc<Semaphore>,
    patience: Duration,
}

impl Writer {
    /// Starts the task on the runtime of the caller.
    pub(super) fn start(bucket: Arc<Bucket>, patience: Duration) -> Self {
        let desk = Arc::new(Desk::default());
        let task = Task {
            desk: desk.clone(),
            bucket,
            waiting: Vec::new(),
        };
        tokio::spawn(task.run());
        Self {
            desk,
            room: Semaphore::new(QUEUE_KIB).into(),
            patience,
        }
    }

    pub(super) async fn put(
        &self,
        workspace: WorkspaceId,
        digest: Digest,
        bytes: Vec<u8>,
    ) -> Result<(), Error> {
        let kib = (bytes.len() / 1024 + 1) as u32;
        let room = self.room.clone().acquire_many_owned(kib);
        let full = |_| Error::Unreachable("the queue of evidence stays full".into());
        let room = tokio::time::timeout(self.patience, room).await;
        let room = room.map_err(full)?.map_err(|_| Error::Closed)?;
        let mut queue = self.desk.queue();
        if queue.is_gone {
            return Err(Error::Closed);
        }
        queue.bytes += bytes.len();
        queue.items.push(Item {
            workspace,
            digest,
            bytes,
            _room: room,
        });
        if queue.items.len() == 1 || queue.bytes >= GROUP_BYTES {
            self.desk.wake.notify_one();
        }
        Ok(())
    }

    pub(super) async fn flush(&self) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        {
            let mut queue = self.desk.queue();
            if queue.is_gone {
                return Err(Error::Closed);
            }
            queue.flushes.push(answer);
        }
        self.desk.wake.notify_one();
        answered.await.map_err(|_| Error::Closed)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.desk.queue().is_done = true;
        self.desk.wake.notify_one();
    }
}

struct Task {
    desk: Arc<Desk>,
    bucket: Arc<Bucket>,
    /// Put and not yet in the bucket; after a failure they wait for the next group.
    waiting: Vec<Item>,
}

impl Drop for Task {
    /// However it ends, nobody waits for it in vain.
    fn drop(&mut self) {
        let mut queue = self.desk.queue();
        queue.is_gone = true;
        queue.items.clear();
        queue.flushes.clear();
    }
}

impl Task {
    async fn run(mut self) {
        loop {
            let mut queue = self.desk.take(!self.waiting.is_empty()).await;
            self.waiting.append(&mut queue.items);
            let written = self.group().await;
            if written.is_ok() {
                self.waiting.clear();
            }
            for answer in queue.flushes {
                // Whoever asked may be gone.
                let _ = answer.send(again(&written));
            }
            if queue.is_done {
                return;
            }
        }
    }

    /// Writes what waits; what landed before a failure is known by the index and not written again.
    async fn group(&mut self) -> Result<(), Error> {
        self.waiting
            .sort_unstable_by(|a, b| (&a.workspace, a.digest).cmp(&(&b.workspace, b.digest)));
        self.waiting
            .dedup_by(|a, b| (&a.workspace, a.digest) == (&b.workspace, b.digest));
        let mut missing = Vec::new();
        for (at, item) in self.waiting.iter().enumerate() {
            if at % LOOKS_MAX == LOOKS_MAX - 1 {
                tokio::task::yield_now().await;
            }
            if !self.bucket.index.has(&item.workspace, item.digest)? {
                missing.push(item);
            }
        }
        let puts: Vec<_> = packs(&missing)
            .into_iter()
            .map(|items| put_items(&self.bucket, items))
            .collect();
        stream::iter(puts)
            .buffer_unordered(PUTS_MAX)
            .try_collect()
            .await
    }
}

/// Cuts items into packs: of one workspace each, bounded in number and bytes.
fn packs<'a>(items: &'a [&'a Item]) -> Vec<&'a [&'a Item]> {
    let mut packs = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, item) in items.iter().enumerate() {
        let is_full = at - start == pack::ITEMS_MAX || bytes >= pack::BYTES_MAX;
        if at > start && (is_full || items[start].workspace != item.workspace) {
            packs.push(&items[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += item.bytes.len();
    }
    if start < items.len() {
        packs.push(&items[start..]);
    }
    packs
}

async fn put_items(bucket: &Bucket, items: &[&Item]) -> Result<(), Error> {
    let packed: Vec<_> = items
        .iter()
        .map(|item| (item.digest, item.bytes.as_slice()))
        .collect();
    put(bucket, &items[0].workspace, &packed).await
}

/// Puts a pack of these items, also of those that are in another.
pub(super) async fn put(
    bucket: &Bucket,
    workspace: &WorkspaceId,
    items: &[(Digest, &[u8])],
) -> Result<(), Error> {
    let (bytes, entries) = pack::pack(items);
    let (name, size) = (Uuid::now_v7().to_string(), bytes.len() as u64);
    // No other pack has this name, so it may be put again when an answer is lost.
    let path = bucket.pack(workspace, &name);
    let put = bucket.store.put(&path, bytes.into()).await;
    put.map_err(failed)?;
    bucket.index.take(workspace, name, size, entries).await
}

fn again(written: &Result<(), Error>) -> Result<(), Error> {
    let told = |cause: &dyn std::error::Error| cause.to_string().into();
    Err(match written {
        Ok(()) => return Ok(()),
        Err(Error::Unreachable(cause)) => Error::Unreachable(told(&**cause)),
        Err(Error::Denied { why, source }) => Error::Denied {
            why: why.clone(),
            source: told(&**source),
        },
        Err(error) => Error::Put(told(error)),
    })
}
