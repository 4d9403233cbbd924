//! The contract, rule by rule.

#![allow(
    clippy::unwrap_used,
    reason = "rules are tests, also where a feature compiles them"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt;
use mirage_domain::id::{Digest, Position, StreamId, Version};
use mirage_domain::log;

use super::{commit_of, encoded, found, scan, stream};
use crate::commit::{Commit, encode};
use crate::memory::Memory;
use crate::{AppendError, EncodedCommit, EventLog, Filter, Head, Read, ReadError, Tip};

type Log = Arc<dyn EventLog>;

async fn fill(log: &Log, streams: u64) -> Vec<Tip> {
    let mut tips = Vec::new();
    for n in 1..=streams {
        tips.push(log.append(encoded(n, None), None).await.unwrap());
    }
    tips
}

/// Reads up to the first `CaughtUp`.
async fn history(log: &Log, after: Position, filter: Filter) -> Vec<Arc<crate::Recorded>> {
    let mut read = log.read(after, filter);
    let mut commits = Vec::new();
    loop {
        match read.next().await.unwrap().unwrap() {
            Read::Commit(commit) => commits.push(commit),
            Read::CaughtUp(_) => return commits,
        }
    }
}

pub async fn positions_are_contiguous_and_hashes_chain(log: Log) {
    assert_eq!(log.head().await.unwrap(), Head::EMPTY);
    let tips = fill(&log, 5).await;
    let mut hash = Digest::EMPTY;
    for (tip, n) in tips.iter().zip(1..) {
        assert_eq!((tip.position, tip.version), (Position(n), Version(1)));
        hash = Digest::chain(hash, tip.position, tip.hash);
        assert_eq!(log.commit(Position(n)).await.unwrap().log_hash, hash);
    }
    assert_eq!(
        log.head().await.unwrap(),
        Head {
            position: Position(5),
            log_hash: hash
        }
    );
}

pub async fn a_commit_is_read_back_byte_for_byte(log: Log) {
    let written = encoded(1, None);
    let tip = log.append(written.clone(), None).await.unwrap();
    let read = log.commit(tip.position).await.unwrap();
    assert_eq!((&read.bytes, read.hash), (&written.bytes, written.hash));
    assert_eq!(read.tip(), tip);
}

