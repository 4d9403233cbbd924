//! Whether an open stream may go on: its rights, its reader, and the gateway.
//!
//! **Invariant:** rights are looked at anew when they change, and every [`LOOK_AGAIN`]; in doubt the stream ends.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use mirage_domain::id::StreamId;
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::subscriber::End;
use super::tail::{Rights, Tail};
use crate::auth::{self, Principal};
use crate::gateway::Gateway;

/// Between two looks at rights that no commit changed: keys come to their end by themselves.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Whether a stream may go on.
pub(super) struct Guard {
    gateway: Arc<Gateway>,
    pub(super) who: Principal,
    token: String,
    rights: watch::Receiver<Rights>,
    /// What its rights are folded from.
    streams: Vec<StreamId>,
    /// Of those streams, as far as they were noticed.
    changes: u64,
    clock: Interval,
    is_due: bool,
}

impl Guard {
    pub(super) fn new(gateway: Arc<Gateway>, tail: &Tail, who: Principal, token: String) -> Self {
        let mut clock = interval(LOOK_AGAIN);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut streams = vec![StreamId::workspace(who.workspace())];
        if let Some((user, session)) = who.session() {
            streams.extend([StreamId::user(user), StreamId::session(session)]);
        }
        let mut rights = tail.rights();
        let changes = rights.borrow_and_update().changes(&streams);
        Self {
            gateway,
            who,
            token,
            rights,
            streams,
            changes,
            clock,
            // What was changed before the rights were watched.
            is_due: true,
        }
    }

    /// What comes, unless the stream is over before it does.
    pub(super) async fn unless_over<O, T>(
        &mut self,
        out: &mpsc::Sender<O>,
        coming: impl Future<Output = T>,
    ) -> Result<T, End> {
        tokio::pin!(coming);
        loop {
            if self.is_due {
                // Alone, so that nothing which comes meanwhile is given out before the answer.
                self.look().await?;
                self.is_due = false;
            }
            tokio::select! {
                biased;
                () = out.closed() => return Err(End::Gone),
                () = self.gateway.live.stopping.cancelled() => return Err(End::Stopped),
                changed = self.rights.changed() => {
                    changed.map_err(|_| End::Failed)?;
                    let changes = self.rights.borrow_and_update().changes(&self.streams);
                    self.is_due |= changes != self.changes;
                    self.changes = changes;
                }
                _ = self.clock.tick() => self.is_due = true,
                come = &mut coming => return Ok(come),
            }
        }
    }

    async fn look(&self) -> Result<(), End> {
        let gateway = &self.gateway;
        let identities = &gateway.identities;
        match auth::principal(identities, &self.token, (gateway.now)()).await {
            Ok(who) if who.role() == self.who.role() => Ok(()),
            Ok(_) => Err(End::Revoked),
            Err(problem) if problem.row.code == "bad_credential" => Err(End::Revoked),
            Err(_) => Err(End::Failed),
        }
    }
}
