//! Kept connections: a scan's idle HTTP/1.1 connections and its shared HTTP/2 ones.
//!
//! Handshakes bound a scan, so what is open is used again.
//!
//! **Invariant:** bounded in number, closed after a few idle seconds, never shared between scans.
//! **Invariant:** the key holds the address that the egress policy judged, and whether the peer had to prove its name.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::connect::Target;
use super::wire::Link;

/// Connections that are kept; beyond it the one that was used longest ago goes.
const KEPT_MAX: usize = 128;
/// How long one is kept unused. Servers close theirs after 5 s and more.
const IDLE: Duration = Duration::from_secs(4);

/// What a connection can be used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) target: Target,
    pub(super) host: Box<str>,
    pub(super) is_tls: bool,
    /// A target's connection, accepted as it was, must not serve a source.
    pub(super) is_verified: bool,
    /// To the target itself, not to a proxy that is asked for URLs.
    pub(super) is_tunnel: bool,
}

struct Kept {
    key: Key,
    link: Link,
    since: Instant,
}

#[derive(Default)]
struct Shelf {
    /// In the order of their last use.
    kept: Vec<Kept>,
    is_swept: bool,
}

/// The connections of one scan.
#[derive(Default)]
pub(super) struct Pool(Arc<Mutex<Shelf>>);

impl Pool {
    /// A connection for `key`: an idle one for oneself, or a share of one that serves several.
    pub(super) fn take(&self, key: &Key) -> Option<Link> {
        let mut shelf = lock(&self.0);
        shelf.sweep();
        let at = shelf.kept.iter().rposition(|kept| kept.key == *key)?;
        let mut kept = shelf.kept.remove(at);
        let Some(share) = kept.link.share() else {
            return Some(kept.link);
        };
        kept.since = Instant::now();
        shelf.kept.push(kept);
        Some(share)
    }

    /// Keeps a connection that waits for a request or can be shared.
    pub(super) fn put(&self, key: Key, link: Link) {
        let mut shelf = lock(&self.0);
        shelf.sweep();
        let is_known = |kept: &Kept| kept.key == key && kept.link.share().is_some();
        if link.is_closed() || shelf.kept.iter().any(is_known) {
            return;
        }
        if shelf.kept.len() >= KEPT_MAX {
            shelf.kept.remove(0);
        }
        let since = Instant::now();
        shelf.kept.push(Kept { key, link, since });
        if !std::mem::replace(&mut shelf.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(&self.0)));
        }
    }
}

impl Shelf {
    fn sweep(&mut self) {
        let is_fit = |kept: &Kept| kept.since.elapsed() < IDLE && !kept.link.is_closed();
        self.kept.retain(is_fit);
    }
}

fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closes what has been idle for too long, until nothing is left.
async fn sweep(shelf: Weak<Mutex<Shelf>>) {
    loop {
        tokio::time::sleep(IDLE).await;
        let Some(shelf) = shelf.upgrade() else {
            return;
        };
        let mut shelf = lock(&shelf);
        shelf.sweep();
        if shelf.kept.is_empty() {
            shelf.is_swept = false;
            return;
        }
    }
}
