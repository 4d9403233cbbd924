//! The plan's stream: decisions become events, events become commits at the plan's tip.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use mirage_domain::event::Event;
use mirage_domain::finding::Finding;
use mirage_domain::frontier::{Batch, Decision, Due};
use mirage_domain::id::{Cursor, Digest, ModuleName, Position, ScanId, StreamId, TaskId, Version};
use mirage_domain::plan::{self, Input, Scheduled};
use mirage_domain::task;
use mirage_log::commit::{Causation, Commit, Entry, encode, event_bytes};
use mirage_log::trace::Trace;
use mirage_log::{AppendError, Recorded, Tip};
use uuid::Uuid;

use super::{Error, actor};
use crate::node::Node;
use crate::seed;

/// Findings that are kept so that scheduling them needs no read.
const RECENT_MAX: usize = 16 * 1024;
/// Bytes of events after which a commit of the plan ends.
const COMMIT_BYTES: usize = 160 * 1024;
/// Keys of one task's inputs at most, so that its event fits a commit whatever a target calls its pages.
const KEYS_BYTES_MAX: usize = 64 * 1024;
/// Times that a task's end is tried against a worker that still writes.
const END_TRIES_MAX: u32 = 16;

/// What follows from a plan commit once it stands.
#[derive(Debug)]
pub(super) enum Effect {
    Deliver(TaskId),
    /// These tasks end by the orchestrator's hand.
    End(Vec<TaskId>, task::Event),
}

/// A decision as events, and what follows from them.
pub(super) struct Planned {
    pub(super) events: Vec<plan::Event>,
    pub(super) effect: Vec<Effect>,
    /// Whether a batch had to be cut, so that decisions made after it no longer hold.
    pub(super) is_cut: bool,
}

pub(super) struct Plan {
    node: Arc<Node>,
    scan: ScanId,
    /// The span in which all of it is decided.
    trace: Trace,
    stream: StreamId,
    tip: Option<Tip>,
    last_commit: Uuid,
    /// Of the commit that scheduled each open task.
    positions: HashMap<TaskId, Position>,
    /// Findings that may be due soon, with their evidence.
    recent: HashMap<Cursor, (Input, Vec<Digest>)>,
    order: VecDeque<Cursor>,
}

impl Plan {
    pub(super) fn new(node: Arc<Node>, scan: &ScanId, trace: Trace) -> Self {
        Self {
            stream: StreamId::plan(&node.workspace, scan),
            node,
            scan: scan.clone(),
            trace,
            tip: None,
            last_commit: Uuid::nil(),
            positions: HashMap::new(),
            recent: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn last_commit(&self) -> Uuid {
        self.last_commit
    }

    /// Where an open task was scheduled.
    pub(super) fn position(&self, task: &TaskId) -> Option<Position> {
        self.positions.get(task).copied()
    }

    /// The task is over: nothing will be asked about it any more.
    pub(super) fn forget(&mut self, task: &TaskId) {
        self.positions.remove(task);
    }

    /// Takes note of a plan commit from the log; false for one that was written here.
    pub(super) fn is_news(&mut self, recorded: &Recorded) -> bool {
        if self
            .tip
            .is_some_and(|tip| tip.position >= recorded.position)
        {
            return false;
        }
        let events = recorded.commit.events.iter().map(|entry| &entry.event);
        self.note(recorded.commit.id, recorded.position, events);
        self.tip = Some(recorded.tip());
        true
    }

    fn note<'a>(&mut self, commit: Uuid, at: Position, events: impl Iterator<Item = &'a Event>) {
        self.last_commit = commit;
        for event in events {
            match event {
                Event::Plan(plan::Event::Scheduled(scheduled)) => {
                    self.positions.insert(scheduled.task.clone(), at);
                }
                Event::Plan(plan::Event::Split(split)) => self.forget(&split.task),
                _ => {}
            }
        }
    }

    /// Keeps a finding at hand for the moment when it is due.
    pub(super) fn remember(&mut self, cursor: Cursor, finding: &Finding) {
        if self.order.len() >= RECENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.recent.remove(&oldest);
        }
        self.order.push_back(cursor);
        self.recent
            .insert(cursor, (input_of(finding), finding.evidence.clone()));
    }

