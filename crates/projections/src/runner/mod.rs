//! The runner: follows the log and folds it into each view, batch by batch.
//!
//! Views that stand near one another share one reading of the log, since decoding is the cost of a rebuild (FACTS §4.1);
//! one that is far behind reads alone, so that it keeps no other waiting. A store's work runs on blocking threads.
//!
//! **Invariant:** a view goes on only where the log still holds the commit at its checkpoint.
//! **Never:** a rebuild that nobody asked for: a log that differs is an alarm, an unknown event says "upgrade".

mod follow;
mod inspect;
mod rebuild;
mod status;

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use mirage_domain::id::Position;
use mirage_log::EventLog;
use tokio::sync::{mpsc, watch};

use status::Progress;
pub use status::Status;

use crate::{ALL, Checkpoint, Db, Error, Folder, Home, Registered, Store};

/// Commits between two views that still share one reading of the log.
const NEAR: u64 = 10_000;

/// See the module's doc.
pub struct Runner {
    log: Arc<dyn EventLog>,
    views: Vec<Arc<Progress>>,
}

impl Runner {
    /// The views of a data directory. Nothing is folded before [`Runner::run`] or [`Runner::fold_to_head`].
    pub fn open(data: &Path, log: Arc<dyn EventLog>) -> Result<Self, Error> {
        Self::open_views(data, log, ALL)
    }

    /// Only these views.
    pub fn open_views(
        data: &Path,
        log: Arc<dyn EventLog>,
        views: &'static [Registered],
    ) -> Result<Self, Error> {
        let folder: Arc<dyn Home> = Arc::new(Folder::of(data));
        Self::open_at(log, views.iter().map(|view| (view, folder.clone())))
    }

