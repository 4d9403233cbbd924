//! Leases: hints which process holds which scan or subscription, which may be deleted at any time.
//!
//! They save a second process the trouble of claiming what is in good hands; the truth is the stream that is claimed.

mod bucket;
mod file;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

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
        what: &str,
        holder: &str,
        now: Timestamp,
    ) -> Result<Result<(), String>, Error>;

    /// Who holds it now, if anybody does.
    async fn holder(&self, what: &str, now: Timestamp) -> Result<Option<String>, Error>;

    /// Gives a lease back, if it is this holder's.
    async fn release(&self, what: &str, holder: &str) -> Result<(), Error>;
}
