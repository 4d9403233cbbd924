//! Rebuilding a view beside the live one: the next build, renamed in once it has caught up.
//!
//! **Invariant:** the new build stands at least where the live one does when it takes its place.

use std::sync::Arc;

use jiff::Timestamp;
use mirage_domain::id::Position;

use super::status::Progress;
use super::{Runner, follow};
use crate::store::LINGER;
use crate::{Error, Store};

impl Runner {
    /// Builds a view anew from the log; answers the position at which it took the place of the old one.
    ///
    /// Dropping the future abandons the build. The old one goes a minute later, or at the next open.
    pub async fn rebuild(&self, view: &str) -> Result<Position, Error> {
        let progress = self.progress(view)?.clone();
        let view = progress.view;
        if self.is_lost(&progress).await {
            discard(&progress).await?;
        }
        let home = progress.home.clone();
        let mut store = follow::blocking(view, {
            let home = home.clone();
            move || Store::build(&*home, view)?.written_behind()
        })
        .await?;
        loop {
            store = follow::to_head(
                self.log.clone(),
                Arc::new(Progress::new(view, home.clone())),
                store,
            )
            .await?;
            let position = store.checkpoint().position;
            match follow::blocking(view, move || store.complete()).await? {
                Ok(()) => {
                    sweep_later(&progress);
                    return Ok(position);
                }
                Err(behind) => store = behind,
            }
        }
    }

    /// Whether the view on disk is of no use: its file is no database, or it is of another log or ahead of this one.
    /// A new build could then not be held against it.
    async fn is_lost(&self, progress: &Progress) -> bool {
        match self.inspect_one(progress, Timestamp::UNIX_EPOCH).await {
            Err(error) if error.may_retry() => false,
            Err(error) => {
                error.is_alarm() || matches!(error, Error::Open { .. } | Error::Query { .. })
            }
            Ok(_) => false,
        }
    }
}

async fn discard(progress: &Progress) -> Result<(), Error> {
    let (home, view) = (progress.home.clone(), progress.view);
    follow::blocking(view, move || home.discard(view)).await
}

fn sweep_later(progress: &Progress) {
    let (home, view) = (progress.home.clone(), progress.view);
    tokio::spawn(async move {
        tokio::time::sleep(LINGER).await;
        let swept = follow::blocking(view, move || home.sweep(view)).await;
        if let Err(error) = swept {
            tracing::warn!(view.name = view.name, %error, "an old build stays until the next open");
        }
    });
}
