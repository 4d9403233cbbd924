//! The one thread that writes evidence: one transaction per group, flushes answered together.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use mirage_domain::id::{Digest, WorkspaceId};
use rusqlite::{Connection, ErrorCode, params};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Error;
use super::files::{SMALL_BYTES_MAX, Shelf};

/// KiB of evidence that may wait for the disk.
const QUEUE_KIB: usize = 96 * 1024;
/// Bytes after which a group is written without a flush.
const GROUP_BYTES: usize = 8 * 1024 * 1024;
/// What was put and never flushed is written after this long.
const IDLE: Duration = Duration::from_secs(1);

struct Item {
    workspace: WorkspaceId,
    digest: Digest,
    bytes: Vec<u8>,
    /// Room in the queue, given back once the item is written.
    _room: OwnedSemaphorePermit,
}

/// What the thread has to do. It is woken for a full group or a flush and looks by itself once per [`IDLE`]: to be
/// woken for each item would cost more than the item.
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
    wake: Condvar,
}

impl Desk {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no holder panics")
    }

    /// Waits for a full group, a flush, the end, or [`IDLE`]; answers what there is.
    fn take(&self) -> Queue {
        let is_early = |queue: &mut Queue| {
            queue.bytes < GROUP_BYTES && queue.flushes.is_empty() && !queue.is_done
        };
        let waited = self.wake.wait_timeout_while(self.queue(), IDLE, is_early);
        let (mut queue, _) = waited.expect("no holder panics");
        Queue {
            items: std::mem::take(&mut queue.items),
            bytes: std::mem::take(&mut queue.bytes),
            flushes: std::mem::take(&mut queue.flushes),
            ..*queue
        }
    }
}

pub(super) struct Writer {
    desk: Arc<Desk>,
    room: Arc<Semaphore>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, shelf: Shelf) -> Self {
        let desk = Arc::new(Desk::default());
        let mut thread = Thread {
            desk: desk.clone(),
            connection,
            shelf,
            waiting: Vec::new(),
            is_closed: false,
        };
        let run = move || thread.run();
        let thread = std::thread::Builder::new()
            .name("evidence-write".into())
            .spawn(run);
        let thread = Some(thread.expect("a thread can be started"));
        Self {
            desk,
            room: Semaphore::new(QUEUE_KIB).into(),
            thread,
        }
    }

    pub(super) async fn put(
        &self,
        workspace: WorkspaceId,
        bytes: Vec<u8>,
    ) -> Result<Digest, Error> {
        let kib = (bytes.len() / 1024 + 1) as u32;
        let room = self
            .room
            .clone()
            .acquire_many_owned(kib)
            .await
            .map_err(|_| Error::Closed)?;
        let digest = Digest::of(&bytes);
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
        if queue.bytes >= GROUP_BYTES {
            self.desk.wake.notify_one();
        }
        Ok(digest)
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
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by its hook; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

struct Thread {
    desk: Arc<Desk>,
    connection: Connection,
    shelf: Shelf,
    /// Put and not yet on disk; after a full disk they wait for the next flush.
    waiting: Vec<Item>,
    is_closed: bool,
}

impl Drop for Thread {
    /// However it ends, nobody waits for it in vain.
    fn drop(&mut self) {
        let mut queue = self.desk.queue();
        queue.is_gone = true;
        queue.items.clear();
        queue.flushes.clear();
    }
}

impl Thread {
    fn run(&mut self) {
        loop {
            let mut queue = self.desk.take();
            self.waiting.append(&mut queue.items);
            self.write(queue.flushes);
            if queue.is_done {
                return;
            }
        }
    }

    fn write(&mut self, flushes: Vec<oneshot::Sender<Result<(), Error>>>) {
        let written = match self.waiting.is_empty() {
            true if !self.is_closed => Ok(()),
            _ => self.group(),
        };
        if written.is_ok() {
            self.waiting.clear();
        }
        for answer in flushes {
            let again = match &written {
                Ok(()) => Ok(()),
                Err(Error::Full(cause)) => Err(Error::Full(cause.to_string().into())),
                Err(Error::Busy(cause)) => Err(Error::Busy(cause.to_string().into())),
                Err(Error::Put(cause)) => Err(Error::Put(cause.to_string().into())),
                Err(_) => Err(Error::Closed),
            };
            // Whoever asked may be gone.
            let _ = answer.send(again);
        }
    }

    fn group(&mut self) -> Result<(), Error> {
        if self.is_closed {
            return Err(Error::Closed);
        }
        // The index is kept by digest, and digests are random: sorted, each of its pages is met once.
        self.waiting.sort_unstable_by_key(|item| item.digest);
        for item in self
            .waiting
            .iter()
            .filter(|item| item.bytes.len() > SMALL_BYTES_MAX)
        {
            let kept = self.shelf.keep(&item.workspace, item.digest, &item.bytes);
            kept.map_err(|error| match error.kind() {
                std::io::ErrorKind::StorageFull => Error::Full(error.into()),
                _ => Error::Put(error.into()),
            })?;
        }
        let small = self
            .waiting
            .iter()
            .filter(|item| item.bytes.len() <= SMALL_BYTES_MAX);
        insert(&self.connection, small).map_err(|error| {
            // The connection may have rolled back by itself.
            let _ = self.connection.execute_batch("ROLLBACK");
            match error.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => Error::Full(error.into()),
                Some(ErrorCode::DatabaseBusy) => Error::Busy(error.into()),
                _ => {
                    // After a failed fsync only a fresh start knows what is there.
                    self.is_closed = true;
                    Error::Put(error.into())
                }
            }
        })
    }
}

fn insert<'a>(
    connection: &Connection,
    items: impl Iterator<Item = &'a Item>,
) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let sql = "INSERT OR IGNORE INTO items (workspace, digest, bytes) VALUES (?1, ?2, ?3)";
    let mut statement = connection.prepare_cached(sql)?;
    for item in items {
        statement.execute(params![item.workspace.as_str(), item.digest.0, item.bytes])?;
    }
    connection.execute_batch("COMMIT")
}
