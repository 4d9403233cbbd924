//! The clock of retries, handed in so that nobody has to wait for a day.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::node;

/// What time it is, and waiting for another one.
#[async_trait]
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
    /// Returns at that time, or at once if it is over.
    async fn until(&self, at: Timestamp);
}

/// The machine's.
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        node::now()
    }

    async fn until(&self, at: Timestamp) {
        // A time that is over is no span to wait.
        if let Ok(wait) = at.duration_since(self.now()).try_into() {
            tokio::time::sleep(wait).await;
        }
    }
}
