//! Opens the data directory and wires what a command needs of it.
//!
//! **Never:** a directory or file made by a command that only reads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use mirage_api::error::Problem;
use mirage_domain::id::{IdKey, Position, StreamId, WorkspaceId};
use mirage_log::backup::Folders;
use mirage_log::{EventLog, keys};
use mirage_projections::catalog::{Catalog, Reader};
use mirage_projections::{Db, Projection, Runner};
use mirage_workers::collect::{self, LoadError};
use mirage_workers::node::{self, Caller, Node, Place};
use mirage_workers::probe::proxy::Proxy;
use mirage_workers::{notify as notifying, orchestrate};

mod announce;
mod gateway;
mod health;
mod held;
mod notify;
mod oidc;
pub(crate) mod remote;
mod servers;
pub(crate) mod signed_in;
mod stores;
pub(crate) mod traces;

pub(crate) use health::Dependencies;
pub(crate) use stores::{Cluster, Data};

use crate::cli::Context;
use crate::cli::time::At;
use crate::config::Key;
use crate::output::Failure;

impl Context {
    pub(crate) fn workspace(&self) -> Result<WorkspaceId, Problem> {
        let name = self.config.get("workspace").unwrap_or_default();
        WorkspaceId::new(name)
            .map_err(|error| Problem::new("bad_id", format!("workspace `{name}`: {error}")))
    }

    /// The folder of id keys.
    pub(crate) fn keys(&self) -> PathBuf {
        Place(self.data.dir.clone()).keys()
    }

    /// Opens the data directory for work, and makes it where there is none.
    pub(crate) async fn node(&self) -> Result<Node, Failure> {
        Ok(self.node_and_cluster().await?.0)
    }

    /// The same, for a command that begins a scan: refused where the servers have as many streams as they bear.
    pub(crate) async fn node_with_room(&self) -> Result<Node, Failure> {
        let (node, cluster) = self.node_and_cluster().await?;
        if let Some(cluster) = cluster {
            cluster.must_have_room().await?;
        }
        Ok(node)
    }

    /// The same, with what a cluster has beside it.
    pub(crate) async fn node_and_cluster(&self) -> Result<(Node, Option<Cluster>), Failure> {
        // Before anything is made.
        let workspace = self.workspace()?;
        let (parts, cluster) = self.parts().await?;
        let opened = Node::over(parts, workspace).await;
        let mut node = opened.map_err(of_open)?;
        let secrets = self.config.keys().filter(|key| key.is_secret);
        let value = |key: &Key| {
            let name = key.name.strip_prefix("modules.")?;
            Some((name.to_owned(), self.config.get(&key.name)?.to_owned()))
        };
        node.secrets = secrets.filter_map(value).collect();
        // The scan's settings keep the proxy without them.
        if let Some(Ok((_, Some(credentials)))) = self.config.get("scan.proxy").map(Proxy::split) {
            node.secrets.insert("proxy".to_owned(), credentials);
        }
        Ok((node, cluster))
    }
}

/// The views of a data directory for asking: the catalog folded to the log's head, the others when they are asked for.
pub(crate) struct Views {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) runner: Runner,
    db: Db,
    workspace: WorkspaceId,
}

impl Context {
    /// Opens the views of a log that is there.
    pub(crate) async fn views(&self) -> Result<Views, Failure> {
        let workspace = self.workspace()?;
        let log = self.log().await?;
        let runner = self.runner_of(log.clone())?;
        runner.fold_view_to_head(Catalog::NAME).await?;
        let db = runner.db(Catalog::NAME)?;
        Ok(Views {
            log,
            runner,
            db,
            workspace,
        })
    }

    /// The workspace's id key, under which entities have their ids; `None` before the workspace has begun.
    pub(crate) async fn id_key(&self, log: Arc<dyn EventLog>) -> Result<Option<IdKey>, Failure> {
        let workspace = self.workspace()?;
        let stream = StreamId::workspace(&workspace);
        if log.read_stream(&stream, Position(0)).await?.is_empty() {
            return Ok(None);
        }
        let actor = caller().actor;
        Ok(Some(
            keys::workspace(log, &self.keys(), &workspace, actor, Timestamp::now).await?,
        ))
    }
}

impl Views {
    /// Reads as of `--at`, or as of now.
    pub(crate) fn reader(&self, at: Option<&str>) -> Result<Reader<'_>, Failure> {
        self.reader_of(&self.db, at)
    }

    /// Another database of the catalog: two moments that are read in turns each leave out in their own what does not
    /// stand there.
    pub(crate) fn beside(&self) -> Result<Db, Failure> {
        Ok(self.runner.db(Catalog::NAME)?)
    }

    /// Reads from one of the catalog's databases as of `--at`, or as of now.
    pub(crate) fn reader_of<'d>(
        &self,
        db: &'d Db,
        at: Option<&str>,
    ) -> Result<Reader<'d>, Failure> {
        let now = Reader::new(db, &self.workspace, None)?;
        let at = match at.map(At::read).transpose()? {
            None => return Ok(now),
            Some(At::Time(time)) => now.resolve_time(time)?,
            Some(At::Position(at)) if at > now.position() => {
                let detail = format!("{at}: the log ends at {}", now.position());
                return Err(Problem::new("no_such_position", detail).into());
            }
            Some(At::Position(at)) => at,
        };
        Ok(now.as_of(at))
    }

    /// Another view's database, folded at least as far as the catalog.
    pub(crate) async fn db(&self, view: &str) -> Result<Db, Failure> {
        self.runner.fold_view_to_head(view).await?;
        Ok(self.runner.db(view)?)
    }
}

