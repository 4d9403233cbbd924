//! async-nats alone, on a JetStream stream of the log's configuration; and where streams are led.

use anyhow::{Context as _, Result, bail};
use async_nats::jetstream::stream::{Compression, Config, DiscardPolicy};
use async_nats::jetstream::{self, context::ContextBuilder};
use async_nats::{HeaderMap, header};
use futures::{StreamExt, TryStreamExt, stream};
use mirage_log::EncodedCommit;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use super::WINDOW;

/// The bare stream's name.
pub(super) const BARE: &str = "bare";
/// How long a stream may take to have the leader that it is to have, and all its copies.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// The client alone.
#[derive(Clone)]
pub(super) struct Bare(jetstream::Context);

impl Bare {
    pub(super) async fn open(url: &str, replicas: usize) -> Result<Self> {
        let urls: Vec<&str> = url.split(',').collect();
        let client = async_nats::connect(urls).await?;
        let context = ContextBuilder::new().build(client);
        let config = Config {
            name: BARE.to_owned(),
            subjects: vec![format!("{BARE}.>")],
            discard: DiscardPolicy::New,
            max_bytes: 4 << 30,
            deny_delete: true,
            deny_purge: true,
            allow_direct: true,
            compression: Some(Compression::S2),
            num_replicas: replicas,
            ..Config::default()
        };
        context.create_stream(config).await.context("a stream")?;
        Ok(Self(context))
    }

    /// Many at once, at most [`WINDOW`] in flight.
    pub(super) async fn publish(&self, commits: &[EncodedCommit]) -> Result<()> {
        let sent = commits.iter().map(|commit| self.publish_one(commit));
        let sent = stream::iter(sent).buffer_unordered(WINDOW);
        sent.try_for_each(|()| async { Ok(()) }).await
    }

    /// One; acknowledged on return.
    pub(super) async fn publish_one(&self, commit: &EncodedCommit) -> Result<()> {
        let subject = format!("{BARE}.{}", commit.stream.to_string().replace('/', "."));
        let mut headers = HeaderMap::new();
        headers.insert(header::NATS_MESSAGE_ID, commit.id.to_string());
        // The single ones follow one another on their subject; there the position is not known here.
        if commit.prev.is_none() {
            headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
        }
        let bytes = commit.bytes.to_vec().into();
        let acknowledged = self.0.publish_with_headers(subject, headers, bytes).await?;
        acknowledged.await?;
        Ok(())
    }

    /// Which node leads a stream, from 0, once all its copies are current.
    pub(super) async fn settled(&self, stream: &str) -> Result<usize> {
        self.until(stream, |_| true).await
    }

    /// Moves a stream's leader to the node that this client is connected to.
    pub(super) async fn lead_here(&self, stream: &str) -> Result<()> {
        let here = self.0.client().server_info().server_name;
        self.until(stream, |_| true).await?;
        let subject = format!("$JS.API.STREAM.LEADER.STEPDOWN.{stream}");
        let wish = json!({ "placement": { "preferred": here } }).to_string();
        // One that leads already says no; what counts is who leads afterwards.
        self.0.client().request(subject, wish.into()).await?;
        self.until(stream, |leader| leader == here).await?;
        Ok(())
    }

    async fn until(&self, stream: &str, is_right: impl Fn(&str) -> bool) -> Result<usize> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(leader) = self.leader(stream).await
                && is_right(&leader)
            {
                // The first node of a cluster is called `n1-PORT`.
                let index = leader
                    .strip_prefix('n')
                    .and_then(|name| name.split('-').next());
                let index: usize = index.context("a name of ours")?.parse()?;
                return Ok(index - 1);
            }
            sleep(LOOK).await;
        }
        bail!("the stream {stream} does not settle within {PATIENCE:?}")
    }

    /// The leader's name if the stream has one and each copy is current.
    async fn leader(&self, stream: &str) -> Option<String> {
        let subject = format!("$JS.API.STREAM.INFO.{stream}");
        // None yet, right after a fault.
        let answer = self.0.client().request(subject, "".into()).await.ok()?;
        let told: Value = serde_json::from_slice(&answer.payload).ok()?;
        let replicas = told["cluster"]["replicas"].as_array();
        let is_current = |replica: &Value| {
            replica["current"] == true && replica["lag"].as_u64().unwrap_or(0) == 0
        };
        let are_current = replicas.is_none_or(|all| all.iter().all(is_current));
        let leader = told["cluster"]["leader"].as_str().filter(|_| are_current)?;
        Some(leader.to_owned())
    }
}
