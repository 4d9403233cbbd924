//! The one writer thread: group commit, conflicts told from landed retries, the anchor.
//!
//! It takes whatever queued during the last fsync and never waits for more.
//! **Never:** an acknowledgement after a failed write: the log closes, and opens again with the process.

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mirage_domain::event::Event;
use mirage_domain::id::{Digest, Position};
use rusqlite::{Connection, ErrorCode, params};
use tokio::sync::{Semaphore, oneshot, watch};
use uuid::Uuid;

use super::{Anchor, lock, path, read};
use crate::{AppendError, EncodedCommit, Head, Tip};

/// Commits of one transaction at most.
const GROUP_COMMITS: usize = 4096;
/// Bytes of commits after which a transaction ends.
const GROUP_BYTES: usize = 16 * 1024 * 1024;
/// Appends that may wait for the writer; more wait at the sender.
const QUEUE: usize = 1024;
/// The anchor is at most this much behind while the log is busy …
const ANCHOR_BUSY: Duration = Duration::from_millis(500);
/// … and while it is idle.
const ANCHOR_IDLE: Duration = Duration::from_millis(800);

pub(super) enum Act {
    Append { expected: Option<Tip> },
    Copy { at: Position },
}

struct Job {
    act: Act,
    commit: EncodedCommit,
    answer: oneshot::Sender<Result<Tip, AppendError>>,
}

