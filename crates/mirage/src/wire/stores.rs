//! Where each part lies: log, evidence and views, as the configuration says.
//!
//! **Never:** a directory or file made by a command that only reads.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mirage_api::error::Problem;
use mirage_domain::id::WorkspaceId;
use mirage_log::evidence::s3::S3;
use mirage_log::evidence::{Copyable, EvidenceStore, Files};
use mirage_log::jetstream::{self, JetStream, SUBJECTS_MAX};
use mirage_log::queue::{self, TaskQueue};
use mirage_log::sqlite::{self, Anchor, Sqlite};
use mirage_log::{EventLog, OpenError};
use mirage_projections::{ALL, Folder, Runner};
use mirage_workers::leases::{LEASE, LeaseBucket, Leases};
use mirage_workers::node::tenants::Queues;
use mirage_workers::node::{Parts, Place};

use super::servers;
use crate::cli::Context;
use crate::output::Failure;

/// A task's lease is not shorter than this: a busy machine would lose it while it works.
const LEASE_MIN: Duration = Duration::from_secs(1);

impl Context {
    /// Opens a log that is there: on its servers, if the configuration names some, or in the data directory.
    pub(crate) async fn log(&self) -> Result<Arc<dyn EventLog>, Failure> {
        self.must_be_here()?;
        match servers::log(&self.config) {
            Some(options) => Ok(Arc::new(JetStream::open(options).await?)),
            None => Ok(Arc::new(self.data.log()?)),
        }
    }

