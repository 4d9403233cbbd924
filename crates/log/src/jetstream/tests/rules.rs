//! The rules of the log on JetStream that a clean server can show.

use std::sync::Arc;

use async_nats::header;
use futures::StreamExt;
use futures::future::join_all;
use mirage_domain::id::{Digest, Position, StreamId, Version};
use mirage_domain::log;
use uuid::Uuid;

use super::world::{chain, fresh, history, publish};
use crate::commit::{Commit, encode};
use crate::contract::{commit_of, encoded, found, scan, stream};
use crate::jetstream::page::Page;
use crate::jetstream::{JetStream, SETTLING};
use crate::memory::Memory;
use crate::{AppendError, COMMIT_BYTES_MAX, EncodedCommit, EventLog, Filter, Read, Tip};

#[tokio::test]
async fn a_commit_is_one_message_with_its_bytes_its_id_and_its_expectation() {
    let Some((log, options)) = fresh(1).await else {
        return;
    };
    let first = log.append(encoded(1, None), None).await.unwrap();
    log.append(encoded(2, None), None).await.unwrap();
    let second = encoded(1, Some(first));
    let tip = log.append(second.clone(), Some(first)).await.unwrap();
    assert_eq!(tip.position, Position(3));
    let message = log.inner.asker.stream.get_raw_message(3).await.unwrap();
    let header = |name| message.headers.get(name).unwrap().as_str().to_owned();
    let subject = format!(
        "{}.default.{}.task.{}",
        options.prefix,
        scan(),
        stream(1).id
    );
    assert_eq!(message.subject.as_str(), subject);
    assert_eq!(&message.payload[..], &second.bytes[..]);
    assert_eq!(header(header::NATS_MESSAGE_ID), second.id.to_string());
    let expected = header(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE);
    assert_eq!(expected, "1", "the sequence of the subject's last message");
    let message = log.inner.asker.stream.get_raw_message(2).await.unwrap();
    let expected = message
        .headers
        .get(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE);
    assert_eq!(expected.unwrap().as_str(), "0");
}

#[tokio::test]
async fn a_commit_over_the_limit_is_refused_before_it_is_sent() {
    let Some((log, _options)) = fresh(1).await else {
        return;
    };
    let large = EncodedCommit {
        bytes: vec![b' '; COMMIT_BYTES_MAX + 1].into(),
        ..encoded(1, None)
    };
    let refused = log.append(large.clone(), None).await;
    assert!(
        matches!(refused, Err(AppendError::TooLarge { .. })),
        "{refused:?}"
    );
    let refused = log.copy(Position(1), large).await;
    assert!(
        matches!(refused, Err(AppendError::TooLarge { .. })),
        "{refused:?}"
    );
    assert_eq!(log.head().await.unwrap().position, Position(0));
}

