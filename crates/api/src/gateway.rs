//! What the gateway stands on: the log, the views that it asks, the evidence, and the keys.
//!
//! **Invariant:** every read is made within one workspace, which is the principal's.
//! **Never:** more questions to a view at once than `ASKING_MAX`; who comes later waits shortly, then is told so.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use jiff::Timestamp;
use mirage_domain::id::{Position, ScanId, WorkspaceId};
use mirage_log::commit::{Actor, ActorKind};
use mirage_log::evidence::EvidenceStore;
use mirage_log::{EventLog, keys};
use mirage_projections::catalog::{self, Catalog};
use mirage_projections::{Db, Projection, Runner};
use mirage_workers::leases::Leases;
use mirage_workers::node::Commands;
use mirage_workers::settings::ScanSettings;
use tokio::sync::Semaphore;

use crate::admit;
use crate::audit::Audit;
use crate::auth::Principal;
use crate::auth::devices::Devices;
use crate::auth::identities::Identities;
use crate::auth::oidc::Oidc;
use crate::auth::tickets::Tickets;
use crate::error::Problem;
use crate::live::{Limits, Live};
use crate::rates::Rates;
use crate::rest::flow::Flows;
use crate::rest::moment::{At, Moment};
use crate::rest::views::Rebuilds;

/// Questions that are asked of the views at once.
const ASKING_MAX: usize = 64;
/// Files that are taken in at once, and those of one workspace.
const UPLOADS_MAX: usize = 4;
const UPLOADS_OF_ONE_MAX: usize = 2;
/// Who signs access tokens. The keys tell two installations apart, not the name.
const ISSUER: &str = "mirage";
/// How long a question waits for its turn before it is refused.
const TURN_MAX: Duration = Duration::from_secs(2);
/// How long a read waits for a view to reach `min_position`.
const CATCH_UP_MAX: Duration = Duration::from_secs(5);
/// Between two looks at a view that is awaited.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// An opened view is used so long: a rebuilt one takes its place.
const OPENED_MAX: Duration = Duration::from_secs(2);

/// What a node allows in scans that are asked for over the network.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// Private ranges that a scan may name.
    pub private: Vec<IpNet>,
    /// What every scan begins with: resolvers, proxy, pace; nobody may choose them from afar.
    pub settings: ScanSettings,
}

/// What a gateway is made of.
pub struct Parts {
    pub log: Arc<dyn EventLog>,
    pub evidence: Arc<dyn EvidenceStore>,
    pub leases: Arc<dyn Leases>,
    pub runner: Arc<Runner>,
    /// The folder of id keys.
    pub keys: PathBuf,
    pub allowed: Allowed,
    pub now: fn() -> Timestamp,
}

/// See the module's doc.
pub struct Gateway {
    pub log: Arc<dyn EventLog>,
    pub evidence: Arc<dyn EvidenceStore>,
    pub runner: Arc<Runner>,
    pub identities: Identities,
    pub allowed: Allowed,
    pub now: fn() -> Timestamp,
    pub live: Live,
    pub audit: Audit,
    pub devices: Devices,
    pub tickets: Tickets,
    /// Sign-in by an issuer, where the operator names one.
    pub oidc: Option<Oidc>,
    /// The public address, where the operator tells it.
    pub address: Option<String>,
    pub rates: Rates,
    pub flows: Flows,
    pub rebuilds: Rebuilds,
    /// Files that are taken in, or read to their end, at once.
    pub uploads: Flows,
    /// Networks of proxies whose word on where a request came from is taken.
    pub proxies: Vec<IpNet>,
    leases: Arc<dyn Leases>,
    keys: PathBuf,
    commands: Mutex<HashMap<WorkspaceId, Arc<Commands>>>,
    opened: Mutex<Vec<Opened>>,
    /// Views that were seen: who asks is not kept waiting for them to begin.
    built: Mutex<BTreeSet<&'static str>>,
    turns: Arc<Semaphore>,
}

/// A view that was opened for an earlier question.
struct Opened {
    view: &'static str,
    since: Instant,
    db: Db,
}

