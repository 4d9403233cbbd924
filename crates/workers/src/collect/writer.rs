//! Writing a task's stream: the claim, commits of findings, the terminal event.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use mirage_domain::event::Event;
use mirage_domain::id::{StreamId, Version, WorkspaceId};
use mirage_domain::task;
use mirage_log::commit::{
    Actor, ActorKind, Commit, Context, EncodeError, EncodedCommit, Entry, encode,
};
use mirage_log::{AppendError, ReadError, Tip, evidence};
use uuid::Uuid;

use super::buffer::{Buffer, Claimed, claim};
use super::{Ended, LoadError, ScanContext, Task};

/// Tries of a write that a busy or full store refused.
const TRIES_MAX: u32 = 5;

/// Why a task could not be run; it is delivered again later.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Append(AppendError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Evidence(Arc<evidence::Error>),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("the task is of the workspace {0}, which is not this node's")]
    Workspace(WorkspaceId),
    #[error(
        "a task panicked outside its module; what it found is committed, the scan can be resumed"
    )]
    Panicked,
}

pub(super) struct Writer<'a> {
    context: &'a ScanContext,
    stream: StreamId,
    task: Task,
    tip: Option<Tip>,
    attempt: u32,
    already: HashSet<Claimed>,
    /// Whether the stream has its first event, or gets it with the next commit.
    is_started: bool,
}

impl<'a> Writer<'a> {
    /// Makes sure that this worker may run the task; `None` if it is over.
    pub(super) async fn claim(
        context: &'a ScanContext,
        task: &Task,
    ) -> Result<Option<Self>, Error> {
        let id = &task.scheduled.task;
        let stream = StreamId::task(&context.node.workspace, &context.scan, id);
        let mut writer = Self {
            context,
            stream,
            task: task.clone(),
            tip: None,
            attempt: 1,
            already: HashSet::new(),
            is_started: false,
        };
        if !task.is_again {
            return Ok(Some(writer));
        }
        // The claim of a redelivered task is tried until it lands.
        loop {
            if writer.read().await? {
                return Ok(None);
            }
            writer.attempt += 1;
            let restarted = task::Restarted {
                attempt: writer.attempt,
                reason: "redelivered".into(),
            };
            if writer.append(vec![restarted.into()]).await? {
                return Ok(Some(writer));
            }
        }
    }

    /// Claims that stand in the stream from earlier attempts.
    pub(super) fn already(&mut self) -> HashSet<Claimed> {
        std::mem::take(&mut self.already)
    }

