//! What the world has served so far, and the faults that a test has asked it for.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// Requests served since the world started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// DNS queries received, over UDP and TCP.
    pub dns: u64,
    /// HTTP requests answered, those to the stand-in for crt.sh included.
    pub http: u64,
    /// TLS handshakes completed.
    pub tls: u64,
    /// TCP connections accepted, of all services but the canary.
    pub tcp: u64,
}

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) dns: AtomicU64,
    pub(crate) http: AtomicU64,
    pub(crate) tls: AtomicU64,
    pub(crate) tcp: AtomicU64,
    pub(crate) canary: AtomicU64,
    /// Where web connections arrived.
    contacted: Mutex<BTreeSet<Ipv4Addr>>,
    /// How many of the next UDP queries get no answer.
    pub(crate) dns_drops: AtomicU64,
    /// How many of the next HTTP requests are answered by 503.
    pub(crate) http_refusals: AtomicU64,
}

impl Tally {
    pub(crate) fn note(&self, address: Ipv4Addr) {
        self.contacted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(address);
    }

    pub(crate) fn contacted(&self) -> BTreeSet<Ipv4Addr> {
        self.contacted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn counts(&self) -> Counts {
        let [dns, http, tls, tcp] = [&self.dns, &self.http, &self.tls, &self.tcp]
            .map(|count| count.load(Ordering::Relaxed));
        Counts {
            dns,
            http,
            tls,
            tcp,
        }
    }

    /// Takes one of the faults left in `faults`; false if there is none.
    pub(crate) fn takes_fault(&self, faults: &AtomicU64) -> bool {
        // The load spares the hot path a write to a shared line.
        faults.load(Ordering::Relaxed) > 0
            && faults
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                })
                .is_ok()
    }
}

pub(crate) fn bump(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}
