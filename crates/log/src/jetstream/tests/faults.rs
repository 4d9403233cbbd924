//! Servers that are killed, leaders that go, bytes that flip, consumers that vanish.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use futures::future::join_all;
use mirage_domain::id::Position;
use mirage_servers::{Nats, nats};
use tokio::sync::Notify;

use super::world::{chain, history, options, publish};
use crate::contract::{encoded, stream};
use crate::error::Damage;
use crate::jetstream::{JetStream, Options};
use crate::{EventLog, Filter, Read, ReadError, Tip};

async fn open(nats: &Nats, nodes: usize) -> (Arc<JetStream>, Options) {
    let options = options(nats, nodes);
    let log = JetStream::open(options.clone()).await.unwrap();
    (Arc::new(log), options)
}

/// Appends `each` commits to each of `streams` streams, and tells when the first `early` of all are acknowledged.
struct Writers {
    tasks: Vec<tokio::task::JoinHandle<Vec<Tip>>>,
    early: Arc<Notify>,
}

fn write(log: &Arc<JetStream>, streams: u64, each: usize, early: usize) -> Writers {
    let told = Arc::new(Notify::new());
    let count = Arc::new(AtomicUsize::new(0));
    let tasks = (1..=streams).map(|n| {
        let (log, told, count) = (log.clone(), told.clone(), count.clone());
        tokio::spawn(async move {
            let mut tips: Vec<Tip> = Vec::new();
            for _ in 0..each {
                let tip = tips.last().copied();
                tips.push(log.append(encoded(n, tip), tip).await.unwrap());
                if count.fetch_add(1, Ordering::Relaxed) + 1 == early {
                    told.notify_one();
                }
            }
            tips
        })
    });
    Writers {
        tasks: tasks.collect(),
        early: told,
    }
}