/// Refuses to write over a file of the data directory, or into one of its folders.
pub(crate) fn must_be_outside(dir: &Path, file: &Path) -> Result<(), Problem> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let (Ok(dir), Ok(folder)) = (dir.canonicalize(), folder.canonicalize()) else {
        return Ok(());
    };
    let is_own = folder.starts_with(&dir) && (folder != dir || file.exists());
    match is_own {
        false => Ok(()),
        true => {
            let detail = format!("{} is of the data directory", file.display());
            Err(Problem::new("usage", detail).try_this("write it somewhere else"))
        }
    }
}

/// What lies where in a data directory or a backup.
pub(crate) fn folders(dir: &Path) -> Folders {
    let place = Place(dir.to_owned());
    Folders {
        data: dir.to_owned(),
        evidence: place.evidence(),
        keys: place.keys(),
        views: place.views(),
    }
}

/// The person at the command line.
pub(crate) fn caller() -> Caller {
    let name = ["USER", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    Caller::user(
        name.filter(|name| !name.is_empty())
            .unwrap_or_else(|| "unknown".to_owned()),
    )
}

/// A node that could not be opened, as a problem.
pub(crate) fn of_open(error: node::OpenError) -> Problem {
    match error {
        node::OpenError::Log(error) => error.into(),
        node::OpenError::Evidence(error) => error.into(),
        node::OpenError::Directory { .. } | node::OpenError::Leases { .. } => {
            Problem::of("log_unopenable", &error)
        }
        node::OpenError::Probe(_) => Problem::of("internal", &error),
    }
}

/// A command that a scan refused, as a problem.
pub(crate) fn of_command(error: node::Error) -> Problem {
    match error {
        node::Error::Scope(error) => Problem::of("bad_scope", &error),
        node::Error::Evidence(error) => error.into(),
        node::Error::Read(error) => error.into(),
        node::Error::Absent(scan) => Problem::new("no_such_scan", scan),
        node::Error::Damaged { .. } => Problem::of("evidence_damaged", &error),
        node::Error::Command(error) => error.into(),
    }
}

/// An orchestrator that could not go on, as a problem.
pub(crate) fn of_run(error: orchestrate::Error) -> Problem {
    match error {
        orchestrate::Error::Load(error) => of_load(error),
        orchestrate::Error::Read(error) => error.into(),
        orchestrate::Error::Append(error) => error.into(),
        orchestrate::Error::Finish(error) => error.into(),
        // What the disk or the store needs is for its owner to see, and not a fault inside.
        orchestrate::Error::Collect(collect::Error::Evidence(error)) => {
            Problem::of(error.code(), &*error)
        }
        orchestrate::Error::Encode(_)
        | orchestrate::Error::Collect(_)
        | orchestrate::Error::Lease(_)
        | orchestrate::Error::Tenant(_)
        | orchestrate::Error::Ended
        | orchestrate::Error::Panicked => Problem::of("internal", &error),
    }
}

/// Deliveries that could not go on, as a problem.
pub(crate) fn of_notify(error: notifying::Error) -> Problem {
    match error {
        notifying::Error::Read(error) => error.into(),
        notifying::Error::Deliver(error) => error.into(),
        notifying::Error::Pause(error) => error.into(),
        notifying::Error::Ended | notifying::Error::Panicked => Problem::of("internal", &error),
    }
}

/// A scan that cannot be run, as a problem.
fn of_load(error: LoadError) -> Problem {
    match error {
        LoadError::Absent(_) => Problem::of("no_such_scan", &error),
        LoadError::Evidence { .. } => Problem::of("evidence_damaged", &error),
        LoadError::Read(error) => error.into(),
        LoadError::Store(error) => error.into(),
        LoadError::Proxy(_) => Problem::of("bad_setting", &error),
        LoadError::Scope => Problem::of("internal", &error),
    }
}

/// The platform's folder for the data of `mirage`.
pub(crate) fn default_dir() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let data = match std::env::consts::OS {
        "windows" => absolute("LOCALAPPDATA"),
        "macos" => absolute("HOME").map(|home| home.join("Library/Application Support")),
        // XDG Base Directory Specification 0.8: a relative path is ignored.
        _ => absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share"))),
    };
    data.map(|data| data.join("mirage"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mirage_log::evidence;

    use super::*;

    #[test]
    fn a_scan_that_ends_for_a_full_disk_says_so() {
        let full = Arc::new(evidence::Error::Full("no space left".into()));
        let problem = of_run(collect::Error::Evidence(full).into());
        assert_eq!(problem.row.code, "disk_full");
    }
}