    /// The same, or none where there is none yet.
    pub(crate) async fn log_if_any(&self) -> Result<Option<Arc<dyn EventLog>>, Failure> {
        match self.log().await {
            Err(Failure::Problem(problem)) if problem.row.code == "no_log" => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// A log on servers, if the configuration names some.
    pub(crate) async fn jetstream(&self) -> Option<Result<JetStream, OpenError>> {
        let options = servers::log(&self.config)?;
        Some(JetStream::open(options).await)
    }

    /// Holds the store of the log itself against its own checks, where it has some.
    pub(crate) async fn check_file(&self) -> Result<(), Failure> {
        match servers::log(&self.config) {
            // A server looks after its own files.
            Some(_) => Ok(()),
            None => Ok(self.data.log()?.check_file().await?),
        }
    }

    /// What folds the views of a log that is there.
    pub(crate) async fn runner(&self) -> Result<Runner, Failure> {
        self.runner_of(self.log().await?)
    }

    pub(crate) fn runner_of(&self, log: Arc<dyn EventLog>) -> Result<Runner, Failure> {
        let mut views = Vec::with_capacity(ALL.len());
        for view in ALL {
            let home = servers::home(&self.config, view)?;
            let home = home.unwrap_or_else(|| Arc::new(Folder::of(&self.data.dir)));
            views.push((view, home));
        }
        Ok(Runner::open_at(log, views)?)
    }

    /// The store of evidence, where there is one: opening it would make its folder.
    pub(crate) async fn evidence(&self) -> Result<Option<Arc<dyn Copyable>>, Failure> {
        if let Some(bucket) = self.bucket().await? {
            return Ok(Some(bucket));
        }
        let folder = Place(self.data.dir.clone()).evidence();
        match folder.exists() {
            true => Ok(Some(Arc::new(Files::open(&folder)?))),
            false => Ok(None),
        }
    }

    async fn bucket(&self) -> Result<Option<Arc<dyn Copyable>>, Failure> {
        let index = self.data.dir.join("evidence-index.db");
        match servers::evidence(&self.config, index) {
            Some(options) => Ok(Some(Arc::new(S3::open(&options).await?))),
            None => Ok(None),
        }
    }

    /// Opens for work what a node stands on, and makes what lies in the data directory; with what a cluster has beside it.
    pub(crate) async fn parts(&self) -> Result<(Parts, Option<Cluster>), Failure> {
        self.must_be_here()?;
        let place = Place(self.data.dir.clone());
        place.make().map_err(super::of_open)?;
        let Shared {
            log,
            leases,
            cluster,
        } = match servers::log(&self.config) {
            Some(options) => self.shared(options).await?,
            None => Shared {
                log: Arc::new(Sqlite::open(&self.data.dir)?),
                leases: Arc::new(place.open_leases().map_err(super::of_open)?),
                cluster: None,
            },
        };
        let evidence: Arc<dyn EvidenceStore> = match self.bucket().await? {
            Some(bucket) => bucket,
            None => Arc::new(Files::open(&place.evidence())?),
        };
        let parts = Parts {
            log,
            evidence,
            leases,
            keys: place.keys(),
        };
        Ok((parts, cluster))
    }

    /// The leases; they are hints, and ones that cannot be read are none.
    pub(crate) async fn leases_if_any(&self) -> Option<Arc<dyn Leases>> {
        if let Some(options) = servers::log(&self.config) {
            return Some(self.shared(options).await.ok()?.leases);
        }
        let place = Place(self.data.dir.clone());
        // Opening would make the file.
        let leases = place
            .leases()
            .exists()
            .then(|| place.open_leases().ok())??;
        Some(Arc::new(leases))
    }

    /// What the nodes of a cluster have in common.
    async fn shared(&self, options: jetstream::Options) -> Result<Shared, Failure> {
        let lost = |error| Problem::of("log_unreachable", &error);
        let log = Arc::new(JetStream::open(options).await?);
        let lease = self.config.span("serve.lease").unwrap_or(queue::LEASE);
        // The server takes zero for its own default.
        let lease = lease.max(LEASE_MIN);
        let queue = log.queue(self.workspace()?, lease);
        let queue = queue.await.map_err(lost)?;
        let holders = queue.holders(LEASE).await.map_err(lost)?;
        Ok(Shared {
            log: log.clone(),
            leases: Arc::new(LeaseBucket(holders)),
            cluster: Some(Cluster { log, lease }),
        })
    }

    /// Whether scans are run by the nodes of a cluster, and not by whoever starts them.
    pub(crate) fn is_cluster(&self) -> bool {
        servers::log(&self.config).is_some()
    }
}

/// What several processes write to and read from at once.
struct Shared {
    log: Arc<dyn EventLog>,
    leases: Arc<dyn Leases>,
    cluster: Option<Cluster>,
}

/// What the nodes of a cluster meet at, beside what a node stands on.
pub(crate) struct Cluster {
    pub(crate) log: Arc<JetStream>,
    lease: Duration,
}

impl Cluster {
    pub(crate) fn queues(&self) -> Box<dyn Queues> {
        Box::new(ClusterQueues {
            log: self.log.clone(),
            lease: self.lease,
        })
    }

    /// Refuses a new scan where the servers have as many streams as they bear.
    pub(super) async fn must_have_room(&self) -> Result<(), Problem> {
        must_have_room(self.log.facts().await?.subjects)
    }
}

struct ClusterQueues {
    log: Arc<JetStream>,
    lease: Duration,
}

#[async_trait]
impl Queues for ClusterQueues {
    async fn open(&self, workspace: &WorkspaceId) -> Result<Arc<dyn TaskQueue>, queue::Error> {
        Ok(Arc::new(
            self.log.queue(workspace.clone(), self.lease).await?,
        ))
    }
}

fn must_have_room(streams: u64) -> Result<(), Problem> {
    match streams < SUBJECTS_MAX {
        true => Ok(()),
        false => {
            let detail = format!("it has {streams} streams, {SUBJECTS_MAX} at most");
            Err(Problem::new("log_crowded", detail))
        }
    }
}

/// A data directory, not yet opened.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    pub(crate) dir: PathBuf,
}

impl Data {
    /// Opens the log of a directory that has one.
    pub(crate) fn log(&self) -> Result<Sqlite, Failure> {
        self.must_hold_a_log()?;
        Ok(Sqlite::open(&self.dir)?)
    }

    /// A missing log beside an anchor is a lost log, and for the log itself to say.
    pub(crate) fn must_hold_a_log(&self) -> Result<(), Failure> {
        let unopenable = |path: &Path, error: std::io::Error| {
            Problem::new("log_unopenable", format!("{}: {error}", path.display()))
        };
        let path = sqlite::path(&self.dir);
        if path
            .try_exists()
            .map_err(|error| unopenable(&path, error))?
        {
            // Opening for reading tells of missing permission before anything is tried.
            std::fs::File::open(&path).map_err(|error| unopenable(&path, error))?;
            return Ok(());
        }
        match Anchor::read(&self.dir) {
            Ok(None) => {
                Err(Problem::new("no_log", format!("{} does not exist", path.display())).into())
            }
            Ok(Some(_)) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_with_all_the_streams_that_it_bears_takes_no_new_scan() {
        assert!(must_have_room(SUBJECTS_MAX - 1).is_ok());
        let refused = must_have_room(SUBJECTS_MAX).unwrap_err();
        assert_eq!(refused.row.code, "log_crowded");
    }
}
