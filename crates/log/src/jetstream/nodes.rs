//! Live nodes: each tells how it is by the services protocol of NATS (ADR-32).
//!
//! Whoever asks hears those that live: `$SRV.PING|INFO|STATS`, each also with `.mirage` and `.mirage.ID`, so that `nats service stats mirage` shows the same.
//! What a node says is a hint for people: nothing is decided by it.
//! **Invariant:** whatever comes in is bounded: answers, bytes of each, nodes, and every text of a node.
//! **Never:** an answer to another subject than an inbox: a question must not make a node write into a log.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::{Client, Message, StatusCode, Subject, Subscriber};
use futures::future::BoxFuture;
use futures::stream::{StreamExt, select_all};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::ask::Cause;
use super::{JetStream, subject};
use crate::{OpenError, ReadError};

/// The name of all nodes among the services of the servers.
const SERVICE: &str = "mirage";
/// A node may take this long to find out how it is; then it says only that it lives.
const LOAD_MAX: Duration = Duration::from_millis(500);
/// Silence after an answer that ends the asking: longer than a node needs.
const QUIET: Duration = Duration::from_secs(1);
/// Nodes that are listed, and answers that are looked at; the server sends no more of them.
const NODES_MAX: usize = 1000;
const ANSWERS_MAX: usize = 2 * NODES_MAX;
/// One answer, in bytes; ours have less than one thousand.
const ANSWER_BYTES_MAX: usize = 8 * 1024;
/// One text of a node, in characters, and the number of its roles.
const TEXT_MAX: usize = 128;
const ROLES_MAX: usize = 16;

/// What a node says of itself as long as it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Of the program.
    pub version: String,
    pub roles: Vec<String>,
    pub workspace: String,
    /// Where it tells how it is, ADDRESS:PORT.
    pub listen: String,
    /// Its name in leases and claims.
    pub holder: String,
    pub started_at: Timestamp,
}

/// What a node does just now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Load {
    pub tasks: u64,
    /// 0 if it runs none.
    pub tasks_max: u64,
    pub scans: u64,
    /// 0 if it runs none.
    pub scans_max: u64,
    /// Commits that its slowest view is behind; `None` if it folds none.
    pub lag: Option<u64>,
}

/// Tells what the node does, each time that somebody asks.
pub type Look = Box<dyn Fn() -> BoxFuture<'static, Load> + Send + Sync>;

/// A node that lives, as it says itself: texts are cut, and otherwise as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    pub id: String,
    pub said: Announcement,
    /// `None` if it did not find out in time.
    pub load: Option<Load>,
}

/// A node that answers; it no longer does when this is dropped.
#[derive(Debug)]
pub struct Announced {
    pub id: String,
    answering: JoinHandle<()>,
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

impl JetStream {
    /// Answers whoever asks which nodes there are, under an id of its own, until it is dropped.
    pub async fn announce(&self, said: Announcement, look: Look) -> Result<Announced, OpenError> {
        let fail = |source| OpenError::Server {
            doing: "announcing the node",
            source,
        };
        let client = self.inner.asker.context.client();
        let id = uuid::Uuid::now_v7().simple().to_string();
        let asked = subscribe(&client, &id).await.map_err(fail)?;
        let node = Node {
            id: id.clone(),
            log: self.inner.asker.name.clone(),
            said,
            look,
        };
        let answering = tokio::spawn(node.answer(client.clone(), asked));
        let announced = Announced { id, answering };
        // Once it hears itself the server knows of it, and whoever asks from now on hears it, too.
        let itself = format!("$SRV.PING.{SERVICE}.{}", announced.id);
        let heard = client.request(itself, "".into()).await;
        heard.map_err(|error| fail(error.into()))?;
        Ok(announced)
    }

    /// The nodes of this log that answer within `wait`, in order of their start; no more than a thousand.
    pub async fn nodes(&self, wait: Duration) -> Result<Vec<NodeInfo>, ReadError> {
        let asker = &self.inner.asker;
        let heard = ask(&asker.context.client(), &asker.name, wait).await;
        heard.map_err(ReadError::Store)
    }
}

/// The questions to all services, to all nodes, and to this one.
async fn subscribe(client: &Client, id: &str) -> Result<Vec<Subscriber>, Cause> {
    let mut all = Vec::new();
    for to in [
        "$SRV.*".to_owned(),
        format!("$SRV.*.{SERVICE}"),
        format!("$SRV.*.{SERVICE}.{id}"),
    ] {
        all.push(client.subscribe(to).await?);
    }
    Ok(all)
}

struct Node {
    id: String,
    log: String,
    said: Announcement,
    look: Look,
}

impl Node {
    async fn answer(self, client: Client, asked: Vec<Subscriber>) {
        let mut asked = select_all(asked);
        while let Some(question) = asked.next().await {
            let Some(to) = question.reply.as_ref().filter(|to| is_inbox(to)) else {
                continue;
            };
            let Some(answer) = self.to(&question.subject).await else {
                continue;
            };
            if let Err(error) = client
                .publish(to.clone(), answer.to_string().into_bytes().into())
                .await
            {
                tracing::debug!(%error, "a question about this node was not answered");
            }
        }
    }

