//! Hash marks: written by readers, missed by nobody, believed by no reader that knows better.

use async_nats::jetstream::consumer::pull;
use futures::StreamExt;
use mirage_domain::id::{Digest, Position};

use super::world::{chain, fresh, history, publish};
use crate::error::Damage;
use crate::jetstream::marks::Mark;
use crate::jetstream::{JetStream, Options};
use crate::{EventLog, Filter, Head, ReadError};

/// A log of 600 commits on one stream.
async fn filled() -> Option<(JetStream, Options)> {
    let (log, options) = fresh(1).await?;
    publish(&log, &chain(1, 600, 0)).await;
    Some((log, options))
}

async fn put(log: &JetStream, options: &Options, mark: Mark) {
    let subject = format!("{}-marks.{}", options.prefix, mark.position.0);
    let bytes = serde_json::to_vec(&mark).unwrap();
    let sent = log.inner.asker.context.publish(subject, bytes.into()).await;
    sent.unwrap().await.unwrap();
}

/// What the log itself says at a position.
async fn mark(log: &JetStream, at: u64) -> Mark {
    let there = log.commit(Position(at)).await.unwrap();
    Mark {
        position: there.position,
        log_hash: there.log_hash,
        commit: there.hash,
    }
}

#[tokio::test]
async fn a_reader_that_passes_a_mark_writes_it() {
    let Some((log, options)) = filled().await else {
        return;
    };
    let all = history(&log, Filter::All).await;
    let name = format!("{}-marks", options.name);
    let stream = log.inner.asker.context.get_stream(name).await.unwrap();
    let consumer = stream
        .create_consumer(pull::Config::default())
        .await
        .unwrap();
    let written = consumer.messages().await.unwrap().take(2);
    let written: Vec<Mark> = written
        .map(|message| serde_json::from_slice::<Mark>(&message.unwrap().payload).unwrap())
        .collect()
        .await;
    for at in [256, 512] {
        let there = &all[at - 1];
        let expected = Mark {
            position: Position(at as u64),
            log_hash: there.log_hash,
            commit: there.hash,
        };
        assert!(written.contains(&expected), "{at}");
    }
}

#[tokio::test]
async fn a_reader_begins_at_the_nearest_mark_and_without_marks_at_the_start() {
    let Some((log, options)) = filled().await else {
        return;
    };
    let head = log.head().await.unwrap();
    let fresh = JetStream::open(options.clone()).await.unwrap();
    let near = fresh
        .inner
        .marks
        .nearest(&fresh.inner.asker, Position(600))
        .await;
    assert!([Position(0), Position(256), Position(512)].contains(&near.unwrap().position));
    assert_eq!(fresh.head().await.unwrap(), head);
    put(&log, &options, mark(&log, 512).await).await;
    let fresh = JetStream::open(options.clone()).await.unwrap();
    let near = fresh
        .inner
        .marks
        .nearest(&fresh.inner.asker, Position(600))
        .await;
    assert_eq!(near.unwrap().position, Position(512));
    assert_eq!(fresh.head().await.unwrap(), head);
    let context = &log.inner.asker.context;
    let stream = context.get_stream(format!("{}-marks", options.name)).await;
    stream.unwrap().purge().await.unwrap();
    let fresh = JetStream::open(options.clone()).await.unwrap();
    let deleted = context.delete_stream(format!("{}-marks", options.name));
    deleted.await.unwrap();
    assert_eq!(fresh.head().await.unwrap(), head);
}

#[tokio::test]
async fn a_mark_of_another_commit_stops_whoever_would_begin_there() {
    let Some((log, options)) = filled().await else {
        return;
    };
    let forged = Mark {
        position: Position(512),
        log_hash: Digest::of(b"forged"),
        commit: Digest::of(b"another"),
    };
    put(&log, &options, forged).await;
    let stopped = log.commit(Position(550)).await;
    assert!(is_log_hash(stopped.as_ref().err(), 512), "{stopped:?}");
}

#[tokio::test]
async fn a_mark_that_says_otherwise_is_damage_to_whoever_comes_from_below() {
    let Some((log, options)) = filled().await else {
        return;
    };
    let there = log.inner.asker.at(Position(256)).await.unwrap().unwrap();
    let forged = Mark {
        position: Position(256),
        log_hash: Digest::of(b"forged"),
        commit: there.hash,
    };
    put(&log, &options, forged).await;
    let verified = crate::verify(&log).await;
    assert!(is_log_hash(verified.as_ref().err(), 256), "{verified:?}");
}

fn is_log_hash(error: Option<&ReadError>, position: u64) -> bool {
    matches!(error, Some(ReadError::Damaged { at, what: Damage::LogHash }) if at.0 == position)
}

#[tokio::test]
async fn the_head_of_an_empty_log_is_empty() {
    let Some((log, _options)) = fresh(1).await else {
        return;
    };
    assert_eq!(log.head().await.unwrap(), Head::EMPTY);
}
