//! Audit records: what was refused, and what few may read, on the log before it is answered.
//!
//! Each gateway writes one stream a workspace, so that nobody is in its way. The first refusal of a kind is written at
//! once; what follows like it within a minute is counted, and written with its count when that has passed.
//!
//! **Invariant:** no privileged read is answered without its record: where the log refuses, the read is refused.
//! **Never:** more than ten thousand kinds of refusals in memory; beyond it their addresses are not told apart.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mirage_domain::audit::{self, Event};
use mirage_domain::id::{Position, StreamId, Token, Version, WorkspaceId};
use mirage_domain::role::Role;
use mirage_domain::sealed::Sealable;
use mirage_log::commit::{Actor, ActorKind, Commit, Entry, encode};
use mirage_log::{EventLog, Tip};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::auth::Principal;
use crate::error::Problem;

/// Within it, refusals of a kind are one record.
const WINDOW: Duration = Duration::from_secs(60);
/// Kinds of refusals that are counted at once.
const WINDOWS_MAX: usize = 10_000;
/// Between two looks for windows that have passed.
const TEND_EVERY: Duration = Duration::from_secs(5);

/// A request, as far as a record tells of it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Id of the operation in the description.
    pub operation: &'static str,
    /// Path and query.
    pub subject: String,
    pub from: IpAddr,
    pub traceparent: Option<String>,
}

/// Refusals of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    workspace: WorkspaceId,
    actor: Option<String>,
    role: Option<Role>,
    operation: &'static str,
    code: &'static str,
    /// None for those that are not told apart.
    from: Option<IpAddr>,
}

/// When the last record of a kind was written, and how many refusals came since.
struct Window {
    since: Instant,
    more: u64,
}

/// The stream of one workspace that this gateway writes.
struct Writing {
    stream: StreamId,
    tip: Option<Tip>,
}

/// See the module's doc.
pub struct Audit {
    log: Arc<dyn EventLog>,
    now: fn() -> Timestamp,
    streams: Mutex<HashMap<WorkspaceId, Arc<tokio::sync::Mutex<Writing>>>>,
    windows: Mutex<HashMap<Kind, Window>>,
}

impl Audit {
    pub fn new(log: Arc<dyn EventLog>, now: fn() -> Timestamp) -> Self {
        Self {
            log,
            now,
            streams: Mutex::default(),
            windows: Mutex::default(),
        }
    }

    /// Records that somebody is let in to what few may read.
    pub async fn read(&self, who: &Principal, asked: &Asked) -> Result<Position, Problem> {
        let event = audit::Read {
            operation: asked.operation.to_owned(),
            role: who.role(),
            from: asked.from.to_string().into(),
            subject: asked.subject.clone().into(),
        };
        let actor = (who.kind(), who.actor().to_owned());
        self.write(who.workspace(), actor, event.into(), &asked.traceparent)
            .await
    }

    /// Records a refusal, of somebody known or not. It stands whatever becomes of the record.
    pub async fn refused(&self, who: Option<&Principal>, code: &'static str, asked: &Asked) {
        let kind = Kind {
            workspace: who.map_or_else(WorkspaceId::system, |who| who.workspace().clone()),
            actor: who.map(|who| who.actor().to_owned()),
            role: who.map(Principal::role),
            operation: asked.operation,
            code,
            from: Some(asked.from),
        };
        if let Some((kind, count)) = self.counted(kind, Instant::now()) {
            self.tell(kind, count, &asked.traceparent).await;
        }
    }

    /// What is to be written now; nothing where the refusal was counted into a window.
    fn counted(&self, mut kind: Kind, now: Instant) -> Option<(Kind, u64)> {
        let mut windows = self.windows.lock().expect("no holder panics");
        if windows.len() >= WINDOWS_MAX && !windows.contains_key(&kind) {
            windows.retain(|_, window| !window.is_over(now) || window.more > 0);
            kind.from = kind.from.filter(|_| windows.len() < WINDOWS_MAX);
        }
        match windows.get_mut(&kind) {
            Some(window) if !window.is_over(now) => {
                window.more += 1;
                None
            }
            known => {
                let count = known.map_or(1, |window| window.more + 1);
                let (since, more) = (now, 0);
                windows.insert(kind.clone(), Window { since, more });
                Some((kind, count))
            }
        }
    }

    /// Writes what was counted in windows that have passed, until `stop`; then what there is.
    pub async fn tend(&self, stop: CancellationToken) {
        while stop
            .run_until_cancelled(tokio::time::sleep(TEND_EVERY))
            .await
            .is_some()
        {
            self.flush(|window| window.is_over(Instant::now())).await;
        }
        self.flush(|_| true).await;
    }

    async fn flush(&self, is_due: impl Fn(&Window) -> bool) {
        let due: Vec<(Kind, Window)> = {
            let mut windows = self.windows.lock().expect("no holder panics");
            windows.extract_if(|_, window| is_due(window)).collect()
        };
        for (kind, window) in due {
            if window.more > 0 {
                self.tell(kind, window.more, &None).await;
            }
        }
    }

    async fn tell(&self, kind: Kind, count: u64, traceparent: &Option<String>) {
        let from = kind
            .from
            .map_or(Sealable::Erased, |from| from.to_string().into());
        let event = audit::Refused {
            operation: kind.operation.to_owned(),
            code: kind.code.to_owned(),
            role: kind.role,
            from,
            count,
        };
        let actor = match kind.actor {
            Some(actor) if actor.starts_with("api-key:") => (ActorKind::Service, actor),
            Some(actor) => (ActorKind::User, actor),
            None => (ActorKind::User, "unknown".to_owned()),
        };
        let written = self.write(&kind.workspace, actor, event.into(), traceparent);
        if let Err(problem) = written.await {
            let cause = problem.cause.as_deref().unwrap_or_default();
            tracing::error!(
                code = kind.code,
                operation = kind.operation,
                count,
                cause,
                "a refusal is not on record"
            );
        }
    }

