//! Deliveries of tasks as nobody wants them: twice more each, in another order and late; or none.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::{self, stream::Stream};
use tokio::time::Instant;

use super::{Cluster, Options, until};

/// Of each message, beside itself.
const COPIES: usize = 2;
/// Between two looks at the queue.
const LOOK: Duration = Duration::from_millis(20);

/// For so long, or until there was something, copies what the queue holds, in collectors' hands or waiting: newest
/// first, and once more at the end, when most of it is done. Answers how many copies it made.
pub async fn scramble(cluster: &Cluster, least: Duration) -> Result<usize> {
    let queue = jetstream::new(cluster.client().await?);
    let name = queue_name();
    // A server that lost it has it again once somebody publishes.
    let stream = until("the queue of tasks", async || {
        Ok(queue.get_stream(&name).await.ok())
    });
    let stream = stream.await?;
    let until = Instant::now() + least;
    let mut known = BTreeMap::new();
    while Instant::now() < until {
        let fresh = held(&stream, &known).await?;
        publish(&queue, &fresh, "again").await?;
        known.extend(fresh);
        tokio::time::sleep(LOOK).await;
    }
    publish(&queue, &known, "late").await?;
    Ok(known.len() * COPIES * 2)
}

impl Cluster {
    /// For so long the queue's consumer takes questions and delivers nothing.
    pub async fn deafen(&self, pause: Duration) -> Result<()> {
        let queue = jetstream::new(self.client().await?);
        let stream = queue.get_stream(queue_name()).await?;
        let until = SystemTime::now() + pause;
        stream
            .pause_consumer("collect-default", until.into())
            .await?;
        Ok(())
    }
}

fn queue_name() -> String {
    format!("{}-tasks", Options::default().name)
}

type Messages = BTreeMap<u64, StreamMessage>;

/// Messages that are in the queue and neither known nor copies.
async fn held(stream: &Stream, known: &Messages) -> Result<Messages> {
    let state = stream.get_info().await?.state;
    let first = known.keys().next_back().map_or(0, |last| last + 1);
    let mut held = Messages::new();
    for sequence in state.first_sequence.max(first)..=state.last_sequence {
        // What is done by now is gone.
        if let Ok(message) = stream.get_raw_message(sequence).await
            && message.subject.split('.').count() == 4
        {
            held.insert(sequence, message);
        }
    }
    Ok(held)
}

/// A subject of its own lets a copy in beside the first, where the queue would have one message a task.
async fn publish(queue: &jetstream::Context, messages: &Messages, what: &str) -> Result<()> {
    for (sequence, message) in messages.iter().rev() {
        for copy in 0..COPIES {
            let subject = format!("{}.{what}-{sequence}-{copy}", message.subject);
            let sent = queue.publish(subject, message.payload.clone()).await?;
            sent.await.context("copying a delivery")?;
        }
    }
    Ok(())
}