    /// Turns a decision into events of the plan.
    pub(super) async fn resolve(&mut self, decision: Decision) -> Result<Planned, Error> {
        Ok(match decision {
            Decision::Seed(task) => deliver(Scheduled {
                task,
                module: ModuleName::new(seed::NAME).expect("a module's name"),
                module_version: seed::VERSION,
                inputs: Vec::new(),
                instead_of: None,
            }),
            Decision::Schedule(batch) => {
                let wanted = batch.due.len() + batch.again.len();
                let scheduled = self.schedule(batch).await?;
                let is_cut = scheduled.inputs.len() < wanted;
                Planned {
                    is_cut,
                    ..deliver(scheduled)
                }
            }
            Decision::Split {
                task,
                attempts,
                into,
            } => self.split(task, attempts, into).await?,
            Decision::GiveUp { task, attempts } => {
                let reason = "its attempts end without a word".into();
                let ended = task::GivenUp { attempts, reason }.into();
                let gave_up = plan::GaveUp {
                    task: task.clone(),
                    attempts,
                };
                Planned {
                    events: vec![gave_up.into()],
                    effect: vec![Effect::End(vec![task], ended)],
                    is_cut: false,
                }
            }
            Decision::Revoke { tasks, reason } => {
                let ended = task::Revoked {
                    reason: reason.into(),
                }
                .into();
                let revoked = plan::Revoked {
                    tasks: tasks.clone(),
                    reason: reason.into(),
                };
                Planned {
                    events: vec![revoked.into()],
                    effect: vec![Effect::End(tasks, ended)],
                    is_cut: false,
                }
            }
            Decision::Limit { limit, value } => Planned {
                events: vec![plan::Limited { limit, value }.into()],
                effect: Vec::new(),
                is_cut: false,
            },
            Decision::Finish(totals) => Planned {
                events: vec![plan::Finished { totals }.into()],
                effect: Vec::new(),
                is_cut: false,
            },
        })
    }

    async fn split(
        &mut self,
        task: TaskId,
        attempts: u32,
        into: Vec<Batch>,
    ) -> Result<Planned, Error> {
        let ended = task::GivenUp {
            attempts,
            reason: "split".into(),
        }
        .into();
        let split = plan::Split {
            task: task.clone(),
            attempts,
        };
        let mut planned = Planned {
            events: vec![split.into()],
            effect: vec![Effect::End(vec![task], ended)],
            is_cut: false,
        };
        for batch in into {
            let Planned { events, effect, .. } = deliver(self.schedule(batch).await?);
            planned.events.extend(events);
            planned.effect.extend(effect);
        }
        Ok(planned)
    }

    async fn schedule(&mut self, batch: Batch) -> Result<Scheduled, Error> {
        let mut inputs = batch.again;
        let mut bytes = 0;
        for due in &batch.due {
            let input = self.input(due).await?;
            bytes += input.key.open().map_or(0, String::len);
            if bytes > KEYS_BYTES_MAX && !inputs.is_empty() {
                break;
            }
            inputs.push(input);
        }
        Ok(Scheduled {
            task: batch.task,
            module: ModuleName::new(batch.manifest.name).expect("a manifest's name is an id"),
            module_version: batch.manifest.version,
            inputs,
            instead_of: batch.instead_of,
        })
    }

    async fn input(&self, due: &Due) -> Result<Input, Error> {
        let (input, evidence) = match self.recent.get(&due.cursor) {
            Some(recent) => recent.clone(),
            None => self.look_up(due.cursor).await?,
        };
        let evidence = due.evidence.and_then(|part| evidence.get(part).copied());
        Ok(Input {
            evidence,
            in_scope: due.is_in_scope,
            ..input
        })
    }

    async fn look_up(&self, cursor: Cursor) -> Result<(Input, Vec<Digest>), Error> {
        let recorded = self.node.log.commit(cursor.position).await?;
        let entry = recorded.commit.events.get(cursor.index as usize - 1);
        match entry.map(|entry| &entry.event) {
            Some(Event::Task(task::Event::Found(finding))) => {
                Ok((input_of(finding), finding.evidence.clone()))
            }
            // The frontier named this cursor because a finding stands there.
            _ => Err(mirage_log::ReadError::Absent(cursor.position).into()),
        }
    }

