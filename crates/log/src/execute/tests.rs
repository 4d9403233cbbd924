//! Commands against a log: keys, conflicts, folds.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::*;
use crate::commit::ActorKind;
use crate::contract::{noon, scan, workspace};
use crate::memory::Memory;
use crate::{Capabilities, EncodedCommit, Filter, Head, Read, Recorded};
use mirage_domain::id::ModuleName;
use mirage_domain::scan::{
    Command, Limits, PauseScan, Requested, ResumeScan, Scan, Seeds, StartError, StartScan, State,
};
use mirage_domain::sealed::Sealable;

fn envelope(key: Option<(&str, &str)>) -> Envelope {
    let actor = Actor {
        kind: ActorKind::User,
        id: "tester".into(),
        version: None,
    };
    let command = key.map(|(key, request)| CommandKey {
        key: key.into(),
        digest: Digest::of(request.as_bytes()),
    });
    Envelope {
        command,
        ..Envelope::new(actor, noon)
    }
}

fn start() -> Command {
    let request = Requested {
        name: Sealable::Open("example.com".into()),
        seeds: Seeds {
            list: Digest::of(b"seeds"),
            count: 1,
        },
        profile: Default::default(),
        modules: [ModuleName::new("dns").unwrap()].into(),
        scope: Sealable::Open(Vec::new()),
        limits: Limits::default(),
        consent: None,
        allow_private: Vec::new(),
        settings: Digest::of(b"settings"),
        origin: mirage_domain::scan::Origin::NEW,
    };
    Command::Start(Box::new(StartScan { request }))
}

fn stream() -> StreamId {
    StreamId::scan(&workspace(), &scan())
}

fn store() -> (Arc<dyn EventLog>, Store<Scan>) {
    let log: Arc<dyn EventLog> = Arc::new(Memory::default());
    (log.clone(), Store::new(log))
}

#[tokio::test]
async fn a_key_answers_as_the_first_time_also_in_another_process() {
    let (log, first) = store();
    let at = first
        .execute(&stream(), start(), envelope(Some(("k", "r"))))
        .await
        .unwrap();
    first
        .execute(&stream(), Command::Pause(PauseScan), envelope(None))
        .await
        .unwrap();
    let again = first
        .execute(&stream(), start(), envelope(Some(("k", "r"))))
        .await
        .unwrap();
    let restarted = Store::<Scan>::new(log.clone());
    let later = restarted
        .execute(&stream(), start(), envelope(Some(("k", "r"))))
        .await
        .unwrap();
    assert_eq!((again, later), (at, at));
    assert_eq!(log.head().await.unwrap().position, Position(2));
}

#[tokio::test]
async fn a_key_with_another_request_is_refused() {
    let (_, store) = store();
    store
        .execute(&stream(), start(), envelope(Some(("k", "r"))))
        .await
        .unwrap();
    let other = store
        .execute(&stream(), start(), envelope(Some(("k", "other"))))
        .await;
    assert!(matches!(other, Err(Error::KeyReused)));
    let keyless = store.execute(&stream(), start(), envelope(None)).await;
    assert!(matches!(
        keyless,
        Err(Error::Refused(mirage_domain::scan::Error::Start(
            StartError::AlreadyStarted
        )))
    ));
}