/// A question about the catalog, within one workspace and as of one moment.
pub struct Asking<'db> {
    pub catalog: catalog::Reader<'db>,
    pub commands: &'db Commands,
}

impl Gateway {
    pub fn new(parts: Parts) -> Self {
        Self {
            identities: Identities::new(
                parts.log.clone(),
                parts.keys.clone(),
                ISSUER.to_owned(),
                parts.now,
            ),
            audit: Audit::new(parts.log.clone(), parts.now),
            devices: Devices::default(),
            tickets: Tickets::default(),
            oidc: None,
            address: None,
            rates: Rates::new(admit::Settings::default().rates),
            flows: Flows::default(),
            rebuilds: Rebuilds::default(),
            uploads: Flows::new(UPLOADS_MAX, UPLOADS_OF_ONE_MAX),
            proxies: Vec::new(),
            log: parts.log,
            evidence: parts.evidence,
            runner: parts.runner,
            allowed: parts.allowed,
            now: parts.now,
            live: Live::default(),
            leases: parts.leases,
            keys: parts.keys,
            commands: Mutex::default(),
            opened: Mutex::default(),
            built: Mutex::default(),
            turns: Arc::new(Semaphore::new(ASKING_MAX)),
        }
    }

    /// The same with other limits of its live streams.
    pub fn with_live_limits(self, limits: Limits) -> Self {
        Self {
            live: Live::new(limits),
            ..self
        }
    }

    /// The same, letting in as these settings say.
    pub fn with_admission(self, settings: admit::Settings) -> Self {
        Self {
            rates: Rates::new(settings.rates),
            proxies: settings.proxies,
            ..self
        }
    }

    /// The same, letting in whom an issuer names.
    pub fn with_oidc(self, oidc: Option<Oidc>) -> Self {
        Self { oidc, ..self }
    }

    /// The same, which says where it lies.
    pub fn with_address(self, address: Option<String>) -> Self {
        let address = address.map(|address| address.trim_end_matches('/').to_owned());
        Self { address, ..self }
    }

    /// The folder of id keys.
    pub fn keys(&self) -> &Path {
        &self.keys
    }

    /// Commands within the principal's workspace.
    pub async fn commands(&self, who: &Principal) -> Result<Arc<Commands>, Problem> {
        let workspace = who.workspace();
        let known = self
            .commands
            .lock()
            .expect("no holder panics")
            .get(workspace)
            .cloned();
        if let Some(commands) = known {
            return Ok(commands);
        }
        let actor = Actor {
            kind: ActorKind::Service,
            id: "mirage".into(),
            version: Some(env!("CARGO_PKG_VERSION").into()),
        };
        // The workspace is there: the principal was read from its stream.
        let key = keys::workspace(self.log.clone(), &self.keys, workspace, actor, self.now).await?;
        let commands = Arc::new(Commands::new(
            workspace.clone(),
            self.log.clone(),
            self.evidence.clone(),
            key,
            self.now,
        ));
        let mut all = self.commands.lock().expect("no holder panics");
        // Another request may have been first: all share one memory of what they wrote.
        Ok(all.entry(workspace.clone()).or_insert(commands).clone())
    }

    /// Asks the catalog, in a thread that may block.
    pub async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        who: &Principal,
        moment: &Moment,
        ask: impl FnOnce(&Asking<'_>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.ask_with(Catalog::NAME, who, moment, |asking, _| ask(asking))
            .await
    }

    /// Asks the catalog and another view beside it, as of one moment.
    pub async fn ask_with<T: Send + 'static>(
        self: &Arc<Self>,
        view: &'static str,
        who: &Principal,
        moment: &Moment,
        ask: impl FnOnce(&Asking<'_>, &Db) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let least = self.least(moment).await?;
        for awaited in BTreeSet::from([Catalog::NAME, view]) {
            self.reached(awaited, least).await?;
        }
        let commands = self.commands(who).await?;
        let at = moment.at;
        self.blocking(move |gateway| gateway.answer(view, &commands, at, ask))
            .await
    }