    /// Cuts events into commits that fit.
    pub(super) fn pack(&self, events: Vec<plan::Event>) -> Vec<Vec<plan::Event>> {
        let mut commits: Vec<Vec<plan::Event>> = Vec::new();
        let mut bytes = COMMIT_BYTES;
        for event in events {
            let size = event_bytes(&event.clone().into());
            if bytes + size > COMMIT_BYTES {
                commits.push(Vec::new());
                bytes = 0;
            }
            bytes += size;
            commits.last_mut().expect("one was just pushed").push(event);
        }
        commits
    }

    /// Appends at the plan's tip; `None` if another orchestrator was there first.
    pub(super) async fn append(
        &mut self,
        events: Vec<plan::Event>,
    ) -> Result<Option<Vec<(Cursor, plan::Event)>>, Error> {
        let id = Uuid::now_v7();
        let of_stream = events.iter().cloned().map(Event::from).collect();
        let commit = self.commit(id, self.stream.clone(), self.tip, None, of_stream);
        match self.append_patiently(encode(&commit)?, self.tip).await {
            Ok(tip) => {
                let noted = commit.events.iter().map(|entry| &entry.event);
                self.note(id, tip.position, noted);
                self.tip = Some(tip);
                let cursor = |index| Cursor {
                    position: tip.position,
                    index,
                };
                Ok(Some((1..).map(cursor).zip(events).collect()))
            }
            Err(AppendError::Conflict { .. }) => Ok(None),
            Err(error) => Err(Error::Append(error)),
        }
    }

    /// A busy or full store is given some time before the scan leaves it to a later run.
    async fn append_patiently(
        &self,
        commit: mirage_log::EncodedCommit,
        expected: Option<Tip>,
    ) -> Result<Tip, AppendError> {
        let mut tries = 0u32;
        loop {
            match self.node.log.append(commit.clone(), expected).await {
                Err(error) if error.may_retry() && tries < 5 => tries += 1,
                done => return done,
            }
            tokio::time::sleep(std::time::Duration::from_millis(100 << tries)).await;
        }
    }

    fn commit(
        &self,
        id: Uuid,
        stream: StreamId,
        tip: Option<Tip>,
        causation: Option<Causation>,
        events: Vec<Event>,
    ) -> Commit {
        let at = (self.node.now)();
        Commit {
            id,
            stream,
            version: Version(tip.map_or(0, |tip| tip.version.0) + 1),
            recorded_at: at,
            actor: actor(),
            command: None,
            correlation: Some(self.scan.to_string()),
            causation,
            traceparent: Some(self.trace.to_string()),
            prev: tip.map(|tip| tip.hash),
            context: None,
            events: events
                .into_iter()
                .map(|event| Entry { event, at })
                .collect(),
        }
    }

    /// Writes a task's terminal event, unless it has one.
    pub(super) async fn end(&mut self, task: &TaskId, event: task::Event) -> Result<(), Error> {
        self.forget(task);
        let stream = StreamId::task(&self.node.workspace, &self.scan, task);
        let causation = Some(Causation {
            commit: self.last_commit,
            index: 1,
        });
        for _ in 0..END_TRIES_MAX {
            let commits = self.node.log.read_stream(&stream, Position(0)).await?;
            let mut events = commits.iter().flat_map(|recorded| &recorded.commit.events);
            if events.any(|entry| matches!(&entry.event, Event::Task(event) if event.is_terminal()))
            {
                return Ok(());
            }
            let tip = commits.last().map(|recorded| recorded.tip());
            let id = Uuid::now_v7();
            let commit = self.commit(
                id,
                stream.clone(),
                tip,
                causation,
                vec![event.clone().into()],
            );
            match self.append_patiently(encode(&commit)?, tip).await {
                Ok(_) => return Ok(()),
                Err(AppendError::Conflict { .. }) => {}
                Err(error) => return Err(Error::Append(error)),
            }
        }
        Ok(())
    }
}

fn deliver(scheduled: Scheduled) -> Planned {
    let effect = vec![Effect::Deliver(scheduled.task.clone())];
    Planned {
        events: vec![scheduled.into()],
        effect,
        is_cut: false,
    }
}

fn input_of(finding: &Finding) -> Input {
    Input {
        entity: finding.entity,
        kind: finding.kind,
        key: finding.key.clone(),
        finding: finding.id,
        evidence: None,
        in_scope: finding.scope.is_in,
    }
}
