//! One collector on one input of the loopback company, through the live probe.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use mirage_domain::entity::{Entity, Kind};
use mirage_domain::finding::Finding;
use mirage_domain::id::{Digest, FindingId, IdKey, ModuleName, ScanId, WorkspaceId};
use mirage_domain::module::Profile;
use mirage_domain::scope::Scope;
use mirage_log::evidence::{EvidenceStore, Files};
use mirage_workers::collectors::{
    ALL, CollectError, Found, Frame, Input, Remark, Reported, Settings,
};
use mirage_workers::probe::live::{Live, LiveConfig, Policy, ScanProbe};
use mirage_world::World;
use tempfile::TempDir;

/// What came out.
pub(crate) struct Collected {
    pub(crate) findings: Vec<Finding>,
    pub(crate) remarks: Vec<Remark>,
    pub(crate) outcome: Result<(), CollectError>,
}

impl Collected {
    /// The entities that were found, as `kind:key`; the input must not have failed.
    pub(crate) fn entities(&self) -> BTreeSet<String> {
        assert_eq!(self.outcome, Ok(()), "remarks: {:?}", self.remarks);
        let entities = self.findings.iter().map(Finding::entity);
        entities.map(|entity| entity.unwrap().to_string()).collect()
    }
}

/// Runs a collector on an input of the world, whose domain is the scan's seed; settings by their short keys.
pub(crate) async fn collect(
    world: &World,
    module: &str,
    input: (Kind, &str),
    settings: &[(&'static str, &str)],
) -> Collected {
    let scan = Scan::new(world).await;
    scan.collect(module, input, None, settings).await
}

/// A scan of the world whose evidence, cache and counters several collectors share.
pub(crate) struct Scan<'a> {
    world: &'a World,
    probe: Arc<ScanProbe>,
    evidence: Arc<Files>,
    /// Where the evidence lies; removed at the end.
    _dir: TempDir,
}

impl<'a> Scan<'a> {
    pub(crate) async fn new(world: &'a World) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let policy = Policy {
            resolvers: vec![world.resolver()],
            allow_private: vec!["127.20.0.0/16".parse().unwrap()],
            rate_per_host: 0,
            ..Policy::new(WorkspaceId::new("default").unwrap())
        };
        let live = Live::new(LiveConfig::default()).await.unwrap();
        let evidence = Arc::new(Files::open(dir.path()).unwrap());
        let probe = live.scan(policy, evidence.clone());
        Self {
            world,
            probe,
            evidence,
            _dir: dir,
        }
    }

    /// Runs a collector; one that reads evidence gets `evidence`.
    pub(crate) async fn collect(
        &self,
        module: &str,
        (kind, key): (Kind, &str),
        evidence: Option<Digest>,
        settings: &[(&'static str, &str)],
    ) -> Collected {
        let world = self.world;
        let collector = ALL.iter().find(|own| own.manifest().name == module);
        let (collector, manifest) = collector.map(|own| (own, own.manifest())).unwrap();
        let (entity, seed) = (
            Entity::new(kind, key).unwrap(),
            Entity::new(Kind::Domain, world.domain()).unwrap(),
        );
        let mut all = Settings::defaults(manifest);
        for (key, value) in settings {
            let known = all.0.insert(key, (*value).to_owned());
            assert!(known.is_some(), "{module} has no setting {key}");
        }
        let workspace = WorkspaceId::new("default").unwrap();
        let reported = Arc::new(Mutex::new(Vec::new()));
        let (sink, store) = (reported.clone(), self.evidence.clone());
        let frame = Frame {
            scan: ScanId::derive(&workspace, "test", "collect"),
            module: ModuleName::new(module).unwrap(),
            manifest,
            profile: Profile::Standard,
            key: IdKey::new([7; 32]),
            scope: Arc::new(Scope::new([&seed], &[]).unwrap()),
            sink: Arc::new(move |report| sink.lock().unwrap().push(report)),
            keep: Arc::new(move |bytes| {
                let (store, workspace) = (store.clone(), workspace.clone());
                Box::pin(async move { Ok(store.put(&workspace, bytes).await.unwrap()) })
            }),
        };
        let id = FindingId::derive(
            &frame.scan,
            &frame.module,
            None,
            None,
            entity.id(&frame.key),
        );
        let found = Found::new(Arc::new(frame), entity.clone(), id, true);
        let probe = self.probe.task(manifest);
        let input = Input {
            entity,
            evidence,
            is_in_scope: true,
            settings: Arc::new(all),
        };
        let outcome = collector.collect(&input, &probe, &found).await;
        // As before a commit: what findings cite can be read.
        self.evidence.flush().await.unwrap();
        let (mut findings, mut remarks) = (Vec::new(), Vec::new());
        for report in std::mem::take(&mut *reported.lock().unwrap()) {
            match report {
                Reported::Finding(finding) => findings.push(*finding),
                Reported::Remark(remark) => remarks.push(remark),
            }
        }
        Collected {
            findings,
            remarks,
            outcome,
        }
    }
}

/// Everything that the world has for this module alone is among what was found, and nothing that must never be.
#[track_caller]
pub(crate) fn assert_finds_its_own(world: &World, module: &str, found: &BTreeSet<String>) {
    let expected = world.expected();
    let own: BTreeSet<_> = expected
        .of(module)
        .map(|(kind, key)| format!("{kind}:{key}"))
        .collect();
    assert!(!own.is_empty(), "the world has nothing for {module}");
    let missing: Vec<_> = own.difference(found).collect();
    assert!(
        missing.is_empty(),
        "{module} missed {missing:?} in {found:?}"
    );
    let never = expected
        .never
        .iter()
        .map(|(kind, key)| format!("{kind}:{key}"));
    let wrong: Vec<_> = never.filter(|key| found.contains(key)).collect();
    assert!(wrong.is_empty(), "{module} found {wrong:?}");
}
