//! What a scan needs to run, read from its request and its evidence.

use std::collections::HashSet;
use std::sync::Arc;

use futures::StreamExt;
use mirage_domain::event::Event;
use mirage_domain::id::{Digest, Position, ScanId, StreamId};
use mirage_domain::scan::{self, Origin, Requested};
use mirage_domain::scope::Scope;
use mirage_domain::task;
use mirage_log::trace::Trace;
use mirage_log::{Filter, Read, ReadError};

use super::ScanContext;
use crate::collectors::{self, Collector};
use crate::node::Node;
use crate::probe::live::Policy;
use crate::probe::network::Network;
use crate::probe::proxy::UnfitProxy;
use crate::probe::replay::Replay;
use crate::seed;
use crate::settings::ScanSettings;

/// Why a scan cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("there is no scan {0}")]
    Absent(ScanId),
    #[error("{what} of the scan is missing or damaged")]
    Evidence { what: &'static str },
    #[error("the scan's scope is erased or not readable")]
    Scope,
    #[error("the scan's proxy cannot be used")]
    Proxy(#[source] UnfitProxy),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Store(#[from] mirage_log::evidence::Error),
}

/// Reads the request of a scan.
pub(crate) async fn request(node: &Node, scan: &ScanId) -> Result<Requested, LoadError> {
    Ok(traced_request(node, scan).await?.0)
}

/// The same, with the span within which it is run.
pub(crate) async fn traced_request(
    node: &Node,
    scan: &ScanId,
) -> Result<(Requested, Trace), LoadError> {
    let stream = StreamId::scan(&node.workspace, scan);
    let commits = node.log.read_stream(&stream, Position(0)).await?;
    let requested = commits.iter().find_map(|recorded| {
        let mut events = recorded.commit.events.iter();
        events.find_map(|entry| match &entry.event {
            Event::Scan(scan::Event::Requested(requested)) => Some((requested, &recorded.commit)),
            _ => None,
        })
    });
    let (requested, commit) = requested.ok_or_else(|| LoadError::Absent(scan.clone()))?;
    let sent = commit.traceparent.as_deref();
    let sent: Option<Trace> = sent.and_then(|sent| sent.parse().ok());
    let trace = sent.map_or_else(|| Trace::begin_of(scan.as_str()), |sent| sent.child());
    Ok((requested.clone(), trace))
}

async fn evidence(node: &Node, digest: Digest, what: &'static str) -> Result<Vec<u8>, LoadError> {
    let bytes = node.evidence.get(&node.workspace, digest).await?;
    bytes.ok_or(LoadError::Evidence { what })
}

/// The modules of a scan that this program has.
pub(crate) fn modules(request: &Requested) -> impl Iterator<Item = &'static dyn Collector> {
    collectors::every().filter(|collector| {
        let mut names = request.modules.iter();
        names.any(|name| name.as_str() == collector.manifest().name)
    })
}

/// Reads a scan's request, seeds and settings, and opens its way to the network.
pub(crate) async fn load(node: Arc<Node>, scan: &ScanId) -> Result<ScanContext, LoadError> {
    let request = request(&node, scan).await?;
    let list = evidence(&node, request.seeds.list, "the seed list").await?;
    let seeds = seed::decode(&list).map_err(|_| LoadError::Evidence {
        what: "the seed list",
    })?;
    let settings = evidence(&node, request.settings, "the settings").await?;
    let settings = ScanSettings::decode(&settings).map_err(|_| LoadError::Evidence {
        what: "the settings",
    })?;
    let rules = request.scope.open().ok_or(LoadError::Scope)?;
    let scope = Scope::new(&seeds, rules).map_err(|_| LoadError::Scope)?;
    let with_settings = |collector: &'static dyn Collector| {
        let settings = settings.of(collector.manifest(), &node.secrets);
        (collector, Arc::new(settings))
    };
    let modules = modules(&request).map(with_settings).collect();
    let network = match &request.origin {
        Origin::Rederivation { of } => stored(&node, of, &request).await?,
        Origin::Scan { .. } | Origin::Import { .. } => {
            let policy = policy(&node, &request, &settings).map_err(LoadError::Proxy)?;
            Network::Live(node.live.scan(policy, node.evidence.clone()))
        }
    };
    Ok(ScanContext {
        scan: scan.clone(),
        scope: Arc::new(scope),
        settings: request.settings,
        seeds: request.seeds.list,
        profile: request.profile,
        network,
        modules,
        node,
    })
}

