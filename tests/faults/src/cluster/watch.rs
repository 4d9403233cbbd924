//! The log's live end, watched from outside: which scans run, and how far they are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, bail};
use futures::StreamExt;
use mirage_domain::event::Event;
use mirage_domain::id::{Position, ScanId};
use mirage_domain::{scan, task};
use mirage_log::jetstream::JetStream;
use mirage_log::{EventLog, Filter, Read, ReadError, Recorded};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::PATIENCE;

/// A log that cannot be read now is asked again after this.
const RETRY: Duration = Duration::from_millis(100);

/// What the log told so far.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    pub position: Position,
    /// Oldest first.
    pub started: Vec<ScanId>,
    pub over: BTreeSet<ScanId>,
    /// Of each scan, each as often as it was claimed.
    pub findings: BTreeMap<ScanId, usize>,
    /// Why nothing more is told.
    pub failed: Option<String>,
}

impl Progress {
    fn apply(&mut self, recorded: &Recorded) {
        self.position = recorded.position;
        let Some(scan) = &recorded.commit.stream.scan else {
            return;
        };
        for entry in &recorded.commit.events {
            match &entry.event {
                Event::Task(task::Event::Found(_)) => {
                    *self.findings.entry(scan.clone()).or_default() += 1;
                }
                Event::Scan(scan::Event::Started(_)) => self.started.push(scan.clone()),
                Event::Scan(scan::Event::Finished(_)) => {
                    self.over.insert(scan.clone());
                }
                _ => {}
            }
        }
    }

    /// The newest scan, if it is not over.
    pub fn running(&self) -> Option<&ScanId> {
        self.started.last().filter(|scan| !self.over.contains(scan))
    }

    pub fn are_all_over(&self) -> bool {
        self.started.iter().all(|scan| self.over.contains(scan))
    }
}

/// See the module's doc; watches until it is dropped.
pub struct Watch {
    progress: watch::Receiver<Progress>,
    reader: JoinHandle<()>,
}

impl Watch {
    pub fn begin(log: JetStream) -> Self {
        let (tell, progress) = watch::channel(Progress::default());
        let reader = tokio::spawn(async move {
            while let Err(error) = follow(&log, &tell).await {
                if !error.may_retry() {
                    tell.send_modify(|progress| progress.failed = Some(format!("{error:?}")));
                    return;
                }
                tokio::time::sleep(RETRY).await;
            }
        });
        Self { progress, reader }
    }

    pub fn now(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Waits until it is so, at most [`PATIENCE`].
    ///
    /// # Errors
    /// After that, with `what` was waited for; or the log can be read no more.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Progress) -> bool) -> Result<Progress> {
        let mut progress = self.progress.clone();
        let wait = progress.wait_for(|now| now.failed.is_some() || is_so(now));
        let seen = tokio::time::timeout(PATIENCE, wait).await;
        let Ok(seen) = seen else {
            bail!("waited in vain for {what}: {:?}", self.now());
        };
        let seen = seen?;
        match &seen.failed {
            Some(error) => bail!("waiting for {what}: {error}"),
            None => Ok(seen.clone()),
        }
    }
}

/// Goes on where it was left; ends with an error only.
async fn follow(log: &JetStream, tell: &watch::Sender<Progress>) -> Result<(), ReadError> {
    let after = tell.borrow().position;
    let mut read = log.read(after, Filter::All);
    while let Some(read) = read.next().await.transpose()? {
        if let Read::Commit(recorded) = read {
            tell.send_modify(|progress| progress.apply(&recorded));
        }
    }
    Ok(())
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
