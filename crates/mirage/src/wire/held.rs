//! Who runs which scan now, as the leases tell it.

use std::sync::Arc;

use jiff::Timestamp;
use mirage_domain::id::ScanId;
use mirage_projections::catalog::{ScanRow, State};
use mirage_workers::leases::Leases;

use crate::cli::Context;

/// The leases, opened once for many questions; they are hints, and ones that cannot be read are none.
pub(crate) struct Held(Option<Arc<dyn Leases>>);

impl Context {
    pub(crate) async fn held(&self) -> Held {
        Held(self.leases_if_any().await)
    }
}

impl Held {
    pub(crate) async fn by(&self, scan: &ScanId) -> Option<String> {
        let leases = self.0.as_ref()?;
        leases.holder(scan.as_str(), Timestamp::now()).await.ok()?
    }

    /// The row with its state as of now; only of a scan that is not over somebody is asked.
    pub(crate) async fn now(&self, row: ScanRow) -> ScanRow {
        let is_open = matches!(row.state, State::Running | State::Stopping);
        let is_held = is_open && self.by(&row.scan_id).await.is_some();
        row.held(is_held)
    }
}
