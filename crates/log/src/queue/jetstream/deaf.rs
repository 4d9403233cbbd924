//! A queue that has messages and takers, and delivers nothing: a server that has lost its way.
//!
//! **Never:** taken for deaf while all takers are busy, or while what is there is in somebody's hands.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::consumer::Info;
use futures::TryStreamExt;
use tokio::time::Instant;

use super::{Error, JetStreamQueue, failed};

/// For so long messages wait although somebody asks, and none is delivered, before the queue is made anew.
pub(super) const DEAF: Duration = Duration::from_secs(15);

/// Since when a queue has not delivered what it should have.
#[derive(Default)]
pub(super) struct Silence(Mutex<Option<(Deliveries, Instant)>>);

/// How many there were so far, counted by one consumer: the time it was made tells it from others.
type Deliveries = (i128, u64);

impl Silence {
    /// For how long it has been so, with this one.
    fn lasts(&self, deliveries: Option<Deliveries>) -> Duration {
        let mut silence = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = deliveries.map(|now| match *silence {
            Some((before, since)) if before == now => (now, since),
            _ => (now, Instant::now()),
        });
        *silence = since;
        since.map_or(Duration::ZERO, |(_, since)| since.elapsed())
    }
}

impl JetStreamQueue {
    /// Makes the queue anew if it is deaf; true if it was.
    pub(super) async fn make_anew_if_deaf(&self) -> Result<bool, Error> {
        let deliveries = self.deliveries_if_any_are_due().await?;
        if self.silence.lasts(deliveries) < self.config.deaf {
            return Ok(false);
        }
        self.delete().await?;
        self.make().await?;
        Ok(true)
    }

    /// Deliveries so far, if there is a message in nobody's hands and somebody who asks.
    async fn deliveries_if_any_are_due(&self) -> Result<Option<Deliveries>, Error> {
        let mut consumer = self.consumer.read().await.clone();
        let info = consumer.info().await.map_err(failed("asking for"))?;
        let Info {
            created,
            delivered,
            num_ack_pending,
            num_waiting,
            ..
        } = info;
        if *num_waiting == 0 {
            return Ok(None);
        }
        // The consumer's own count of what waits may be what is wrong.
        let stream = self.context.get_stream_no_info(self.config.stream_name());
        let stream = stream.await.map_err(failed("asking for"))?;
        let messages = stream.info_with_subjects(self.config.subjects()).await;
        let messages = messages.map_err(failed("asking for"))?;
        let count = messages.try_fold(0, async |sum, (_, count)| Ok(sum + count));
        let count = count.await.map_err(failed("asking for"))?;
        let deliveries = (created.unix_timestamp_nanos(), delivered.consumer_sequence);
        Ok((count > *num_ack_pending).then_some(deliveries))
    }
}
