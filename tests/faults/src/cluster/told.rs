//! What a cluster tells of itself when it is waited for in vain: nodes, servers, open tasks.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use async_nats::jetstream;
use futures::{StreamExt, TryStreamExt};
use mirage_domain::event::Event;
use mirage_domain::id::Position;
use mirage_domain::{plan, task};
use mirage_log::{EventLog, Filter, Read, Recorded};
use serde_json::Value;

use super::{Cluster, Options, node};

/// Of what a node said, the last lines are told.
const SAID_LINES: usize = 20;
/// A server that is not well may answer never.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// What a nats-server keeps, and how well: streams, consumers and who leads them.
const STREAMS: &str = "/jsz?accounts=true&streams=true&consumers=true&config=true&raft=true";

impl Cluster {
    /// What was waited for; or, with the error, all that the cluster tells.
    pub async fn or_tell<T>(&self, waited: impl Future<Output = Result<T>>) -> Result<T> {
        match waited.await {
            Ok(seen) => Ok(seen),
            Err(error) => Err(error.context(self.told().await)),
        }
    }

    async fn told(&self) -> String {
        let mut told = self.said();
        for index in 0..self.replicas {
            let _ = write!(told, "\nnats-server {}:", index + 1);
            for path in ["/healthz", STREAMS] {
                let _ = write!(told, "\n{}", within(self.monitored(index, path)).await);
            }
        }
        let _ = write!(told, "\nin the queue: {}", within(self.queued()).await);
        let _ = write!(told, "\nopen: {}", within(self.open()).await);
        told
    }

    /// The end of what each node has said.
    fn said(&self) -> String {
        let files = std::fs::read_dir(self.folder.path()).into_iter().flatten();
        let nodes = files.flatten().map(|file| file.path());
        let nodes = nodes.filter(|path| path.extension().is_some_and(|end| end == "err"));
        let tail = |path: PathBuf| {
            let said = std::fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<&str> = said.lines().collect();
            let tail = lines[lines.len().saturating_sub(SAID_LINES)..].join("\n");
            format!("{}:\n{tail}", path.display())
        };
        nodes.map(tail).collect::<Vec<_>>().join("\n")
    }

    /// What one server's monitoring answers; of its streams one a line.
    async fn monitored(&self, index: usize, path: &str) -> Result<String> {
        let monitor = self.nats.monitor(index);
        let answer = node::get(monitor.trim_start_matches("http://"), path).await?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no HTTP")?;
        let told: Value = serde_json::from_str(body)?;
        let accounts = told["account_details"].as_array().into_iter().flatten();
        let streams = accounts.flat_map(|account| account["stream_detail"].as_array());
        let streams: Vec<String> = streams.flatten().map(Value::to_string).collect();
        Ok(match streams.is_empty() {
            true => told.to_string(),
            false => streams.join("\n"),
        })
    }

    /// The subject of every message that waits or is in somebody's hands.
    async fn queued(&self) -> Result<String> {
        let queue = jetstream::new(self.client().await?);
        let stream = queue.get_stream_no_info(format!("{}-tasks", Options::default().name));
        let subjects = stream.await?.info_with_subjects(">").await?;
        let subjects: Vec<_> = subjects.try_collect().await?;
        Ok(format!("{subjects:?}"))
    }

    /// Every task that a plan scheduled and that has not ended.
    async fn open(&self) -> Result<String> {
        let log = self.log().await?;
        let mut read = log.read(Position(0), Filter::All);
        let mut open = Open::default();
        while let Some(Read::Commit(recorded)) = read.next().await.transpose()? {
            open.apply(&recorded);
        }
        Ok(format!("{open:?}"))
    }
}

async fn within(told: impl Future<Output = Result<String>>) -> String {
    match tokio::time::timeout(ANSWER_MAX, told).await {
        Ok(Ok(told)) => told,
        Ok(Err(error)) => format!("{error:#}"),
        Err(late) => late.to_string(),
    }
}

/// How a log ends.
#[derive(Debug, Default)]
struct Open {
    position: Position,
    /// Who claimed the plan last, of each scan that is not over.
    holders: BTreeMap<String, String>,
    /// Where each task was scheduled, and what was last heard of it.
    tasks: BTreeMap<String, (Position, Option<Position>)>,
}

impl Open {
    fn apply(&mut self, recorded: &Recorded) {
        self.position = recorded.position;
        let stream = &recorded.commit.stream;
        let scan = stream.scan.as_ref().map(ToString::to_string);
        for entry in &recorded.commit.events {
            match &entry.event {
                Event::Plan(plan::Event::Scheduled(scheduled)) => {
                    let task = scheduled.task.to_string();
                    self.tasks.insert(task, (recorded.position, None));
                }
                Event::Plan(plan::Event::Claimed(claimed)) => {
                    let scan = scan.clone().unwrap_or_default();
                    self.holders.insert(scan, claimed.holder.clone());
                }
                Event::Scan(mirage_domain::scan::Event::Finished(_)) => {
                    self.holders.remove(&stream.id.to_string());
                }
                Event::Task(event) => self.hear(stream.id.as_str(), event, recorded.position),
                _ => {}
            }
        }
    }

    fn hear(&mut self, task: &str, event: &task::Event, position: Position) {
        if event.is_terminal() {
            self.tasks.remove(task);
        } else if let Some((_, heard)) = self.tasks.get_mut(task) {
            *heard = Some(position);
        }
    }
}