/// Writers of one stream, each over a connection of its own, until each has landed `each` commits.
async fn race(nodes: usize, writers: u64, each: u64) {
    let Some((log, options)) = fresh(nodes).await else {
        return;
    };
    let race = (0..writers).map(|writer| {
        let options = options.clone();
        tokio::spawn(async move {
            let log = JetStream::open(options).await.unwrap();
            let (mut tip, mut landed) = (None, 0);
            while landed < each {
                let (stream, event) = found(1);
                let id = Uuid::from_u64_pair(writer + 1, landed + 1);
                let commit = Commit {
                    id,
                    ..commit_of(stream, tip, vec![event])
                };
                match log.append(encode(&commit).unwrap(), tip).await {
                    Ok(now) => (tip, landed) = (Some(now), landed + 1),
                    Err(AppendError::Conflict { tip: now, .. }) => tip = now,
                    Err(other) => panic!("{other:?}"),
                }
            }
        })
    });
    for ended in join_all(race).await {
        ended.unwrap();
    }
    let commits = log.read_stream(&stream(1), Position(0)).await.unwrap();
    let ids: std::collections::BTreeSet<Uuid> =
        commits.iter().map(|commit| commit.commit.id).collect();
    let all = (writers * each) as usize;
    assert_eq!((commits.len(), ids.len()), (all, all));
    let verified = crate::verify(&log).await.unwrap();
    assert_eq!(verified.events, writers * each);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_writers_with_twenty_five_commits_each_lose_and_double_none() {
    race(1, 8, 25).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_writers_on_three_nodes_lose_and_double_none() {
    race(3, 8, 25).await;
}

#[tokio::test]
async fn a_commit_that_landed_without_a_word_is_found_again() {
    let Some((log, _options)) = fresh(1).await else {
        return;
    };
    let commits = chain(1, 2, 0);
    publish(&log, &commits).await;
    let first = log.append(commits[0].clone(), None).await.unwrap();
    assert_eq!((first.position, first.hash), (Position(1), commits[0].hash));
    let second = log.append(commits[1].clone(), Some(first)).await.unwrap();
    assert_eq!(second.position, Position(2));
    assert_eq!(log.head().await.unwrap().position, Position(2));
}

#[tokio::test]
async fn another_commit_with_the_id_of_one_that_landed_conflicts() {
    let Some((log, _options)) = fresh(1).await else {
        return;
    };
    let first = log.append(encoded(1, None), None).await.unwrap();
    let (of, event) = found(1);
    let other = Commit {
        id: encoded(1, None).id,
        ..commit_of(of, Some(first), vec![event])
    };
    // The server takes it for a duplicate; nothing of it was written, and nobody is told so.
    let refused = log.append(encode(&other).unwrap(), Some(first)).await;
    assert!(
        matches!(refused, Err(AppendError::Conflict { tip, .. }) if tip == Some(first)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_copied_commit_carries_both_expectations() {
    let Some((log, _options)) = fresh(1).await else {
        return;
    };
    for (at, commit) in (1..).zip(chain(1, 3, 0)) {
        log.copy(Position(at), commit).await.unwrap();
    }
    let message = log.inner.asker.stream.get_raw_message(3).await.unwrap();
    for name in [
        header::NATS_EXPECTED_LAST_SEQUENCE,
        header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
    ] {
        assert_eq!(message.headers.get(name).unwrap().as_str(), "2");
    }
    let gap = log.copy(Position(5), encoded(2, None)).await;
    assert!(
        matches!(
            gap,
            Err(AppendError::Gap {
                head: Position(3),
                ..
            })
        ),
        "{gap:?}"
    );
    let start = log.copy(Position(0), encoded(2, None)).await;
    assert!(matches!(start, Err(AppendError::Gap { .. })), "{start:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_appends_than_fit_the_window_all_land_once() {
    let Some((log, _options)) = fresh(1).await else {
        return;
    };
    let log = Arc::new(log);
    let appends = (1..=3000).map(|n| {
        let log = log.clone();
        tokio::spawn(async move { log.append(encoded(n, None), None).await.unwrap().position })
    });
    let positions: std::collections::BTreeSet<u64> = join_all(appends)
        .await
        .into_iter()
        .map(|position| position.unwrap().0)
        .collect();
    assert_eq!(positions, (1..=3000).collect());
}

#[tokio::test]
async fn a_stream_longer_than_a_page_is_read_whole() {
    let Some((log, _options)) = fresh(1).await else {
        return;
    };
    let commits = chain(1, 1500, 0);
    publish(&log, &commits).await;
    let all = log.read_stream(&stream(1), Position(0)).await.unwrap();
    assert_eq!(all.len(), 1500);
    let rest = log.read_stream(&stream(1), Position(1498)).await.unwrap();
    assert_eq!(rest.len(), 2);
    let (mut tip, mut paged): (Option<Tip>, usize) = (None, 0);
    loop {
        let page = log.read_stream_page(&stream(1), tip).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() < 1500, "a page is bounded");
        paged += page.len();
        tip = Some(last.tip());
    }
    assert_eq!(paged, 1500);
    let conflict = log.append(encoded(1, None), None).await.unwrap();
    assert_eq!(conflict.position, Position(1), "the retry of the first one");
}

#[tokio::test]
async fn the_log_hash_is_the_same_as_on_every_backend() {
    let Some((log, options)) = fresh(1).await else {
        return;
    };
    let commits = chain(1, 1100, 0);
    publish(&log, &commits).await;
    let model = Memory::default();
    for (at, commit) in (1..).zip(&commits) {
        model.copy(Position(at), commit.clone()).await.unwrap();
    }
    let head = model.head().await.unwrap();
    assert_eq!(log.head().await.unwrap(), head);
    let all = history(&log, Filter::All).await;
    assert_eq!(all.last().unwrap().log_hash, head.log_hash);
    let again = JetStream::open(options).await.unwrap();
    for at in [1, 255, 256, 257, 700, 1100] {
        let expected = model.commit(Position(at)).await.unwrap().log_hash;
        let found = again.commit(Position(at)).await.unwrap().log_hash;
        assert_eq!(found, expected, "position {at}");
    }
    assert_eq!(again.head().await.unwrap(), head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_show_at_once_what_was_acknowledged() {
    let Some((log, options)) = fresh(3).await else {
        return;
    };
    let other = JetStream::open(options).await.unwrap();
    let mut tip = None;
    for n in 1..=60 {
        let at = log.append(encoded(1, tip), tip).await.unwrap();
        tip = Some(at);
        let head = other.head().await.unwrap();
        assert_eq!(head.position, at.position);
        let there = other.commit(at.position).await.unwrap();
        assert_eq!((there.tip(), there.log_hash), (at, head.log_hash));
        let stream = other.read_stream(&stream(1), Position(0)).await.unwrap();
        assert_eq!(stream.len(), n);
        assert_eq!(history(&other, Filter::Scan(scan())).await.len(), n);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_are_woken_by_commits_of_another_process() {
    let Some((log, options)) = fresh(1).await else {
        return;
    };
    let other = JetStream::open(options).await.unwrap();
    for filter in [Filter::All, Filter::Scan(scan())] {
        let mut read = log.read(Position(0), filter);
        let at = other.head().await.unwrap().position;
        while !matches!(read.next().await.unwrap().unwrap(), Read::CaughtUp(_)) {}
        // A commit of no scan first: the filtered reader passes it over.
        let (name, event) = (
            StreamId::workspace(&crate::contract::workspace()),
            found(1).1,
        );
        let id = Uuid::from_u64_pair(7, at.0);
        let (tip, _) = tip_of(&other, &name).await;
        let commit = Commit {
            id,
            ..commit_of(name, tip, vec![event])
        };
        other.append(encode(&commit).unwrap(), tip).await.unwrap();
        let wanted = other
            .append(encoded(at.0 + 100, None), None)
            .await
            .unwrap()
            .position;
        loop {
            match read.next().await.unwrap().unwrap() {
                Read::Commit(commit) if commit.position == wanted => break,
                Read::Commit(commit) => assert!(commit.position < wanted),
                Read::CaughtUp(_) => panic!("it is told once"),
            }
        }
    }
}

async fn tip_of(log: &JetStream, name: &StreamId) -> (Option<Tip>, Version) {
    let all = log.read_stream(name, Position(0)).await.unwrap();
    let tip = all.last().map(|commit| commit.tip());
    (tip, tip.map_or(Version(0), |tip| tip.version))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_dropped_reads_leave_no_consumer() {
    let Some((log, _options)) = fresh(1).await else {
        return;
    };
    log.append(encoded(1, None), None).await.unwrap();
    let consumers = || async {
        let info = log.inner.asker.stream.get_info().await.unwrap();
        info.state.consumer_count
    };
    let mut reads = Vec::new();
    for _ in 0..100 {
        let mut read = log.read(Position(0), Filter::All);
        while !matches!(read.next().await.unwrap().unwrap(), Read::CaughtUp(_)) {}
        let live = tokio::select! {
            biased;
            live = read.next() => Some(live),
            () = tokio::task::yield_now() => None,
        };
        assert!(live.is_none());
        reads.push(read);
        log.read_stream(&stream(1), Position(0)).await.unwrap();
    }
    assert!(consumers().await <= 1, "one for all readers of a process");
    drop(reads);
    log.inner.live.gone().await;
    assert_eq!(consumers().await, 0);
}

#[tokio::test]
async fn a_message_that_is_no_commit_of_its_subject_ends_the_reader() {
    let Some((log, options)) = fresh(1).await else {
        return;
    };
    let created = log::Event::from(log::Created {
        log_id: Uuid::nil(),
    });
    let start = commit_of(StreamId::log(), None, vec![created.into()]);
    let start = encode(&start).unwrap();
    let subject = format!("{}.default._.log.log", options.prefix);
    let sent = log
        .inner
        .asker
        .context
        .publish(subject, start.bytes.to_vec().into());
    sent.await.unwrap().await.unwrap();
    let mut read = log.read(Position(0), Filter::All);
    assert!(read.next().await.unwrap().is_err());
    assert!(read.next().await.is_none());
    assert!(log.commit(Position(1)).await.is_err());
    assert_ne!(log.head().await.unwrap().log_hash, Digest::EMPTY);
}

/// A replica may tell of a commit before the leader that has acknowledged it answers with it.
#[tokio::test]
async fn a_scans_reader_passes_over_nothing_that_the_leader_does_not_know_yet() {
    let Some((log, _options)) = fresh(3).await else {
        return;
    };
    let first = log.append(encoded(1, None), None).await.unwrap();
    let page = Page::first(first.position, Filter::Scan(scan()));
    let page = page.next(log.inner.clone(), Position(2)).await.unwrap();
    assert_eq!((page.ready.len(), page.after), (0, first.position));
    let second = encoded(1, Some(first));
    log.append(second, Some(first)).await.unwrap();
    let page = page.next(log.inner.clone(), Position(2)).await.unwrap();
    assert_eq!((page.ready.len(), page.after), (1, Position(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_seen_before_the_leader_knows_it_is_not_missing() {
    let Some((log, _options)) = fresh(3).await else {
        return;
    };
    let first = log.append(encoded(1, None), None).await.unwrap();
    let page = Page::first(first.position, Filter::All);
    let mut reading = tokio::spawn(page.next(log.inner.clone(), Position(2)));
    let early = tokio::time::timeout(SETTLING / 5, &mut reading).await;
    assert!(early.is_err(), "it waits for the leader");
    let second = encoded(1, Some(first));
    log.append(second, Some(first)).await.unwrap();
    let page = reading.await.unwrap().unwrap();
    assert_eq!((page.ready.len(), page.after), (1, Position(2)));
}