/// What another scan saw.
async fn stored(node: &Node, of: &ScanId, request: &Requested) -> Result<Network, LoadError> {
    let all = Citations::read(node, of).await?;
    let store = node.evidence.clone();
    let replay = Replay::over(store, &node.workspace, &all.cited, &all.foreign).await;
    let replay = replay.map_err(|_| LoadError::Evidence {
        what: "what the other scan saw",
    })?;
    let replay = replay.allow_private(request.allow_private.clone());
    Ok(Network::Stored(Arc::new(replay)))
}

/// A scan, and what it derives anew, and so on: what one of them saw, all of them saw.
async fn family(node: &Node, scan: &ScanId) -> Result<HashSet<ScanId>, LoadError> {
    let (mut family, mut next) = (HashSet::new(), Some(scan.clone()));
    while let Some(scan) = next.take().filter(|scan| family.insert(scan.clone())) {
        if let Origin::Rederivation { of } = request(node, &scan).await?.origin {
            next = Some(of);
        }
    }
    Ok(family)
}

/// The evidence that the log cites; some 40 bytes of memory an item.
struct Citations {
    scan: ScanId,
    /// Scans whose evidence is no other's: those of the family, and rederivations, which cite what was stored.
    own: HashSet<ScanId>,
    /// What the scan itself cites, in the order of the log.
    cited: Vec<Digest>,
    seen: HashSet<Digest>,
    foreign: HashSet<Digest>,
}

impl Citations {
    async fn read(node: &Node, scan: &ScanId) -> Result<Self, LoadError> {
        let mut all = Self {
            scan: scan.clone(),
            own: family(node, scan).await?,
            cited: Vec::new(),
            seen: HashSet::new(),
            foreign: HashSet::new(),
        };
        let mut read = node.log.read(Position(0), Filter::All);
        while let Some(Read::Commit(recorded)) = read.next().await.transpose()? {
            let stream = &recorded.commit.stream;
            if let Some(whose) = &stream.scan
                && stream.workspace == node.workspace
            {
                let events = recorded.commit.events.iter();
                events.for_each(|entry| all.take(whose, &entry.event));
            }
        }
        Ok(all)
    }

    fn take(&mut self, whose: &ScanId, event: &Event) {
        match event {
            Event::Scan(scan::Event::Requested(requested)) => {
                if matches!(requested.origin, Origin::Rederivation { .. }) {
                    self.own.insert(whose.clone());
                }
            }
            Event::Task(task::Event::Found(finding)) if *whose == self.scan => {
                let items = finding.evidence.iter().copied();
                let seen = &mut self.seen;
                self.cited.extend(items.filter(|item| seen.insert(*item)));
            }
            Event::Task(task::Event::Found(finding)) if !self.own.contains(whose) => {
                self.foreign.extend(&finding.evidence);
            }
            _ => {}
        }
    }
}

fn policy(node: &Node, request: &Requested, settings: &ScanSettings) -> Result<Policy, UnfitProxy> {
    let mut policy = Policy::new(node.workspace.clone());
    policy.resolvers.clone_from(&settings.resolvers);
    policy.allow_private.clone_from(&request.allow_private);
    policy.requests_max = request.limits.requests;
    policy.secrets.clone_from(&node.secrets);
    if let Some(agent) = &settings.user_agent {
        policy.user_agent.clone_from(agent);
    }
    if let Some(rate) = settings.rate_per_host {
        policy.rate_per_host = rate;
    }
    policy.proxy = settings.proxy(&node.secrets)?;
    Ok(policy)
}