    /// Views wherever each of them lies.
    pub fn open_at(
        log: Arc<dyn EventLog>,
        views: impl IntoIterator<Item = (&'static Registered, Arc<dyn Home>)>,
    ) -> Result<Self, Error> {
        let mut all = Vec::new();
        for (view, home) in views {
            match home.sweep(view) {
                // Whoever opens the view says so, and tries again.
                Err(error) if error.may_retry() => {
                    tracing::warn!(view.name = view.name, %error, "old builds stay until the next open");
                }
                swept => swept?,
            }
            all.push(Arc::new(Progress::new(view, home)));
        }
        Ok(Self { log, views: all })
    }

    /// Keeps every view at the log's head until `until` is ready.
    ///
    /// A view that must stop does so alone, and says why in its [`Status`]; the answer is an error only once all have.
    /// One whose store or log is away says so there and is tried again until it is back.
    pub async fn run(&self, until: impl Future<Output = ()> + Send) -> Result<(), Error> {
        self.follow_all(&self.views, follow::End::Never, until)
            .await
    }

    /// Folds what the log holds now into every view.
    pub async fn fold_to_head(&self) -> Result<(), Error> {
        let end = follow::End::CaughtUp;
        self.follow_all(&self.views, end, std::future::pending())
            .await
    }

    /// Folds what the log holds now into one view: for a process that only asks that one.
    pub async fn fold_view_to_head(&self, view: &str) -> Result<(), Error> {
        let (view, end) = (self.progress(view)?.clone(), follow::End::CaughtUp);
        self.follow_all(&[view], end, std::future::pending()).await
    }

    async fn follow_all(
        &self,
        views: &[Arc<Progress>],
        end: follow::End,
        until: impl Future<Output = ()> + Send,
    ) -> Result<(), Error> {
        let (lose, mut lost) = mpsc::unbounded_channel();
        let lose: follow::Lost = (end == follow::End::Never).then_some(lose);
        let mut stores = Vec::new();
        let mut stopped = None;
        for progress in views {
            match self.begin(progress).await {
                Ok(store) => stores.push((progress.clone(), store)),
                Err(error) => stopped = follow::lose(progress.clone(), error, &lose).or(stopped),
            }
        }
        let groups = near_one_another(stores).into_iter();
        let groups = groups.map(|group| {
            let group = follow::follow(self.log.clone(), group, end, lose.clone());
            group.boxed()
        });
        let mut work: FuturesUnordered<_> = groups.collect();
        let mut until = pin!(until);
        while !(work.is_empty() && lost.is_empty()) {
            tokio::select! {
                () = &mut until => return Ok(()),
                Some(progress) = lost.recv() => work.push(self.again(progress, lose.clone()).boxed()),
                Some(ended) = work.next() => stopped = stopped.or(ended.err()),
            }
        }
        stopped.map_or(Ok(()), Err)
    }

    /// Follows with a view that was lost, once it can be opened again.
    async fn again(&self, progress: Arc<Progress>, lost: follow::Lost) -> Result<(), Error> {
        tokio::time::sleep(progress.pause()).await;
        match self.begin(&progress).await {
            Ok(store) => {
                let alone = vec![(progress, store)];
                follow::follow(self.log.clone(), alone, follow::End::Never, lost).await
            }
            Err(error) => follow::lose(progress, error, &lost).map_or(Ok(()), Err),
        }
    }

    /// Opens a view and holds its checkpoint against the log.
    async fn begin(&self, progress: &Progress) -> Result<Store, Error> {
        let (home, view) = (progress.home.clone(), progress.view);
        let store = follow::blocking(view, move || Store::open(&*home, view)).await?;
        check(self.log.as_ref(), view, store.checkpoint()).await?;
        progress.began(&store);
        Ok(store)
    }

    /// Waits until a view that a running runner folds has reached a position, at most for `wait`.
    pub async fn catch_up(
        &self,
        view: &str,
        min_position: Position,
        wait: Duration,
    ) -> Result<Position, Error> {
        let progress = self.progress(view)?;
        let mut position = progress.position();
        let reached = position.wait_for(|position| *position >= min_position);
        match tokio::time::timeout(wait, reached).await {
            Ok(Ok(position)) => Ok(*position),
            _ => Err(progress.stopped().unwrap_or(Error::Lagging {
                view: progress.view.name,
                position: *progress.position().borrow(),
                wanted: min_position,
                waited: wait,
            })),
        }
    }

    /// A view's position as this runner moves it.
    pub fn position(&self, view: &str) -> Result<watch::Receiver<Position>, Error> {
        Ok(self.progress(view)?.position())
    }

    /// How each view is doing; `now` is the edge's clock.
    pub async fn status(&self, now: Timestamp) -> Result<Vec<Status>, Error> {
        let mut all = Vec::with_capacity(self.views.len());
        for progress in &self.views {
            all.push(progress.status(self.log.as_ref(), now).await?);
        }
        Ok(all)
    }

    /// Opens a view for asking; blocks for as long as that takes.
    pub fn db(&self, view: &str) -> Result<Db, Error> {
        let progress = self.progress(view)?;
        progress.home.ask(progress.view)
    }

    fn progress(&self, view: &str) -> Result<&Arc<Progress>, Error> {
        let found = self
            .views
            .iter()
            .find(|progress| progress.view.name == view);
        found.ok_or_else(|| Error::NoSuchView(view.to_owned()))
    }
}

/// Sorts views into groups that read the log together.
fn near_one_another(mut stores: Vec<follow::Member>) -> Vec<Vec<follow::Member>> {
    stores.sort_by_key(|(_, store)| store.checkpoint().position);
    let mut groups: Vec<Vec<follow::Member>> = Vec::new();
    let mut last = None;
    for member in stores {
        let at = member.1.checkpoint().position.0;
        match groups.last_mut() {
            Some(group) if last.is_some_and(|last| at - last <= NEAR) => group.push(member),
            _ => groups.push(vec![member]),
        }
        last = Some(at);
    }
    groups
}

/// Fetches the one commit at a checkpoint and compares.
async fn check(
    log: &dyn EventLog,
    view: &'static Registered,
    checkpoint: Checkpoint,
) -> Result<(), Error> {
    let position = checkpoint.position;
    if position == Position(0) {
        return Ok(());
    }
    let fault = |source: mirage_log::ReadError| follow::read_fault(view, source.into());
    let head = log.head().await.map_err(fault)?.position;
    if head < position {
        return Err(Error::LogBehind {
            view: view.name,
            position,
            head,
        });
    }
    let recorded = log.commit(position).await.map_err(fault)?;
    let is_same = recorded.hash == checkpoint.hash && recorded.log_hash == checkpoint.log_hash;
    match is_same {
        true => Ok(()),
        false => Err(Error::LogDiffers {
            view: view.name,
            position,
        }),
    }
}

#[cfg(test)]
mod tests;
