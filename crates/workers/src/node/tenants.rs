//! The workspaces that a process works for: those whose id key lies in its folder.
//!
//! What a process has once, all of them share: log, evidence, leases, the way to the network and its places.
//! **Never:** work for a workspace whose key is not here, for its entities would have no ids; another process has it.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use mirage_domain::id::WorkspaceId;
use mirage_log::queue::in_process::InProcess;
use mirage_log::queue::{self, TaskQueue};
use mirage_log::{OpenError, keys};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Commands, Node};

/// How often a process looks for workspaces that have begun.
const LOOK: Duration = Duration::from_secs(1);

/// A workspace that this process works for.
#[derive(Clone)]
pub struct Tenant {
    pub node: Arc<Node>,
    pub queue: Arc<dyn TaskQueue>,
}

/// Where the tasks of each workspace wait.
#[async_trait]
pub trait Queues: Send + Sync {
    async fn open(&self, workspace: &WorkspaceId) -> Result<Arc<dyn TaskQueue>, queue::Error>;
}

/// Each in the memory of this process.
pub struct InThisProcess;

#[async_trait]
impl Queues for InThisProcess {
    async fn open(&self, _: &WorkspaceId) -> Result<Arc<dyn TaskQueue>, queue::Error> {
        Ok(Arc::new(InProcess::default()))
    }
}

/// See the module's doc.
pub struct Tenants {
    known: Mutex<BTreeMap<WorkspaceId, Tenant>>,
    /// Workspaces whose trouble was logged.
    told: Mutex<HashSet<WorkspaceId>>,
    /// Where further ones come from.
    more: Option<More>,
}

struct More {
    node: Arc<Node>,
    keys: PathBuf,
    queues: Box<dyn Queues>,
}

/// Why a workspace whose key is here cannot be worked for.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    #[error(transparent)]
    Key(#[from] OpenError),
    #[error(transparent)]
    Queue(#[from] queue::Error),
}

impl Tenants {
    /// One workspace and no other.
    pub fn one(node: Arc<Node>, queue: Arc<dyn TaskQueue>) -> Self {
        let workspace = node.workspace.clone();
        Self {
            known: Mutex::new(BTreeMap::from([(workspace, Tenant { node, queue })])),
            told: Mutex::default(),
            more: None,
        }
    }

    /// Every workspace whose key lies in `keys`, now or later; `node` is one of them, and has what they share.
    pub fn of_keys(node: Arc<Node>, keys: PathBuf, queues: Box<dyn Queues>) -> Self {
        Self {
            known: Mutex::default(),
            told: Mutex::default(),
            more: Some(More { node, keys, queues }),
        }
    }

    /// A workspace by its name; none if it is another process's.
    pub async fn get(&self, workspace: &WorkspaceId) -> Result<Option<Tenant>, TenantError> {
        if let Some(tenant) = self.known().get(workspace) {
            return Ok(Some(tenant.clone()));
        }
        let Some(more) = &self.more else {
            return Ok(None);
        };
        // In nobody's way: a server may take its time.
        let Some(opened) = more.open(workspace).await? else {
            return Ok(None);
        };
        // Who was first counts: the ends of a queue within the process must meet.
        let mut known = self.known();
        let tenant = known.entry(workspace.clone()).or_insert(opened).clone();
        Ok(Some(tenant))
    }

    /// All of them, in order of name; what cannot be opened is logged, and tried again when it is next asked for.
    async fn all(&self) -> Vec<Tenant> {
        if let Some(more) = &self.more {
            for workspace in more.held() {
                match self.get(&workspace).await {
                    Ok(_) => drop(self.told().remove(&workspace)),
                    // It is tried every second, and said once.
                    Err(error) if self.told().insert(workspace.clone()) => {
                        tracing::warn!(%workspace, %error, "a workspace cannot be worked for; tried again");
                    }
                    Err(_) => {}
                }
            }
        }
        self.known().values().cloned().collect()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<WorkspaceId, Tenant>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> MutexGuard<'_, HashSet<WorkspaceId>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` for each of them, from when it is here until `stop`; then waits until all have ended. The first
    /// error stops all.
    pub async fn each<E: Send + 'static>(
        &self,
        stop: CancellationToken,
        mut work: impl FnMut(Tenant, CancellationToken) -> BoxFuture<'static, Result<(), E>>,
    ) -> Result<(), E> {
        let stop = stop.child_token();
        let (mut begun, mut running) = (HashSet::new(), JoinSet::new());
        let mut outcome = Ok(());
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = running.join_next() => if let Err(error) = flat(ended) {
                    outcome = Err(error);
                    break;
                },
                _ = look.tick() => for tenant in self.all().await {
                    if begun.insert(tenant.node.workspace.clone()) {
                        running.spawn(work(tenant, stop.clone()));
                    }
                },
            }
        }
        stop.cancel();
        while let Some(ended) = running.join_next().await {
            outcome = outcome.and(flat(ended));
        }
        outcome
    }
}

fn flat<E>(ended: Result<Result<(), E>, tokio::task::JoinError>) -> Result<(), E> {
    match ended {
        Ok(outcome) => outcome,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

impl More {
    /// The reserved workspace has no scans.
    fn held(&self) -> impl Iterator<Item = WorkspaceId> {
        let held = keys::held(&self.keys).into_iter();
        held.filter(|workspace| *workspace != WorkspaceId::system())
    }

    async fn open(&self, workspace: &WorkspaceId) -> Result<Option<Tenant>, TenantError> {
        let node = match *workspace == self.node.workspace {
            true => self.node.clone(),
            false => {
                let log = &*self.node.log;
                let Some(key) = keys::of_workspace(log, &self.keys, workspace).await? else {
                    return Ok(None);
                };
                Arc::new(self.node.within(workspace.clone(), key))
            }
        };
        let queue = self.queues.open(workspace).await?;
        Ok(Some(Tenant { node, queue }))
    }
}

impl Node {
    /// The same process in another workspace.
    fn within(&self, workspace: WorkspaceId, key: mirage_domain::id::IdKey) -> Self {
        let commands = Commands::new(
            workspace.clone(),
            self.log.clone(),
            self.evidence.clone(),
            key.clone(),
            self.now,
        );
        Self {
            workspace,
            key,
            commands: Arc::new(commands),
            log: self.log.clone(),
            evidence: self.evidence.clone(),
            live: self.live.clone(),
            leases: self.leases.clone(),
            holder: self.holder.clone(),
            running: self.running.clone(),
            secrets: self.secrets.clone(),
            now: self.now,
        }
    }
}