/// The handle of the writer thread; dropping it waits until what was taken is written.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    /// One permit a waiting append: senders wait here once the queue is full.
    places: Semaphore,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        dir: PathBuf,
        told: watch::Sender<Position>,
    ) -> Self {
        let (jobs, queue) = mpsc::channel();
        let mut thread = Thread {
            connection,
            dir,
            told,
            log_id: None,
            anchored: Instant::now(),
            is_anchor_due: true,
            is_closed: false,
        };
        let run = move || thread.run(queue);
        let thread = std::thread::Builder::new()
            .name("log-write".into())
            .spawn(run);
        let thread = Some(thread.expect("a thread can be started"));
        Self {
            jobs: Some(jobs),
            places: Semaphore::new(QUEUE),
            thread,
        }
    }

    pub(super) async fn act(&self, act: Act, commit: EncodedCommit) -> Result<Tip, AppendError> {
        let _place = self
            .places
            .acquire()
            .await
            .map_err(|_| AppendError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(AppendError::Closed)?;
        jobs.send(Job {
            act,
            commit,
            answer,
        })
        .map_err(|_| AppendError::Closed)?;
        answered.await.map_err(|_| AppendError::Closed)?
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
    dir: PathBuf,
    told: watch::Sender<Position>,
    log_id: Option<Uuid>,
    anchored: Instant,
    is_anchor_due: bool,
    is_closed: bool,
}

impl Thread {
    fn run(&mut self, jobs: mpsc::Receiver<Job>) {
        loop {
            let wait = if self.is_anchor_due {
                ANCHOR_IDLE
            } else {
                Duration::from_secs(3600)
            };
            match jobs.recv_timeout(wait) {
                Ok(first) => self.group(first, &jobs),
                Err(mpsc::RecvTimeoutError::Timeout) => self.idle(),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        self.idle();
    }

    /// One transaction over everything that queued, then the answers.
    fn group(&mut self, first: Job, jobs: &mpsc::Receiver<Job>) {
        let mut bytes = first.commit.bytes.len();
        let mut group = vec![first];
        while group.len() < GROUP_COMMITS && bytes < GROUP_BYTES {
            let Ok(job) = jobs.try_recv() else { break };
            bytes += job.commit.bytes.len();
            group.push(job);
        }
        match self.transaction(&group) {
            Ok((answers, head)) => {
                self.told
                    .send_if_modified(|known| std::mem::replace(known, head.max(*known)) != head);
                for (job, answer) in group.into_iter().zip(answers) {
                    // Whoever asked may be gone; the commit stands all the same.
                    let _ = job.answer.send(answer);
                }
            }
            Err(failure) => {
                for job in group {
                    let _ = job.answer.send(Err(failure.as_error()));
                }
            }
        }
    }

    fn transaction(
        &mut self,
        group: &[Job],
    ) -> Result<(Vec<Result<Tip, AppendError>>, Position), Failure> {
        if self.is_closed {
            return Err(Failure::Closed);
        }
        self.connection
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(|error| self.failure(error))?;
        match self.fill(group) {
            Ok(filled) => Ok(filled),
            Err(error) => {
                let failure = self.failure(error);
                // The connection may have rolled back by itself.
                let _ = self.connection.execute_batch("ROLLBACK");
                Err(failure)
            }
        }
    }

    fn fill(
        &mut self,
        group: &[Job],
    ) -> rusqlite::Result<(Vec<Result<Tip, AppendError>>, Position)> {
        let mut head = read::head(&self.connection).map_err(as_sqlite)?;
        if self.is_anchor_due && self.anchored.elapsed() >= ANCHOR_BUSY {
            self.write_anchor(head);
        }
        let before = head.position;
        let mut answers = Vec::with_capacity(group.len());
        for job in group {
            answers.push(self.put(job, &mut head)?);
        }
        self.connection.execute_batch("COMMIT")?;
        self.is_anchor_due |= head.position > before;
        Ok((answers, head.position))
    }

    fn put(&self, job: &Job, head: &mut Head) -> rusqlite::Result<Result<Tip, AppendError>> {
        let commit = &job.commit;
        let stream = commit.stream.to_string();
        if commit.bytes.len() > crate::COMMIT_BYTES_MAX {
            let (bytes, max) = (commit.bytes.len(), crate::COMMIT_BYTES_MAX);
            return Ok(Err(AppendError::TooLarge { bytes, max }));
        }
        let tip = read::tip(&self.connection, &stream)?;
        if let Act::Copy { at } = job.act
            && at.0 != head.position.0 + 1
        {
            return self.copied(at, commit, *head);
        }
        let is_expected = match job.act {
            Act::Append { expected } => tip == expected,
            Act::Copy { .. } => true,
        };
        let fits = commit.prev == tip.map(|tip| tip.hash)
            && commit.version.0 == tip.map_or(0, |tip| tip.version.0) + 1;
        if is_expected && fits {
            return self.insert(&stream, commit, head).map(Ok);
        }
        let landed = read::landed(
            &self.connection,
            &stream,
            commit.version,
            commit.id,
            commit.hash,
        )?;
        Ok(landed.ok_or(AppendError::Conflict {
            stream: commit.stream.clone(),
            tip,
        }))
    }

    fn insert(
        &self,
        stream: &str,
        commit: &EncodedCommit,
        head: &mut Head,
    ) -> rusqlite::Result<Tip> {
        let position = Position(head.position.0 + 1);
        let log_hash = Digest::chain(head.log_hash, position, commit.hash);
        let sql = "INSERT INTO commits (position, stream, version, events, scan, id, hash, log_hash, bytes) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        self.connection.prepare_cached(sql)?.execute(params![
            position.0 as i64,
            stream,
            commit.version.0 as i64,
            commit.events,
            commit.stream.scan.as_ref().map(|scan| scan.as_str()),
            commit.id.as_bytes(),
            commit.hash.0,
            log_hash.0,
            &*commit.bytes,
        ])?;
        *head = Head { position, log_hash };
        Ok(Tip {
            position,
            version: commit.last_version(),
            hash: commit.hash,
        })
    }

    /// A copy at a position that is not the next one: there already, another, or past the end.
    fn copied(
        &self,
        at: Position,
        commit: &EncodedCommit,
        head: Head,
    ) -> rusqlite::Result<Result<Tip, AppendError>> {
        if at.0 == 0 || at > head.position {
            return Ok(Err(AppendError::Gap {
                at,
                head: head.position,
            }));
        }
        let sql = "SELECT hash FROM commits WHERE position = ?1";
        let hash: [u8; 32] = self
            .connection
            .prepare_cached(sql)?
            .query_row([at.0 as i64], |row| row.get(0))?;
        let tip = Tip {
            position: at,
            version: commit.last_version(),
            hash: commit.hash,
        };
        Ok(if hash == commit.hash.0 {
            Ok(tip)
        } else {
            Err(AppendError::Occupied { at })
        })
    }

    /// Brings the anchor up to what is committed, under the write lock.
    fn idle(&mut self) {
        if !self.is_anchor_due || self.is_closed {
            return;
        }
        // Another process that writes now brings the anchor up itself.
        if self.connection.execute_batch("BEGIN IMMEDIATE").is_err() {
            return;
        }
        if let Ok(head) = read::head(&self.connection) {
            self.write_anchor(head);
        }
        let _ = self.connection.execute_batch("ROLLBACK");
    }

    fn write_anchor(&mut self, head: Head) {
        if head.position.0 == 0 {
            return;
        }
        let log_id = self.log_id.or_else(|| self.read_log_id());
        self.log_id = log_id;
        let Head { position, log_hash } = head;
        let anchor = Anchor {
            log_id: log_id.unwrap_or(Uuid::nil()),
            position,
            log_hash,
        };
        match anchor.write(&self.dir) {
            Ok(()) => (self.is_anchor_due, self.anchored) = (false, Instant::now()),
            Err(error) => tracing::warn!(error = &*error, "the anchor could not be written"),
        }
    }

    fn read_log_id(&self) -> Option<Uuid> {
        let first = read::commit(&self.connection, Position(1)).ok()?;
        match &first.commit.events.first()?.event {
            Event::Log(mirage_domain::log::Event::Created(created)) => Some(created.log_id),
            _ => None,
        }
    }

    fn failure(&mut self, error: rusqlite::Error) -> Failure {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Failure::Busy {
                pid: lock::holder(&path(&self.dir)),
            },
            Some(ErrorCode::DiskFull) => Failure::Full(error.to_string()),
            _ => {
                // After a failed fsync the kernel may have dropped the pages: only a fresh start knows what is there.
                self.is_closed = true;
                Failure::Write(error.to_string())
            }
        }
    }
}

fn as_sqlite(error: crate::ReadError) -> rusqlite::Error {
    match error {
        crate::ReadError::Store(cause) => match cause.downcast::<rusqlite::Error>() {
            Ok(error) => *error,
            Err(cause) => rusqlite::Error::ToSqlConversionFailure(cause),
        },
        other => rusqlite::Error::ToSqlConversionFailure(other.into()),
    }
}

/// Why a whole group failed; each of its jobs gets its own copy.
enum Failure {
    Busy { pid: String },
    Full(String),
    Write(String),
    Closed,
}

impl Failure {
    fn as_error(&self) -> AppendError {
        match self {
            Self::Busy { pid } => AppendError::Busy { pid: pid.clone() },
            Self::Full(cause) => AppendError::Full(cause.clone().into()),
            Self::Write(cause) => AppendError::Write(cause.clone().into()),
            Self::Closed => AppendError::Closed,
        }
    }
}