#[tokio::test]
async fn a_command_that_changes_nothing_appends_nothing() {
    let (log, store) = store();
    let at = store
        .execute(&stream(), start(), envelope(None))
        .await
        .unwrap();
    let resume = Command::Resume(ResumeScan { failed: false });
    assert_eq!(
        store
            .execute(&stream(), resume, envelope(None))
            .await
            .unwrap(),
        at
    );
    assert_eq!(log.head().await.unwrap().position, at);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_commands_on_stale_caches_are_decided_anew_and_none_is_lost() {
    let (log, first) = store();
    first
        .execute(&stream(), start(), envelope(None))
        .await
        .unwrap();
    let stores: Vec<Store<Scan>> = (0..3).map(|_| Store::new(log.clone())).collect();
    for round in 0..20 {
        let race = stores.iter().map(|store| {
            let command = match round % 2 {
                0 => Command::Pause(PauseScan),
                _ => Command::Resume(ResumeScan { failed: false }),
            };
            async move {
                store
                    .execute(&stream(), command, envelope(None))
                    .await
                    .unwrap()
            }
        });
        futures::future::join_all(race).await;
    }
    // Each round changes the state once, whoever wins.
    assert_eq!(log.head().await.unwrap().position, Position(21));
}

#[tokio::test]
async fn state_after_n_commands_is_the_fold_of_n_events() {
    let (log, store) = store();
    let commands = [
        start(),
        Command::Pause(PauseScan),
        Command::Resume(ResumeScan { failed: true }),
        Command::Pause(PauseScan),
    ];
    for command in commands {
        store
            .execute(&stream(), command, envelope(None))
            .await
            .unwrap();
        let mut context = store.load_aggregate(&stream().to_string()).await.unwrap();
        let mut fold = Scan::default();
        for envelope in store.load_events(&stream().to_string()).await.unwrap() {
            fold.apply(envelope.payload);
        }
        assert_eq!(*context.aggregate(), fold);
        let cold = Store::<Scan>::new(log.clone())
            .load_aggregate(&stream().to_string())
            .await;
        assert_eq!(*cold.unwrap().aggregate(), fold);
    }
    let state = store
        .load_aggregate(&stream().to_string())
        .await
        .unwrap()
        .aggregate
        .state;
    assert_eq!(state, State::Paused);
}

/// A log that answers every append with Busy, once it is told to, and counts them.
#[derive(Default)]
struct Busy {
    log: Memory,
    is_busy: AtomicBool,
    refused: AtomicUsize,
}

#[async_trait]
impl EventLog for Busy {
    async fn append(&self, commit: EncodedCommit, tip: Option<Tip>) -> Result<Tip, AppendError> {
        if !self.is_busy.load(Ordering::Relaxed) {
            return self.log.append(commit, tip).await;
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        Err(AppendError::Busy { pid: "1".into() })
    }
    async fn copy(&self, at: Position, commit: EncodedCommit) -> Result<(), AppendError> {
        self.log.copy(at, commit).await
    }
    fn read(&self, after: Position, filter: Filter) -> BoxStream<'_, Result<Read, ReadError>> {
        self.log.read(after, filter)
    }
    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Position,
    ) -> Result<Vec<Arc<Recorded>>, ReadError> {
        self.log.read_stream(stream, after).await
    }
    async fn commit(&self, at: Position) -> Result<Arc<Recorded>, ReadError> {
        self.log.commit(at).await
    }
    async fn head(&self) -> Result<Head, ReadError> {
        self.log.head().await
    }
    fn capabilities(&self) -> Capabilities {
        self.log.capabilities()
    }
}

#[tokio::test]
async fn a_busy_log_is_asked_once_and_the_command_goes_through_when_it_is_free() {
    let log = Arc::new(Busy::default());
    let store = Store::<Scan>::new(log.clone());
    store
        .execute(&stream(), start(), envelope(None))
        .await
        .unwrap();
    log.is_busy.store(true, Ordering::Relaxed);
    let busy = store
        .execute(&stream(), Command::Pause(PauseScan), envelope(None))
        .await;
    assert!(
        matches!(busy, Err(Error::Append(AppendError::Busy { .. }))),
        "{busy:?}"
    );
    assert_eq!(log.refused.load(Ordering::Relaxed), 1);
    log.is_busy.store(false, Ordering::Relaxed);
    let at = store
        .execute(&stream(), Command::Pause(PauseScan), envelope(None))
        .await
        .unwrap();
    assert_eq!(at, Position(2));
}
