//! The suite that every backend of the log passes, and the made-up commits it is fed with.
//!
//! `contract::suite!(make)`: `make` answers a future of a fresh, empty log (and whatever must live as long); of `None`
//! where its server is missing, and the test is skipped.

use jiff::Timestamp;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::event::Event;
use mirage_domain::finding::Finding;
use mirage_domain::id::{Digest, FindingId, IdKey, ScanId, StreamId, TaskId, Version, WorkspaceId};
use mirage_domain::scope::Decision;
use mirage_domain::sealed::Sealable;
use mirage_domain::{finding, task};
use uuid::Uuid;

use crate::commit::{Actor, ActorKind, Commit, Entry, encode};
use crate::{EncodedCommit, Tip};

/// The time of every made-up commit.
pub fn noon() -> Timestamp {
    "2026-11-03T10:00:00Z".parse().expect("a time")
}

/// A commit of `stream` at its tip; its id counts up from the version, so that it is the same each time.
pub fn commit_of(stream: StreamId, tip: Option<Tip>, events: Vec<Event>) -> Commit {
    let version = Version(tip.map_or(0, |tip| tip.version.0) + 1);
    let salt = Digest::of(stream.to_string().as_bytes());
    let salt = if stream == StreamId::log() {
        0
    } else {
        u64::from_be_bytes(salt.0[..8].try_into().expect("8"))
    };
    Commit {
        id: Uuid::from_u64_pair(salt, version.0),
        stream,
        version,
        recorded_at: noon(),
        actor: Actor {
            kind: ActorKind::Service,
            id: "test".into(),
            version: None,
        },
        command: None,
        correlation: None,
        causation: None,
        traceparent: None,
        prev: tip.map(|tip| tip.hash),
        context: None,
        events: events
            .into_iter()
            .map(|event| Entry { event, at: noon() })
            .collect(),
    }
}

/// The scan of every made-up finding.
pub fn scan() -> ScanId {
    ScanId::derive(&workspace(), "tester", "key")
}

pub fn workspace() -> WorkspaceId {
    WorkspaceId::new("default").expect("an id")
}

/// The `n`-th made-up finding, on the stream of its own task.
pub fn found(n: u64) -> (StreamId, Event) {
    let entity = Entity::recorded(Kind::Domain, &format!("host-{n}.example.com"));
    let id = entity.id(&IdKey::new([1; 32]));
    let mut attributes = finding::Attributes::new();
    attributes.insert("n".into(), n.into());
    let finding = Finding {
        id: FindingId(id.0),
        entity: id,
        kind: Kind::Domain,
        key: Sealable::Open(entity.key().to_owned()),
        parent: None,
        relation: None,
        direction: Default::default(),
        scope: Decision {
            is_in: true,
            rule: "example.com".into(),
        },
        confidence: 100,
        attributes: attributes.into(),
        evidence: vec![Digest::of(&n.to_be_bytes())],
    };
    (stream(n), task::Event::Found(finding).into())
}

/// The stream of the `n`-th task.
pub fn stream(n: u64) -> StreamId {
    StreamId::task(&workspace(), &scan(), &TaskId::derive(&scan(), n))
}

/// An encoded commit of `n`-th finding at the tip of its task's stream.
pub fn encoded(n: u64, tip: Option<Tip>) -> EncodedCommit {
    let (stream, event) = found(n);
    encode(&commit_of(stream, tip, vec![event])).expect("a small commit")
}

/// What a suite is given: a log and what must live as long, or none where its server is missing.
#[doc(hidden)]
pub trait Made {
    type Log;
    type Keep;
    fn made(self) -> Option<(Self::Log, Self::Keep)>;
}

impl<L, K> Made for (L, K) {
    type Log = L;
    type Keep = K;
    fn made(self) -> Option<(L, K)> {
        Some(self)
    }
}

impl<L, K> Made for Option<(L, K)> {
    type Log = L;
    type Keep = K;
    fn made(self) -> Option<(L, K)> {
        self
    }
}

#[doc(hidden)]
pub mod rules;

/// Instantiates every rule of the contract for one backend.
#[macro_export]
macro_rules! suite {
    ($make:path) => {
        $crate::suite!($make,
            positions_are_contiguous_and_hashes_chain,
            a_commit_is_read_back_byte_for_byte,
            a_stale_writer_conflicts_and_learns_the_tip,
            a_second_start_of_a_stream_conflicts,
            a_retry_of_what_landed_answers_as_the_first_time,
            a_retry_answers_even_when_others_stand_on_top,
            one_of_many_racing_writers_wins_each_version,
            appends_of_many_streams_in_flight_all_land_once,
            a_wrong_prev_or_version_is_refused,
            a_reader_gets_history_then_caught_up_then_live,
            a_reader_resumes_after_a_position,
            a_scan_filter_skips_the_others,
            a_dropped_read_loses_nothing,
            a_stream_is_read_after_a_position,
            an_absent_position_is_said,
            copying_gives_the_same_log_hash_and_refuses_gaps_and_others,
        );
    };
    ($make:path, $($rule:ident),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $rule() {
            let Some((log, _keep)) = $crate::contract::Made::made($make().await) else {
                return;
            };
            $crate::contract::rules::$rule(std::sync::Arc::new(log)).await;
        })+
    };
}
pub use crate::suite;
