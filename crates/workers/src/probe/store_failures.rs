//! Failures of the evidence store: they say nothing about the sources that were asked.
//!
//! Tasks share answers, and so the failure to keep one: every attempt that met a failure ends with it, and its task is
//! run again.

use std::sync::{Arc, Mutex, PoisonError};

use mirage_log::evidence::Error;

use crate::collectors::CollectError;

/// How often the store failed a scan, and how it did last.
#[derive(Debug, Default)]
pub struct StoreFailures(Mutex<(u64, Option<Arc<Error>>)>);

impl StoreFailures {
    /// The store's answer as the collector gets it; what is wrong with the item alone stays the collector's to tell.
    pub(crate) fn noted<T>(&self, answer: Result<T, Error>) -> Result<T, CollectError> {
        answer.map_err(|error| {
            let told = CollectError::Unavailable(format!("evidence: {error}"));
            if !error.is_of_the_item() {
                let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                *failures = (failures.0 + 1, Some(Arc::new(error)));
            }
            told
        })
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// The last one, if there were more than these.
    pub(crate) fn beyond(&self, count: u64) -> Option<Arc<Error>> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.1.clone().filter(|_| failures.0 > count)
    }
}
