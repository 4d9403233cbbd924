//! The one thread that writes evidence: one transaction per group, flushes answered together.

use std::sync::mpsc;
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

enum Job {
    Put(Item),
    Flush(oneshot::Sender<Result<(), Error>>),
}

pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    room: std::sync::Arc<Semaphore>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, shelf: Shelf) -> Self {
        let (jobs, queue) = mpsc::channel();
        let mut thread = Thread {
            connection,
            shelf,
            waiting: Vec::new(),
            bytes: 0,
            is_closed: false,
        };
        let run = move || thread.run(queue);
        let thread = std::thread::Builder::new()
            .name("evidence-write".into())
            .spawn(run);
        let thread = Some(thread.expect("a thread can be started"));
        Self {
            jobs: Some(jobs),
            room: Semaphore::new(QUEUE_KIB).into(),
            thread,
        }
    }

    fn send(&self, job: Job) -> Result<(), Error> {
        let jobs = self.jobs.as_ref().ok_or(Error::Closed)?;
        jobs.send(job).map_err(|_| Error::Closed)
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
        self.send(Job::Put(Item {
            workspace,
            digest,
            bytes,
            _room: room,
        }))?;
        Ok(digest)
    }

    pub(super) async fn flush(&self) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Flush(answer))?;
        answered.await.map_err(|_| Error::Closed)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by its hook; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

struct Thread {
    connection: Connection,
    shelf: Shelf,
    /// Put and not yet on disk; after a full disk they wait for the next flush.
    waiting: Vec<Item>,
    bytes: usize,
    is_closed: bool,
}

impl Thread {
    fn run(&mut self, jobs: mpsc::Receiver<Job>) {
        loop {
            let first = match jobs.recv_timeout(IDLE) {
                Ok(job) => Some(job),
                Err(mpsc::RecvTimeoutError::Timeout) => None,
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            };
            let is_idle = first.is_none();
            let mut flushes = Vec::new();
            let mut next = first;
            while let Some(job) = next {
                match job {
                    Job::Put(item) => {
                        self.bytes += item.bytes.len();
                        self.waiting.push(item);
                    }
                    Job::Flush(answer) => flushes.push(answer),
                }
                next = if self.bytes < GROUP_BYTES {
                    jobs.try_recv().ok()
                } else {
                    None
                };
            }
            if is_idle || !flushes.is_empty() || self.bytes >= GROUP_BYTES {
                self.write(flushes);
            }
        }
        self.write(Vec::new());
    }

    fn write(&mut self, flushes: Vec<oneshot::Sender<Result<(), Error>>>) {
        let written = match self.waiting.is_empty() {
            true if !self.is_closed => Ok(()),
            _ => self.group(),
        };
        if written.is_ok() {
            self.waiting.clear();
            self.bytes = 0;
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
