//! Leases in a bucket of the cluster's server, which forgets them by its own clock.

use async_trait::async_trait;
use jiff::Timestamp;
use mirage_log::queue;
use mirage_log::queue::holders::Holders;

use super::{Error, Leases};

/// See the module's doc; `JetStreamQueue::holders` with [`LEASE`](super::LEASE) makes what it needs.
pub struct LeaseBucket(pub Holders);

impl From<queue::Error> for Error {
    fn from(error: queue::Error) -> Self {
        Self(error.into())
    }
}

#[async_trait]
impl Leases for LeaseBucket {
    async fn take(
        &self,
        what: &str,
        holder: &str,
        _: Timestamp,
    ) -> Result<Result<(), String>, Error> {
        Ok(self.0.take(what, holder).await?)
    }

    async fn holder(&self, what: &str, _: Timestamp) -> Result<Option<String>, Error> {
        Ok(self.0.holder(what).await?)
    }

    async fn release(&self, what: &str, holder: &str) -> Result<(), Error> {
        Ok(self.0.release(what, holder).await?)
    }
}