    /// Runs what may block in its turn, in a thread that may.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = self.turn().await?;
        let gateway = self.clone();
        let worked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&gateway)
        });
        worked
            .await
            .map_err(|error| Problem::of("internal", &error))?
    }

    fn answer<T>(
        &self,
        view: &'static str,
        commands: &Commands,
        at: Option<At>,
        ask: impl FnOnce(&Asking<'_>, &Db) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let catalog = self.open(Catalog::NAME)?;
        let beside = match view {
            Catalog::NAME => None,
            view => Some(self.open(view)?),
        };
        let db = beside.as_ref().map_or(&catalog.db, |beside| &beside.db);
        let now = catalog::Reader::new(&catalog.db, &commands.workspace, None)?;
        // The one view may just have been folded further than the other.
        let folded = now.position().min(db.position()?);
        let at = match at {
            None => folded,
            Some(At::Position(at)) => at,
            Some(At::Time(time)) => now.resolve_time(time)?,
        };
        if at > folded {
            let detail = format!("the views stand at {folded}, {at} is asked for");
            return Err(Problem::new("view_behind", detail));
        }
        let asking = Asking {
            catalog: now.as_of(at),
            commands,
        };
        let answer = ask(&asking, db);
        self.keep(catalog);
        if let Some(beside) = beside {
            self.keep(beside);
        }
        answer
    }

    /// The position that the views must have reached; one that nobody was answered is not waited for.
    async fn least(&self, moment: &Moment) -> Result<Position, Problem> {
        let least = moment.least();
        if least == Position(0) {
            return Ok(least);
        }
        let head = self.log.head().await?.position;
        match least <= head {
            true => Ok(least),
            false => {
                let detail = format!("{least}: the log ends at {head}");
                Err(Problem::new("no_such_position", detail))
            }
        }
    }

    /// Waits for a view within a bound, in nobody's turn; also for one that was never built.
    async fn reached(self: &Arc<Self>, view: &'static str, least: Position) -> Result<(), Problem> {
        if least == Position(0) && self.built().contains(view) {
            return Ok(());
        }
        let began = Instant::now();
        loop {
            let behind = match self.blocking(move |gateway| gateway.position(view)).await {
                Ok(at) if at >= least => {
                    self.built().insert(view);
                    return Ok(());
                }
                Ok(at) => {
                    let detail = format!("{view} stands at {at}, {least} is asked for");
                    Problem::new("view_behind", detail)
                }
                Err(problem) if problem.row.code == "view_behind" => problem,
                Err(problem) => return Err(problem),
            };
            if began.elapsed() > CATCH_UP_MAX {
                return Err(behind);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn built(&self) -> MutexGuard<'_, BTreeSet<&'static str>> {
        self.built.lock().expect("no holder panics")
    }

    async fn turn(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Problem> {
        let turn = self.turns.clone().acquire_owned();
        match tokio::time::timeout(TURN_MAX, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Problem::new("overloaded", "too many questions at once")),
        }
    }

    fn position(&self, view: &'static str) -> Result<Position, Problem> {
        let opened = self.open(view)?;
        let at = opened.db.position()?;
        self.keep(opened);
        Ok(at)
    }

    fn open(&self, view: &'static str) -> Result<Opened, Problem> {
        match self.reuse(view) {
            Some(opened) => Ok(opened),
            None => Ok(Opened {
                view,
                since: Instant::now(),
                db: self.runner.db(view)?,
            }),
        }
    }

    fn reuse(&self, view: &'static str) -> Option<Opened> {
        let mut opened = self.opened.lock().expect("no holder panics");
        opened.retain(|opened| opened.since.elapsed() < OPENED_MAX);
        let at = opened.iter().position(|opened| opened.view == view)?;
        Some(opened.swap_remove(at))
    }

    fn keep(&self, opened: Opened) {
        self.opened.lock().expect("no holder panics").push(opened);
    }

    /// Who runs a scan just now.
    pub async fn holder(&self, scan: &ScanId) -> Option<String> {
        self.leases
            .holder(scan.as_str(), (self.now)())
            .await
            .ok()
            .flatten()
    }
}
