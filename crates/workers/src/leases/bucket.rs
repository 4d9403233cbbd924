//! Leases in a bucket of the cluster's server, which forgets them by its own clock.

use async_trait::async_trait;
use jiff::Timestamp;
use mirage_domain::id::ScanId;
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
        scan: &ScanId,
        holder: &str,
        _: Timestamp,
    ) -> Result<Result<(), String>, Error> {
        Ok(self.0.take(scan.as_str(), holder).await?)
    }

    async fn holder(&self, scan: &ScanId, _: Timestamp) -> Result<Option<String>, Error> {
        Ok(self.0.holder(scan.as_str()).await?)
    }

    async fn release(&self, scan: &ScanId, holder: &str) -> Result<(), Error> {
        Ok(self.0.release(scan.as_str(), holder).await?)
    }
}