pub async fn a_stale_writer_conflicts_and_learns_the_tip(log: Log) {
    let first = log.append(encoded(1, None), None).await.unwrap();
    let second = log
        .append(encoded(1, Some(first)), Some(first))
        .await
        .unwrap();
    let (stream, event) = found(1);
    let stale = Commit {
        id: uuid::Uuid::max(),
        ..commit_of(stream.clone(), Some(first), vec![event])
    };
    match log.append(encode(&stale).unwrap(), Some(first)).await {
        Err(AppendError::Conflict { stream: of, tip }) => {
            assert_eq!((of, tip), (stream, Some(second)))
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(log.head().await.unwrap().position, second.position);
}

pub async fn a_second_start_of_a_stream_conflicts(log: Log) {
    let log_id = |n: u8| {
        log::Event::from(log::Created {
            log_id: uuid::Uuid::from_bytes([n; 16]),
        })
    };
    let start = |n| commit_of(StreamId::log(), None, vec![log_id(n).into()]);
    let first = log.append(encode(&start(1)).unwrap(), None).await.unwrap();
    let second = Commit {
        id: uuid::Uuid::max(),
        ..start(2)
    };
    match log.append(encode(&second).unwrap(), None).await {
        Err(AppendError::Conflict { tip, .. }) => assert_eq!(tip, Some(first)),
        other => panic!("{other:?}"),
    }
}

pub async fn a_retry_of_what_landed_answers_as_the_first_time(log: Log) {
    let first = log.append(encoded(1, None), None).await.unwrap();
    assert_eq!(log.append(encoded(1, None), None).await.unwrap(), first);
    let second = log
        .append(encoded(1, Some(first)), Some(first))
        .await
        .unwrap();
    assert_eq!(
        log.append(encoded(1, Some(first)), Some(first))
            .await
            .unwrap(),
        second
    );
    assert_eq!(log.head().await.unwrap().position, second.position);
}

pub async fn a_retry_answers_even_when_others_stand_on_top(log: Log) {
    let first = log.append(encoded(1, None), None).await.unwrap();
    log.append(encoded(1, Some(first)), Some(first))
        .await
        .unwrap();
    assert_eq!(log.append(encoded(1, None), None).await.unwrap(), first);
}

pub async fn one_of_many_racing_writers_wins_each_version(log: Log) {
    let mut tip = None;
    for round in 0..20u64 {
        let race = (0..8u64).map(|writer| {
            let log = log.clone();
            let (stream, event) = found(1);
            let id = uuid::Uuid::from_u64_pair(round + 1, writer + 1);
            let commit = Commit {
                id,
                ..commit_of(stream, tip, vec![event])
            };
            tokio::spawn(async move { log.append(encode(&commit).unwrap(), tip).await })
        });
        let results = futures::future::join_all(race).await;
        let won: Vec<Tip> = results
            .into_iter()
            .filter_map(|joined| joined.unwrap().ok())
            .collect();
        assert_eq!(won.len(), 1, "round {round}");
        tip = Some(won[0]);
    }
    assert_eq!(log.head().await.unwrap().position, Position(20));
}

pub async fn appends_of_many_streams_in_flight_all_land_once(log: Log) {
    let writers = (1..=100).map(|n| {
        let log = log.clone();
        tokio::spawn(async move { log.append(encoded(n, None), None).await.unwrap().position })
    });
    let positions = futures::future::join_all(writers).await;
    let positions: BTreeSet<u64> = positions
        .into_iter()
        .map(|joined| joined.unwrap().0)
        .collect();
    assert_eq!(positions, (1..=100).collect());
    let mut hash = Digest::EMPTY;
    for commit in history(&log, Position(0), Filter::All).await {
        hash = Digest::chain(hash, commit.position, commit.hash);
        assert_eq!(commit.log_hash, hash);
    }
}

pub async fn a_wrong_prev_or_version_is_refused(log: Log) {
    let first = log.append(encoded(1, None), None).await.unwrap();
    let wrong_prev = Tip {
        hash: Digest::of(b"other"),
        ..first
    };
    let wrong_version = Tip {
        version: Version(7),
        ..first
    };
    for wrong in [wrong_prev, wrong_version] {
        let refused = log.append(encoded(1, Some(wrong)), Some(first)).await;
        assert!(
            matches!(refused, Err(AppendError::Conflict { .. })),
            "{refused:?}"
        );
    }
}

pub async fn a_reader_gets_history_then_caught_up_then_live(log: Log) {
    fill(&log, 3).await;
    let mut read = log.read(Position(0), Filter::All);
    for n in 1..=3 {
        assert!(
            matches!(read.next().await, Some(Ok(Read::Commit(commit))) if commit.position == Position(n))
        );
    }
    assert!(matches!(
        read.next().await,
        Some(Ok(Read::CaughtUp(Position(3))))
    ));
    let late = log.append(encoded(4, None), None);
    let (read, appended) = tokio::join!(read.next(), late);
    appended.unwrap();
    assert!(matches!(read, Some(Ok(Read::Commit(commit))) if commit.position == Position(4)));
}

pub async fn a_reader_resumes_after_a_position(log: Log) {
    fill(&log, 5).await;
    let positions = |commits: Vec<Arc<crate::Recorded>>| -> Vec<u64> {
        commits.iter().map(|commit| commit.position.0).collect()
    };
    assert_eq!(
        positions(history(&log, Position(3), Filter::All).await),
        [4, 5]
    );
    assert_eq!(
        positions(history(&log, Position(5), Filter::All).await),
        [0u64; 0]
    );
}

pub async fn a_scan_filter_skips_the_others(log: Log) {
    let created = log::Event::from(log::Created {
        log_id: uuid::Uuid::nil(),
    });
    let start = commit_of(StreamId::log(), None, vec![created.into()]);
    log.append(encode(&start).unwrap(), None).await.unwrap();
    fill(&log, 2).await;
    let commits = history(&log, Position(0), Filter::Scan(scan())).await;
    let positions: Vec<u64> = commits.iter().map(|commit| commit.position.0).collect();
    assert_eq!(positions, [2, 3]);
}

pub async fn a_dropped_read_loses_nothing(log: Log) {
    fill(&log, 20).await;
    let mut read = log.read(Position(0), Filter::All);
    let mut seen = Vec::new();
    while seen.len() < 20 {
        // Polled once and dropped again and again: what is ready comes whole, what is not stays.
        tokio::select! {
            biased;
            next = read.next() => match next.unwrap().unwrap() {
                Read::Commit(commit) => seen.push(commit.position.0),
                Read::CaughtUp(_) => break,
            },
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(seen, (1..=20).collect::<Vec<u64>>());
}

pub async fn a_stream_is_read_after_a_position(log: Log) {
    let first = log.append(encoded(1, None), None).await.unwrap();
    fill(&log, 1).await;
    log.append(encoded(2, None), None).await.unwrap();
    let second = log
        .append(encoded(1, Some(first)), Some(first))
        .await
        .unwrap();
    let all = log.read_stream(&stream(1), Position(0)).await.unwrap();
    assert_eq!(
        all.iter().map(|commit| commit.tip()).collect::<Vec<_>>(),
        [first, second]
    );
    let rest = log.read_stream(&stream(1), first.position).await.unwrap();
    assert_eq!(
        rest.iter().map(|commit| commit.tip()).collect::<Vec<_>>(),
        [second]
    );
    assert!(
        log.read_stream(&stream(9), Position(0))
            .await
            .unwrap()
            .is_empty()
    );
}

pub async fn an_absent_position_is_said(log: Log) {
    fill(&log, 1).await;
    for at in [0, 2, u64::MAX] {
        let absent = log.commit(Position(at)).await;
        assert!(
            matches!(absent, Err(ReadError::Absent(position)) if position.0 == at),
            "{at}"
        );
    }
}

pub async fn copying_gives_the_same_log_hash_and_refuses_gaps_and_others(log: Log) {
    let source: Log = Arc::new(Memory::default());
    let tips: BTreeMap<u64, Tip> = (1..).zip(fill(&source, 3).await).collect();
    source
        .append(encoded(2, Some(tips[&2])), Some(tips[&2]))
        .await
        .unwrap();
    let bytes = history(&source, Position(0), Filter::All).await;
    let parsed = |n: usize| EncodedCommit::parse(&bytes[n].bytes).unwrap();
    let gap = log.copy(Position(2), parsed(1)).await;
    assert!(matches!(gap, Err(AppendError::Gap { .. })), "{gap:?}");
    for n in 0..bytes.len() {
        log.copy(Position(n as u64 + 1), parsed(n)).await.unwrap();
        log.copy(Position(n as u64 + 1), parsed(n)).await.unwrap();
    }
    assert_eq!(log.head().await.unwrap(), source.head().await.unwrap());
    let other = log.copy(Position(1), parsed(1)).await;
    assert!(
        matches!(other, Err(AppendError::Occupied { .. })),
        "{other:?}"
    );
}
