//! A scan from request to end.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::event::Event;
use mirage_domain::id::{ModuleName, Position, ScanId, WorkspaceId};
use mirage_domain::module::Profile;
use mirage_domain::scan::{Consent, Limits, Outcome};
use mirage_domain::task;
use mirage_log::{Filter, Read};
use mirage_workers::node::{Caller, Node, ScanRequest};
use mirage_workers::orchestrate::{Ended, run};
use mirage_workers::settings::ScanSettings;
use mirage_world::{Config, World};
use tokio_util::sync::CancellationToken;

pub(crate) async fn node(dir: &Path) -> Arc<Node> {
    Arc::new(
        Node::open(dir, WorkspaceId::new("default").unwrap())
            .await
            .unwrap(),
    )
}

pub(crate) fn request(world: &World, modules: &[&str]) -> ScanRequest {
    let mut settings = ScanSettings {
        resolvers: vec![world.resolver()],
        ..ScanSettings::default()
    };
    settings.rate_per_host = Some(0);
    ScanRequest {
        name: world.domain().to_owned(),
        seeds: vec![Entity::new(Kind::Domain, world.domain()).unwrap()],
        profile: Profile::Active,
        modules: modules
            .iter()
            .map(|name| ModuleName::new(name).unwrap())
            .collect(),
        scope: Vec::new(),
        limits: Limits::default(),
        consent: Some(Consent::Flag),
        allow_private: vec!["127.20.0.0/16".parse().unwrap()],
        settings,
        origin: mirage_domain::scan::Origin::NEW,
    }
}

pub(crate) async fn entities(node: &Node, scan: &ScanId) -> BTreeSet<String> {
    let mut read = node.log.read(Position(0), Filter::Scan(scan.clone()));
    let mut entities = BTreeSet::new();
    while let Some(Ok(Read::Commit(recorded))) = read.next().await {
        for entry in &recorded.commit.events {
            if let Event::Task(task::Event::Found(finding)) = &entry.event {
                entities.insert(finding.entity().unwrap().to_string());
            }
        }
    }
    entities
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_runs_to_its_end_and_every_finding_stands_in_the_log() {
    let world = World::start(Config::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let node = node(dir.path()).await;
    let caller = Caller::user("tester");
    let (scan, _) = node
        .commands
        .start(request(&world, &["dns"]), &caller)
        .await
        .unwrap();
    let run = run(node.clone(), scan.clone(), CancellationToken::new());
    let ended = tokio::time::timeout(Duration::from_secs(20), run)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ended, Ended::Finished(Outcome::Completed));
    let entities = entities(&node, &scan).await;
    assert!(
        entities.contains(&format!("domain:{}", world.domain())),
        "{entities:?}"
    );
    assert!(
        entities
            .iter()
            .any(|entity| entity.starts_with("ip:127.20.")),
        "{entities:?}"
    );
    mirage_log::verify(&*node.log).await.unwrap();
}
