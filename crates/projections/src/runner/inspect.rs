//! Looking at views as they lie on disk, each by itself, and whether each is of this log.
//!
//! **Never:** a file made or changed.

use jiff::Timestamp;

use super::status::Progress;
use super::{Runner, Status, check, follow};
use crate::Error;

impl Runner {
    /// Each view by its name; `now` is the edge's clock. One that cannot be read does not hide the others.
    pub async fn inspect(&self, now: Timestamp) -> Vec<(&'static str, Result<Status, Error>)> {
        let mut all = Vec::with_capacity(self.views.len());
        for progress in &self.views {
            all.push((progress.view.name, self.inspect_one(progress, now).await));
        }
        all
    }

    pub(super) async fn inspect_one(
        &self,
        progress: &Progress,
        now: Timestamp,
    ) -> Result<Status, Error> {
        let (home, view) = (progress.home.clone(), progress.view);
        let checkpoint = follow::blocking(view, move || match home.ask(view) {
            Err(Error::NotBuilt(_)) => Ok(None),
            db => db?.checkpoint().map(Some),
        })
        .await?;
        if let Some(checkpoint) = checkpoint {
            check(self.log.as_ref(), view, checkpoint).await?;
        }
        progress.status(self.log.as_ref(), now).await
    }
}
