//! Rebuilding a view beside the live one: the next build, renamed in once it has caught up.
//!
//! **Invariant:** the new build stands at least where the live one does when it takes its place.

use std::sync::Arc;

use mirage_domain::id::Position;

use super::status::Progress;
use super::{Runner, follow};
use crate::{Error, Store, files};

impl Runner {
    /// Builds a view anew from the log; answers the position at which it took the place of the old one.
    ///
    /// Dropping the future abandons the build. The old one goes a minute later, or at the next open.
    pub async fn rebuild(&self, view: &str) -> Result<Position, Error> {
        let view = self.progress(view)?.view;
        let folder = self.folder.clone();
        let mut store = follow::blocking(view, move || {
            let fault = |source| Error::Folder {
                path: folder.clone(),
                source,
            };
            std::fs::create_dir_all(&folder).map_err(fault)?;
            Store::build(&folder, view)
        })
        .await?;
        loop {
            store = follow::to_head(self.log.clone(), Arc::new(Progress::new(view)), store).await?;
            let position = store.checkpoint().position;
            match follow::blocking(view, move || store.complete()).await? {
                Ok(()) => {
                    self.sweep_later(view);
                    return Ok(position);
                }
                Err(behind) => store = behind,
            }
        }
    }

    fn sweep_later(&self, view: &'static crate::Registered) {
        let folder = self.folder.clone();
        tokio::spawn(async move {
            tokio::time::sleep(files::LINGER).await;
            let swept = follow::blocking(view, move || files::sweep(&folder, view)).await;
            if let Err(error) = swept {
                tracing::warn!(view.name = view.name, %error, "an old build stays until the next open");
            }
        });
    }
}