    /// Reads the stream as it is now; true if it is over.
    async fn read(&mut self) -> Result<bool, Error> {
        let log = self.context.node.log.clone();
        (self.tip, self.attempt) = (None, 1);
        // Page by page: the task of an import may have written more than memory holds.
        loop {
            let page = log.read_stream_page(&self.stream, self.tip).await?;
            let Some(last) = page.last() else {
                self.is_started = self.tip.is_some();
                return Ok(false);
            };
            self.tip = Some(last.tip());
            for entry in page.iter().flat_map(|recorded| &recorded.commit.events) {
                match &entry.event {
                    Event::Task(event) if event.is_terminal() => return Ok(true),
                    Event::Task(task::Event::Restarted(restarted)) => {
                        self.attempt = restarted.attempt;
                    }
                    Event::Task(task::Event::Found(finding)) => {
                        self.already.insert(claim(finding));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Commits what waits; false if another worker has the task.
    pub(super) async fn commit(&mut self, buffer: &Buffer) -> Result<bool, Error> {
        let entries = buffer.drain((self.context.node.now)());
        match entries.is_empty() {
            true => Ok(true),
            false => self.write(entries).await,
        }
    }

    /// Commits what waits and the terminal event with it.
    pub(super) async fn finish(
        mut self,
        buffer: &Buffer,
        cost: task::Cost,
        failures: Vec<task::Failure>,
    ) -> Result<Ended, Error> {
        let findings = buffer.total();
        while buffer.needs_more_than_one() {
            if !self.commit(buffer).await? {
                return Ok(Ended::Lost);
            }
        }
        let now = (self.context.node.now)();
        let mut entries = buffer.drain(now);
        let finished = task::Finished {
            cost,
            findings,
            failures,
        };
        entries.push(Entry {
            event: task::Event::from(finished).into(),
            at: now,
        });
        self.end(entries).await
    }

    /// Ends the task as failed.
    pub(super) async fn fail(
        mut self,
        buffer: &Buffer,
        reason: &str,
        detail: &str,
    ) -> Result<Ended, Error> {
        let now = (self.context.node.now)();
        let mut entries = buffer.drain(now);
        let failed = task::Failed {
            attempt: self.attempt,
            reason: reason.into(),
            detail: super::buffer::short(detail).into(),
            cost: task::Cost::default(),
        };
        entries.push(Entry {
            event: task::Event::from(failed).into(),
            at: now,
        });
        self.end(entries).await
    }

    async fn end(&mut self, entries: Vec<Entry>) -> Result<Ended, Error> {
        Ok(match self.write(entries).await? {
            true => Ended::Over,
            false => Ended::Lost,
        })
    }

    async fn write(&mut self, entries: Vec<Entry>) -> Result<bool, Error> {
        self.flush().await?;
        self.append_entries(entries).await
    }

    async fn append(&mut self, events: Vec<task::Event>) -> Result<bool, Error> {
        let at = (self.context.node.now)();
        let entry = |event: task::Event| Entry {
            event: event.into(),
            at,
        };
        self.append_entries(events.into_iter().map(entry).collect())
            .await
    }

    /// Makes the evidence durable before the commit that cites it.
    async fn flush(&self) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            match self.context.node.evidence.flush().await {
                Err(error) if error.may_retry() && tries < TRIES_MAX => tries += 1,
                done => return done.map_err(|error| Error::Evidence(error.into())),
            }
            wait(tries).await;
        }
    }

    async fn append_entries(&mut self, mut entries: Vec<Entry>) -> Result<bool, Error> {
        if !self.is_started {
            let at = entries
                .first()
                .map_or_else(self.context.node.now, |entry| entry.at);
            let started = task::Event::from(task::Started {});
            entries.insert(
                0,
                Entry {
                    event: started.into(),
                    at,
                },
            );
        }
        let encoded = self.encode(entries)?;
        let mut tries = 0;
        loop {
            match self
                .context
                .node
                .log
                .append(encoded.clone(), self.tip)
                .await
            {
                Ok(tip) => {
                    (self.tip, self.is_started) = (Some(tip), true);
                    return Ok(true);
                }
                Err(AppendError::Conflict { .. }) => return Ok(false),
                Err(error) if error.may_retry() && tries < TRIES_MAX => tries += 1,
                Err(error) => return Err(Error::Append(error)),
            }
            wait(tries).await;
        }
    }

    fn encode(&self, entries: Vec<Entry>) -> Result<EncodedCommit, Error> {
        let scheduled = &self.task.scheduled;
        let commit = Commit {
            id: Uuid::now_v7(),
            stream: self.stream.clone(),
            version: Version(self.tip.map_or(0, |tip| tip.version.0) + 1),
            recorded_at: (self.context.node.now)(),
            actor: Actor {
                kind: ActorKind::Module,
                id: scheduled.module.to_string(),
                version: Some(scheduled.module_version.to_string()),
            },
            command: None,
            correlation: Some(self.context.scan.to_string()),
            causation: Some(self.task.cause),
            traceparent: Some(self.task.trace.to_string()),
            prev: self.tip.map(|tip| tip.hash),
            context: Some(Context {
                task: scheduled.task.clone(),
                attempt: self.attempt,
                module: scheduled.module.clone(),
                settings: self.context.settings,
            }),
            events: entries,
        };
        Ok(encode(&commit)?)
    }
}

/// A full disk or a busy writer may heal by itself.
async fn wait(tries: u32) {
    tokio::time::sleep(Duration::from_millis(100 << tries.min(5))).await;
}
