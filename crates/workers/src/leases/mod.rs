//! Leases: hints which process holds which scan, which may be deleted at any time.
//!
//! They save a second orchestrator the trouble of claiming a plan that is in good hands; the truth is the plan's stream.

mod bucket;
mod file;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use mirage_domain::id::ScanId;

pub use bucket::LeaseBucket;
pub use file::{LeaseFile, this_process};

/// A lease that is not renewed is void after this long.
pub const LEASE: Duration = Duration::from_secs(5);
/// How often a holder renews.
pub const RENEW: Duration = Duration::from_secs(1);

/// The store of leases could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("reading or writing the leases")]
pub struct Error(#[source] pub Box<dyn std::error::Error + Send + Sync>);

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.into())
    }
}

/// Where the processes that share a log tell one another what they hold.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes or renews the lease; `Err` in the answer names who holds it.
    async fn take(
        &self,
        scan: &ScanId,
        holder: &str,
        now: Timestamp,
    ) -> Result<Result<(), String>, Error>;

    /// Who holds the scan now, if anybody does.
    async fn holder(&self, scan: &ScanId, now: Timestamp) -> Result<Option<String>, Error>;

    /// Gives a lease back, if it is this holder's.
    async fn release(&self, scan: &ScanId, holder: &str) -> Result<(), Error>;
}