/// Every acknowledged commit stands where it was said to, and nothing else does.
async fn whole(log: &JetStream, writers: Writers) {
    let mut acknowledged = BTreeMap::new();
    for tips in join_all(writers.tasks).await {
        for tip in tips.unwrap() {
            assert!(acknowledged.insert(tip.position, tip.hash).is_none());
        }
    }
    let found: BTreeMap<_, _> = history(log, Filter::All)
        .await
        .iter()
        .map(|commit| (commit.position, commit.hash))
        .collect();
    assert_eq!(found, acknowledged);
    crate::verify(log).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_nothing_that_was_acknowledged_and_doubles_nothing() {
    let Some(nats) = nats(1) else { return };
    let (log, options) = open(&nats, 1).await;
    let writers = write(&log, 60, 4, 50);
    writers.early.notified().await;
    nats.node(0).kill();
    nats.node(0).restart();
    whole(&log, writers).await;
    // What the server knew of message ids lies in its memory alone; the same commit is still found.
    let again = JetStream::open(options).await.unwrap();
    let first = again.append(encoded(1, None), None).await.unwrap();
    let there = again.read_stream(&stream(1), Position(0)).await.unwrap();
    assert_eq!((there.len(), there[0].tip()), (4, first));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_goes_on_when_its_leader_is_killed() {
    let Some(nats) = nats(3) else { return };
    let (log, _options) = open(&nats, 3).await;
    let mut read = log.read(Position(0), Filter::All);
    assert!(matches!(
        read.next().await,
        Some(Ok(Read::CaughtUp(Position(0))))
    ));
    let writers = write(&log, 40, 3, 40);
    writers.early.notified().await;
    nats.node(leader(&log).await).kill();
    for at in 1..=120 {
        match soon(read.next()).await.unwrap().unwrap() {
            Read::Commit(commit) => assert_eq!(commit.position, Position(at)),
            Read::CaughtUp(_) => panic!("it is told once"),
        }
    }
    whole(&log, writers).await;
}

/// Which node leads the log's JetStream stream; nodes are called n1, n2, n3, and their port.
async fn leader(log: &JetStream) -> usize {
    let info = log.inner.asker.stream.get_info().await.unwrap();
    let name = info.cluster.unwrap().leader.unwrap();
    let number = name.trim_start_matches('n').split('-').next().unwrap();
    number.parse::<usize>().unwrap() - 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_reader_outlives_its_server_and_its_consumer() {
    let Some(nats) = nats(1) else { return };
    let (log, options) = open(&nats, 1).await;
    let other = JetStream::open(options).await.unwrap();
    let mut read = log.read(Position(0), Filter::All);
    assert!(matches!(read.next().await, Some(Ok(Read::CaughtUp(_)))));
    for round in 1..=3 {
        match round {
            1 => {}
            2 => {
                nats.node(0).kill();
                nats.node(0).restart();
            }
            _ => delete_consumers(&log).await,
        }
        let (live, tip) = tokio::join!(soon(read.next()), other.append(encoded(round, None), None));
        let Some(Ok(Read::Commit(live))) = live else {
            panic!("round {round}")
        };
        assert_eq!(live.position, tip.unwrap().position);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_reader_whose_consumer_tells_nothing_is_told_by_the_leader() {
    let Some(nats) = nats(1) else { return };
    let (log, options) = open(&nats, 1).await;
    let other = JetStream::open(options).await.unwrap();
    let mut read = log.read(Position(0), Filter::All);
    assert!(matches!(read.next().await, Some(Ok(Read::CaughtUp(_)))));
    let stream = &other.inner.asker.stream;
    let deafen = async {
        let name = loop {
            if let Some(name) = stream.consumer_names().next().await {
                break name.unwrap();
            }
        };
        let until = SystemTime::now() + Duration::from_secs(600);
        let paused = stream.pause_consumer(&name, until.into()).await;
        assert!(paused.unwrap().paused);
        other.append(encoded(1, None), None).await.unwrap();
    };
    let (live, ()) = tokio::join!(soon(read.next()), soon(deafen));
    assert!(matches!(live, Some(Ok(Read::Commit(_)))));
}

async fn delete_consumers(log: &JetStream) {
    let stream = &log.inner.asker.stream;
    let names: Vec<_> = stream.consumer_names().collect().await;
    for name in names {
        stream.delete_consumer(&name.unwrap()).await.unwrap();
    }
}

/// The files of a folder and all below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let below = entries.map(|path| match path.is_dir() {
        true => files(&path),
        false => vec![path],
    });
    below.flatten().collect()
}

/// The files in which a server keeps a log, by their extension.
fn kept(nats: &Nats, name: &str, extension: &str) -> Vec<PathBuf> {
    let files = files(nats.node(0).folder()).into_iter();
    let is_wanted = |path: &PathBuf| {
        path.extension().is_some_and(|found| found == extension)
            && path.components().any(|part| part.as_os_str() == name)
    };
    files.filter(is_wanted).collect()
}

/// Flips a bit in the middle of the stored commits, as a disk would.
fn flip(nats: &Nats, name: &str) {
    let block = &kept(nats, name, "blk")[0];
    let mut bytes = fs::read(block).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(block, bytes).unwrap();
}

/// Leaves the first half of the stored commits, and nothing that knows of the others.
fn cut(nats: &Nats, name: &str) {
    let block = &kept(nats, name, "blk")[0];
    let bytes = fs::read(block).unwrap();
    fs::write(block, &bytes[..bytes.len() / 2]).unwrap();
    for index in kept(nats, name, "db") {
        fs::remove_file(index).unwrap();
    }
}

/// What is waited for comes within a minute, or never.
async fn soon<T>(awaited: impl Future<Output = T>) -> T {
    let minute = Duration::from_secs(60);
    tokio::time::timeout(minute, awaited)
        .await
        .expect("it comes soon")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_that_the_server_is_silent_about_is_told() {
    let Some(nats) = nats(1) else { return };
    let (log, options) = open(&nats, 1).await;
    publish(&log, &chain(1, 200, 0)).await;
    let head = log.head().await.unwrap();
    nats.node(0).kill();
    flip(&nats, &options.name);
    nats.node(0).restart();
    nats.ready();
    let log = JetStream::open(options).await.unwrap();
    let mut read = log.read(head.position, Filter::All);
    let verified = crate::verify(&log).await;
    let told = match verified {
        // The tail was cut: only who knew of it can tell, as a view by its checkpoint.
        Ok(verified) => {
            assert!(verified.head.position < head.position);
            read.next().await.unwrap().unwrap_err()
        }
        Err(error) => error,
    };
    assert!(
        matches!(
            told,
            ReadError::Damaged {
                what: Damage::BehindAnchor { .. } | Damage::Missing,
                ..
            }
        ),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_cut_under_a_live_reader_ends_it() {
    let Some(nats) = nats(1) else { return };
    let (log, options) = open(&nats, 1).await;
    publish(&log, &chain(1, 200, 0)).await;
    let mut read = log.read(Position(0), Filter::All);
    while !matches!(read.next().await.unwrap().unwrap(), Read::CaughtUp(_)) {}
    let live = tokio::select! {
        biased;
        live = read.next() => Some(live),
        () = tokio::task::yield_now() => None,
    };
    assert!(live.is_none());
    nats.node(0).kill();
    cut(&nats, &options.name);
    nats.node(0).restart();
    let told = soon(read.next()).await.unwrap().unwrap_err();
    assert!(
        matches!(
            told,
            ReadError::Damaged {
                what: Damage::BehindAnchor { .. },
                ..
            }
        ),
        "{told}"
    );
}