    async fn write(
        &self,
        workspace: &WorkspaceId,
        (kind, id): (ActorKind, String),
        event: Event,
        traceparent: &Option<String>,
    ) -> Result<Position, Problem> {
        let writing = self.stream(workspace);
        let mut writing = writing.lock().await;
        let at = (self.now)();
        let commit = Commit {
            id: Uuid::now_v7(),
            stream: writing.stream.clone(),
            version: Version(writing.tip.map_or(0, |tip| tip.version.0) + 1),
            recorded_at: at,
            actor: Actor {
                kind,
                id,
                version: None,
            },
            command: None,
            correlation: None,
            causation: None,
            traceparent: traceparent.clone(),
            prev: writing.tip.map(|tip| tip.hash),
            context: None,
            events: vec![Entry {
                event: event.into(),
                at,
            }],
        };
        let encoded = encode(&commit).map_err(|error| Problem::of("internal", &error))?;
        match self.log.append(encoded, writing.tip).await {
            Ok(tip) => {
                writing.tip = Some(tip);
                Ok(tip.position)
            }
            Err(error) => {
                // Whether it landed is not known: the next record begins another stream.
                *writing = Writing::fresh(workspace);
                Err(error.into())
            }
        }
    }

    fn stream(&self, workspace: &WorkspaceId) -> Arc<tokio::sync::Mutex<Writing>> {
        let mut streams = self.streams.lock().expect("no holder panics");
        let writing = streams.entry(workspace.clone());
        let fresh = || Arc::new(tokio::sync::Mutex::new(Writing::fresh(workspace)));
        writing.or_insert_with(fresh).clone()
    }
}

impl Window {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= WINDOW
    }
}

impl Writing {
    fn fresh(workspace: &WorkspaceId) -> Self {
        let writer = Token::new(&Uuid::now_v7().simple().to_string()).expect("hexadecimal digits");
        Self {
            stream: StreamId::audit(workspace, &writer),
            tip: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use mirage_domain::event;
    use mirage_log::memory::Memory;
    use mirage_log::{Filter, Read};

    use super::*;
    use futures::StreamExt;

    fn asked(from: u128) -> Asked {
        Asked {
            operation: "list_scans",
            subject: "/api/v1/scans".into(),
            from: IpAddr::V6(from.into()),
            traceparent: None,
        }
    }

    fn audit() -> (Arc<dyn EventLog>, Audit) {
        let log: Arc<dyn EventLog> = Arc::new(Memory::default());
        (log.clone(), Audit::new(log, Timestamp::now))
    }

    async fn counts(log: &dyn EventLog) -> Vec<u64> {
        let mut read = log.read(Position(0), Filter::All);
        let mut counts = Vec::new();
        while let Some(Ok(Read::Commit(recorded))) = read.next().await {
            for entry in &recorded.commit.events {
                if let event::Event::Audit(Event::Refused(refused)) = &entry.event {
                    counts.push(refused.count);
                }
            }
        }
        counts
    }

    #[tokio::test]
    async fn a_flood_of_refusals_is_one_record_and_a_count() {
        let (log, audit) = audit();
        for _ in 0..500 {
            audit.refused(None, "bad_credential", &asked(1)).await;
        }
        assert_eq!(counts(&*log).await, [1]);
        let stop = CancellationToken::new();
        stop.cancel();
        audit.tend(stop).await;
        assert_eq!(counts(&*log).await, [1, 499]);
    }

    #[tokio::test]
    async fn each_kind_of_refusal_is_written_by_itself() {
        let (log, audit) = audit();
        audit.refused(None, "bad_credential", &asked(1)).await;
        audit.refused(None, "bad_credential", &asked(2)).await;
        audit.refused(None, "sign_in_needed", &asked(1)).await;
        assert_eq!(counts(&*log).await, [1, 1, 1]);
    }

    #[test]
    fn a_kind_is_written_again_when_its_window_has_passed() {
        let (_, audit) = audit();
        let now = Instant::now();
        let kind = || Kind {
            workspace: WorkspaceId::system(),
            actor: None,
            role: None,
            operation: "list_scans",
            code: "forbidden",
            from: None,
        };
        let count = |after| audit.counted(kind(), now + after).map(|(_, count)| count);
        assert_eq!(count(Duration::ZERO), Some(1));
        assert_eq!(count(WINDOW / 2), None);
        assert_eq!(count(WINDOW), Some(2));
    }

    #[test]
    fn what_is_kept_is_bounded_and_nothing_uncounted() {
        let (_, audit) = audit();
        let now = Instant::now();
        let mut written = 0;
        for from in 0..3 * WINDOWS_MAX {
            let kind = Kind {
                workspace: WorkspaceId::system(),
                actor: None,
                role: None,
                operation: "list_scans",
                code: "bad_credential",
                from: Some(IpAddr::V6((from as u128).into())),
            };
            written += audit.counted(kind, now).map_or(0, |(_, count)| count);
        }
        let windows = audit.windows.lock().unwrap();
        let waiting: u64 = windows.values().map(|window| window.more).sum();
        assert!(windows.len() <= WINDOWS_MAX + 1);
        assert_eq!(written + waiting, 3 * WINDOWS_MAX as u64);
    }
}