    async fn to(&self, subject: &Subject) -> Option<Value> {
        let verb = subject.split('.').nth(1)?;
        let (kind, more) = match verb {
            "PING" => ("ping", json!({})),
            "INFO" => ("info", self.info()),
            "STATS" => ("stats", self.stats().await),
            _ => return None,
        };
        let mut answer = json!({
            "type": format!("io.nats.micro.v1.{kind}_response"),
            "name": SERVICE,
            "id": self.id,
            "version": self.said.version,
            "metadata": {
                "log": self.log,
                "workspace": self.said.workspace,
                "roles": self.said.roles.join(","),
                "listen": self.said.listen,
                "holder": self.said.holder,
            },
        });
        let (all, more) = (answer.as_object_mut()?, more.as_object()?.clone());
        all.extend(more);
        Some(answer)
    }

    fn info(&self) -> Value {
        json!({ "description": "a node of Mirage", "endpoints": [self.endpoint()] })
    }

    async fn stats(&self) -> Value {
        let load = timeout(LOAD_MAX, (self.look)()).await.ok();
        let mut endpoint = self.endpoint();
        endpoint["num_requests"] = 0.into();
        endpoint["num_errors"] = 0.into();
        endpoint["last_error"] = "".into();
        endpoint["processing_time"] = 0.into();
        endpoint["average_processing_time"] = 0.into();
        endpoint["data"] = json!(load);
        json!({ "started": self.said.started_at.to_string(), "endpoints": [endpoint] })
    }

    /// A node serves nothing by requests but this; the protocol wants an endpoint to hang the numbers on.
    fn endpoint(&self) -> Value {
        let subject = format!("$SRV.STATS.{SERVICE}.{}", self.id);
        json!({ "name": "load", "subject": subject, "queue_group": "" })
    }
}

fn is_inbox(to: &Subject) -> bool {
    to.starts_with("_INBOX.")
}

async fn ask(client: &Client, log: &str, wait: Duration) -> Result<Vec<NodeInfo>, Cause> {
    let deadline = Instant::now() + wait;
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await?;
    answers.unsubscribe_after(ANSWERS_MAX as u64).await?;
    let question = format!("$SRV.STATS.{SERVICE}");
    client
        .publish_with_reply(question, inbox, "".into())
        .await?;
    client.flush().await?;
    let mut nodes = BTreeMap::new();
    let mut until = deadline;
    while let Ok(Some(answer)) = timeout_at(until, answers.next()).await {
        // The server's own answer where nobody lives.
        if answer.status == Some(StatusCode::NO_RESPONDERS) || nodes.len() == NODES_MAX {
            break;
        }
        until = deadline.min(Instant::now() + QUIET);
        if let Some(node) = heard(&answer, log) {
            // The first word counts.
            nodes.entry(node.id.clone()).or_insert(node);
        }
    }
    Ok(nodes.into_values().collect())
}

#[derive(Deserialize)]
struct Stats {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    id: String,
    version: String,
    started: Timestamp,
    metadata: Metadata,
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Metadata {
    log: String,
    workspace: String,
    roles: String,
    listen: String,
    holder: String,
}

#[derive(Deserialize)]
struct Endpoint {
    data: Option<Load>,
}

/// A node of this log; anything else is passed over.
fn heard(answer: &Message, log: &str) -> Option<NodeInfo> {
    if answer.payload.len() > ANSWER_BYTES_MAX {
        return None;
    }
    let stats: Stats = serde_json::from_slice(&answer.payload).ok()?;
    let is_node = stats.kind == "io.nats.micro.v1.stats_response" && stats.name == SERVICE;
    if !is_node || stats.metadata.log != log {
        return None;
    }
    let said = Announcement {
        version: cut(&stats.version),
        roles: stats
            .metadata
            .roles
            .split(',')
            .take(ROLES_MAX)
            .map(cut)
            .collect(),
        workspace: cut(&stats.metadata.workspace),
        listen: cut(&stats.metadata.listen),
        holder: cut(&stats.metadata.holder),
        started_at: stats.started,
    };
    Some(NodeInfo {
        id: subject::part(&stats.id).ok()?.to_owned(),
        said,
        load: stats.endpoints.first().and_then(|endpoint| endpoint.data),
    })
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}
