//! Honest chains, missing evidence, lying views, foreign keys, and what the documents say of them.

use std::sync::Arc;

use mirage_log::evidence::Files;
use mirage_log::memory::Memory;
use mirage_projections::catalog::{Catalog, Reader};
use mirage_projections::testing::given;
use mirage_projections::testing::history::History;
use mirage_projections::testing::made_scan::{MadeScan, id_key, workspace};
use serde_json::Value;

use super::*;

struct Scene {
    history: History,
    scan: MadeScan,
    last: Finding,
    folder: tempfile::TempDir,
}

/// A seed, a host and an address; all evidence is stored.
async fn scene() -> Scene {
    let mut history = History::default();
    let mut scan = MadeScan::start(&mut history, 0, &[1]);
    let at = scan.schedule(&mut history, "dns");
    let seed = scan.finding("seed", None, 1, 0);
    let host = scan.finding("dns", Some(&seed), 2, 0);
    let last = scan.finding("dns", Some(&host), 3, 0);
    scan.report(&mut history, at, vec![host, last.clone()]);
    let folder = tempfile::tempdir().unwrap();
    let store = Files::open(folder.path()).unwrap();
    for n in 0..4_usize {
        let put = store.put(&scan.workspace, n.to_be_bytes().to_vec()).await;
        put.unwrap();
    }
    for settings in ["seed", "dns"] {
        let put = store.put(&scan.workspace, settings.into()).await;
        put.unwrap();
    }
    store.flush().await.unwrap();
    Scene {
        history,
        scan,
        last,
        folder,
    }
}

impl Scene {
    async fn proven_with(&self, key: Option<IdKey>, history: &History) -> Proven {
        let db = given::<Catalog>(history);
        let reader = Reader::new(&db, &workspace(0), None).unwrap();
        let why = reader.why(&self.scan.id, self.last.id).unwrap().unwrap();
        let log = Arc::new(Memory::default());
        self.history.copy_into(&*log, self.history.end()).await;
        let store = Files::open(self.folder.path()).unwrap();
        let prover = Prover {
            workspace: &self.scan.workspace,
            log: &*log,
            evidence: Some(&store),
            key: key.as_ref(),
        };
        prover.prove(why).await
    }

    async fn proven(&self) -> Proven {
        let key = Some(id_key(&self.scan.workspace));
        self.proven_with(key, &self.history).await
    }
}

fn failures(proven: &Proven) -> Vec<String> {
    let shown = proven
        .verdicts()
        .filter_map(|(_, what, verdict)| match verdict {
            Verdict::Held => None,
            Verdict::Failed(reason) => Some(format!("{what}: {reason}")),
            Verdict::Unknown(reason) => Some(format!("{what}? {reason}")),
        });
    shown.collect()
}

#[tokio::test]
async fn every_step_of_an_honest_chain_is_verified() {
    let scene = scene().await;
    let proven = scene.proven().await;
    assert_eq!(failures(&proven), Vec::<String>::new());
    assert_eq!(proven.proofs.len(), 3);
    let text = tree(&proven, str::to_owned);
    assert!(
        text.contains("attempt 1,") && text.contains("8 bytes: verified"),
        "{text}"
    );
}

#[tokio::test]
async fn evidence_that_is_missing_or_damaged_is_named() {
    let scene = scene().await;
    let small = rusqlite::Connection::open(scene.folder.path().join("small.db")).unwrap();
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name LIMIT 1";
    let table: String = small.query_row(tables, [], |row| row.get(0)).unwrap();
    small.execute(&format!("DELETE FROM {table}"), []).unwrap();
    let proven = scene.proven().await;
    assert!(proven.has_failed());
    let missing = failures(&proven);
    assert!(
        missing.contains(&"evidence: it is missing".to_owned()),
        "{missing:?}"
    );
    assert!(
        missing.contains(&"settings: it is missing".to_owned()),
        "{missing:?}"
    );
}

#[tokio::test]
async fn a_view_that_says_something_else_than_the_log_is_found_out() {
    let scene = scene().await;
    // A view of a log in which the same commits say other things.
    let mut other = History::default();
    let mut scan = MadeScan::start(&mut other, 0, &[1]);
    let at = scan.schedule(&mut other, "dns");
    let seed = scan.finding("seed", None, 1, 0);
    let host = scan.finding("dns", Some(&seed), 2, 0);
    let mut last = scan.finding("dns", Some(&host), 3, 0);
    last.confidence = 1;
    scan.report(&mut other, at, vec![host, last]);
    let key = Some(id_key(&scan.workspace));
    let proven = scene.proven_with(key, &other).await;
    assert_eq!(
        failures(&proven),
        ["log: the log says something else than the view"]
    );
}

#[tokio::test]
async fn without_the_key_ids_are_not_verified_and_with_another_one_they_fail() {
    let scene = scene().await;
    let proven = scene.proven_with(None, &scene.history).await;
    assert!(!proven.has_failed());
    assert_eq!(failures(&proven).len(), 3);
    let other = Some(IdKey::new([7; 32]));
    let proven = scene.proven_with(other, &scene.history).await;
    assert_eq!(
        failures(&proven)[0],
        "ids: the entity's id does not follow from its key"
    );
}

#[tokio::test]
async fn a_provenance_document_names_every_step_and_only_declared_things() {
    let scene = scene().await;
    let proven = scene.proven().await;
    let asked = Asked {
        actor: "ana b".into(),
    };
    let document = prov(&proven, &asked);
    let count = |section: &str| document[section].as_object().map_or(0, |all| all.len());
    // Three findings, four items of evidence, two settings.
    assert_eq!((count("entity"), count("activity")), (9, 2), "{document:#}");
    assert_eq!(count("wasGeneratedBy"), 3);
    let declared = |id: &Value| {
        let id = id.as_str().unwrap();
        ["entity", "activity", "agent"]
            .iter()
            .any(|section| document[section].get(id).is_some())
    };
    for section in [
        "used",
        "wasDerivedFrom",
        "wasAssociatedWith",
        "actedOnBehalfOf",
    ] {
        for relation in document[section].as_object().unwrap().values() {
            assert!(
                relation.as_object().unwrap().values().all(declared),
                "{relation}"
            );
        }
    }
}

#[tokio::test]
async fn a_graph_quotes_what_comes_from_outside() {
    let scene = scene().await;
    let mut proven = scene.proven().await;
    proven.why.steps[0].finding.key = Some("a\"]; evil [label=\"".to_owned());
    let text = dot(&proven, str::to_owned);
    assert!(
        text.contains(r#"label="ip a\"]; evil [label=\"""#),
        "{text}"
    );
}
