//! How often each workspace's packs were listed, and who needs another listing.
//!
//! **Invariant:** whoever asks sees a listing that began after the question: what landed before it is in there.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use mirage_domain::id::WorkspaceId;

/// The listings of each workspace. One runs at a time.
#[derive(Default)]
pub(super) struct Looked {
    of: Mutex<HashMap<WorkspaceId, Listings>>,
    one: tokio::sync::Mutex<()>,
}

/// The numbers of a workspace's last listings, from 1.
#[derive(Default, Clone, Copy)]
struct Listings {
    begun: u64,
    /// The last that came to its end.
    done: u64,
}

impl Looked {
    pub(super) fn has(&self, workspace: &WorkspaceId) -> bool {
        self.listings(workspace).done > 0
    }

    /// Lists anew, unless somebody else's listing began after the question and came to its end.
    pub(super) async fn again<E>(
        &self,
        workspace: &WorkspaceId,
        list: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let asked = self.listings(workspace).begun;
        let _one = self.one.lock().await;
        if self.listings(workspace).done > asked {
            return Ok(());
        }
        let this = self.listings(workspace).begun + 1;
        self.change(workspace, |listings| listings.begun = this);
        list().await?;
        self.change(workspace, |listings| listings.done = this);
        Ok(())
    }

    fn listings(&self, workspace: &WorkspaceId) -> Listings {
        self.all().get(workspace).copied().unwrap_or_default()
    }

    fn change(&self, workspace: &WorkspaceId, change: impl FnOnce(&mut Listings)) {
        change(self.all().entry(workspace.clone()).or_default());
    }

    fn all(&self) -> MutexGuard<'_, HashMap<WorkspaceId, Listings>> {
        self.of.lock().expect("no holder panics")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    /// Listings that each wait for a permit before they end.
    #[derive(Default)]
    struct Slow {
        looked: Looked,
        begun: AtomicUsize,
        ends: Option<Semaphore>,
    }

    impl Slow {
        fn new() -> Arc<Self> {
            let ends = Some(Semaphore::new(0));
            Arc::new(Self {
                ends,
                ..Self::default()
            })
        }

        async fn ask(
            self: Arc<Self>,
            outcome: Result<(), &'static str>,
        ) -> Result<(), &'static str> {
            let workspace = WorkspaceId::new("default").unwrap();
            let list = async || {
                self.begun.fetch_add(1, Ordering::Relaxed);
                if let Some(ends) = &self.ends {
                    ends.acquire().await.unwrap().forget();
                }
                outcome
            };
            self.looked.again(&workspace, list).await
        }

        fn begun(&self) -> usize {
            self.begun.load(Ordering::Relaxed)
        }

        fn end(&self, listings: usize) {
            self.ends.as_ref().unwrap().add_permits(listings);
        }
    }

    /// A task that has run as far as it can.
    async fn asked(
        slow: &Arc<Slow>,
        outcome: Result<(), &'static str>,
    ) -> tokio::task::JoinHandle<Result<(), &'static str>> {
        let asked = tokio::spawn(slow.clone().ask(outcome));
        tokio::task::yield_now().await;
        asked
    }

    #[tokio::test]
    async fn whoever_asks_while_one_runs_waits_for_the_next_and_shares_it() {
        let slow = Slow::new();
        let first = asked(&slow, Ok(())).await;
        let later = [asked(&slow, Ok(())).await, asked(&slow, Ok(())).await];
        assert_eq!(slow.begun(), 1);
        slow.end(1);
        first.await.unwrap().unwrap();
        tokio::task::yield_now().await;
        assert_eq!(
            slow.begun(),
            2,
            "what landed meanwhile may not be in the first"
        );
        slow.end(1);
        for later in join_all(later).await {
            later.unwrap().unwrap();
        }
        assert_eq!(slow.begun(), 2);
    }

    #[tokio::test]
    async fn a_listing_that_failed_is_nobody_elses_answer() {
        let slow = Slow::new();
        let (first, second) = (
            asked(&slow, Err("first")).await,
            asked(&slow, Err("second")).await,
        );
        let third = asked(&slow, Ok(())).await;
        slow.end(3);
        assert_eq!(first.await.unwrap(), Err("first"));
        assert_eq!(second.await.unwrap(), Err("second"));
        assert_eq!(third.await.unwrap(), Ok(()));
        assert_eq!(slow.begun(), 3);
    }
}
