//! A cluster of real processes: servers, and nodes of the program in their roles.
//!
//! Each node has a data directory of its own, and all share one folder of id keys, as they would share a mounted secret.

mod deliveries;
mod node;
mod told;
mod watch;
mod wire;

use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use async_nats::Client;
use futures::StreamExt;
use mirage_domain::event::Event;
use mirage_domain::id::Position;
use mirage_domain::scan;
use mirage_log::jetstream::{JetStream, Options};
use mirage_log::{EventLog, Filter, Read, Recorded};
use mirage_servers::{Nats, NatsOptions, S3};
use mirage_world::World;
use serde_json::Value;
use tempfile::TempDir;

use crate::scan::{COMPANY, bare};
use crate::{program, without_configuration};

pub use deliveries::scramble;
pub use node::{Node, PATIENCE, run, until, until_within};
pub use watch::{Progress, Watch};
pub use wire::{Network, Wire, within};

/// A log that cannot be reached is asked again after this.
const AGAIN: Duration = Duration::from_millis(100);
/// Leaves room on the servers for what lies beside the log.
const LOG_BYTES_MAX: u64 = 1 << 30;

/// See the module's doc.
pub struct Cluster {
    pub nats: Nats,
    pub s3: S3,
    replicas: usize,
    /// Beside where the servers are: variable and value.
    settings: Vec<(&'static str, String)>,
    folder: TempDir,
}

impl Cluster {
    /// The servers, or `None` where they cannot be had, which is told; `replicas` is how many keep each commit.
    pub fn start(replicas: usize) -> Result<Option<Self>> {
        Self::with(replicas, &NatsOptions::default())
    }

    /// The same, with the log's servers configured otherwise.
    pub fn with(replicas: usize, options: &NatsOptions) -> Result<Option<Self>> {
        let nats = mirage_servers::nats_with(replicas, options);
        let (Some(nats), Some(s3)) = (nats, mirage_servers::s3()) else {
            return Ok(None);
        };
        Self::over(replicas, nats, s3).map(Some)
    }

    /// On servers that are there; what they ask of their clients is for [`Self::set`] and a file at [`Self::home`].
    pub fn over(replicas: usize, nats: Nats, s3: S3) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for name in ["keys", "home"] {
            std::fs::create_dir(folder.path().join(name))?;
        }
        Ok(Self {
            nats,
            s3,
            replicas,
            settings: Vec::new(),
            folder,
        })
    }

    /// Where every node runs: a `mirage.toml` in it is read.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// All that the nodes keep and say on this machine.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sets a variable for all nodes and commands that begin after this.
    pub fn set(&mut self, variable: &'static str, value: impl Into<String>) {
        self.settings.push((variable, value.into()));
    }

    /// How many servers keep each commit.
    pub fn replicas(&self) -> usize {
        self.replicas
    }

    /// The data directory of this name; made with the keys that all share.
    pub fn data(&self, name: &str) -> Result<PathBuf> {
        let data = self.folder.path().join(name);
        if !data.exists() {
            std::fs::create_dir(&data)?;
            symlink(self.keys(), data.join("keys"))?;
        }
        Ok(data)
    }

    pub fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    /// A command as the node of this name would run it, with nothing of the tester's surroundings.
    pub fn command(&self, name: &str, words: &[&str]) -> Result<Command> {
        let mut command = Command::new(program("mirage")?);
        command.args(words).arg("--data").arg(self.data(name)?);
        self.join(&mut command);
        Ok(command)
    }

    /// Tells a command where the servers are.
    pub fn join(&self, command: &mut Command) {
        let home = self.home();
        without_configuration(command);
        command.current_dir(&home).env("HOME", &home);
        command
            .env("MIRAGE_LOG_SERVERS", self.nats.url())
            .env("MIRAGE_LOG_MONITORS", self.monitors())
            .env("MIRAGE_LOG_REPLICAS", self.replicas.to_string())
            .env("MIRAGE_LOG_MAX_BYTES", LOG_BYTES_MAX.to_string())
            .env("MIRAGE_EVIDENCE_ENDPOINT", self.s3.endpoint())
            .env("MIRAGE_EVIDENCE_BUCKET", self.s3.bucket())
            .env("MIRAGE_EVIDENCE_ACCESS_KEY", self.s3.access_key())
            .env("MIRAGE_EVIDENCE_SECRET_KEY", self.s3.secret_key())
            .envs(self.settings.iter().map(|(name, value)| (name, value)));
    }

    /// Ports of all servers, monitors included.
    pub fn ports(&self) -> Result<Vec<u16>> {
        let urls = [self.nats.url(), self.monitors(), self.s3.endpoint()];
        let ports = urls.iter().flat_map(|urls| urls.split(','));
        let ports = ports.map(|url| Ok(url.rsplit(':').next().context("a port")?.parse()?));
        ports.collect()
    }

    fn monitors(&self) -> String {
        let monitors = (0..self.replicas).map(|index| self.nats.monitor(index));
        monitors.collect::<Vec<_>>().join(",")
    }

    /// The company's scan, to be started from the directory of this name; without ports.
    pub fn scan(&self, world: &World, name: &str, words: &[&str]) -> Result<Command> {
        let mut command = bare(world, &self.data(name)?)?;
        self.join(&mut command);
        command
            .args(["--rate", "0", "--allow-private", COMPANY])
            .args(words);
        Ok(command)
    }

    /// Starts a node in some roles and waits until it tells its address; it trusts the world's certificates.
    pub async fn node(&self, world: &World, name: &str, roles: &str) -> Result<Node> {
        let command = self.serve(world, name, roles, Ipv4Addr::LOCALHOST)?;
        self.begin(name, command).await
    }

    /// The same at the end of a wire.
    pub async fn node_at(
        &self,
        wire: &Wire,
        world: &World,
        name: &str,
        roles: &str,
    ) -> Result<Node> {
        let command = self.serve(world, name, roles, wire.address())?;
        self.begin(name, wire.at_its_end(&command)).await
    }

    /// The command that [`Cluster::begin`] starts as a node, which listens at any port of this address.
    pub fn serve(&self, world: &World, name: &str, roles: &str, at: Ipv4Addr) -> Result<Command> {
        let listen = format!("{at}:0");
        let words = ["serve", "--role", roles, "--listen", &listen];
        let mut command = self.command(name, &words)?;
        command.env("SSL_CERT_FILE", world.ca_file());
        Ok(command)
    }

    /// Starts a node of this name and waits until it tells its address.
    pub async fn begin(&self, name: &str, mut command: Command) -> Result<Node> {
        command.stdin(Stdio::null());
        let node = Node::start(command, &self.folder.path().join(format!("{name}.err"))).await;
        node.with_context(|| format!("starting node {name}"))
    }

    /// Which server leads the log, as the others tell it; `None` while none does.
    pub async fn leader(&self) -> Result<Option<usize>> {
        let monitor = self.nats.monitor(0);
        let address = monitor.trim_start_matches("http://");
        let answer = node::get(address, "/jsz?accounts=true&streams=true").await?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no HTTP")?;
        let told: Value = serde_json::from_str(body)?;
        let accounts = told["account_details"].as_array().into_iter().flatten();
        let mut streams = accounts.flat_map(|account| {
            let streams = account["stream_detail"].as_array();
            streams.into_iter().flatten()
        });
        let log = streams.find(|stream| stream["name"] == Options::default().name);
        let leader = log.and_then(|log| log["cluster"]["leader"].as_str());
        // The first node of a cluster is called `n1-PORT`.
        let index = leader.and_then(|name| name.strip_prefix('n')?.split('-').next());
        let index = index.map(str::parse::<usize>).transpose()?;
        Ok(index.and_then(|index| index.checked_sub(1)))
    }

    /// Makes the log's leader hand over to another server, as soon as there is one; needs three.
    pub async fn step_down(&self) -> Result<()> {
        let client = self.client().await?;
        let name = Options::default().name;
        let subject = format!("$JS.API.STREAM.LEADER.STEPDOWN.{name}");
        until("the leader to step down", async || {
            // Nobody answers, or with an error, while they elect one.
            let Ok(answer) = client.request(subject.clone(), "".into()).await else {
                return Ok(None);
            };
            let answer: Value = serde_json::from_slice(&answer.payload)?;
            Ok((answer["success"] == true).then_some(()))
        })
        .await
    }

    /// A bare connection to the log's servers.
    async fn client(&self) -> Result<Client> {
        let urls = self.nats.url();
        let urls: Vec<&str> = urls.split(',').collect();
        Ok(async_nats::connect(&*urls).await?)
    }

    /// The log, read from here.
    pub async fn log(&self) -> Result<JetStream> {
        // As the program's `main` does; the second time there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let options = options(&self.nats.url(), &self.monitors(), self.replicas);
        Ok(JetStream::open(options).await?)
    }
}

fn options(servers: &str, monitors: &str, replicas: usize) -> Options {
    let names = |list: &str| list.split(',').map(str::to_owned).collect();
    Options {
        servers: names(servers),
        monitors: names(monitors),
        replicas,
        bytes_max: LOG_BYTES_MAX,
        ..Options::default()
    }
}

/// The log of [`Cluster::join`], for a process that is no `mirage`.
pub fn options_of_environment() -> Result<Options> {
    let variable = |name: &str| std::env::var(name).context(name.to_owned());
    Ok(options(
        &variable("MIRAGE_LOG_SERVERS")?,
        &variable("MIRAGE_LOG_MONITORS")?,
        variable("MIRAGE_LOG_REPLICAS")?.parse()?,
    ))
}

/// How far the log is, seen from outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    pub commits: u64,
    /// Findings in it, each as often as it was claimed.
    pub findings: u64,
    /// Scans that are over.
    pub over: u64,
}

/// Reads the log to its end, and waits for one that cannot be reached.
///
/// # Errors
/// A log that is damaged.
pub async fn look(log: &dyn EventLog) -> Result<Seen> {
    let (mut seen, mut position) = (Seen::default(), Position(0));
    loop {
        let mut read = log.read(position, Filter::All);
        loop {
            match read.next().await {
                Some(Ok(Read::Commit(recorded))) => {
                    position = recorded.position;
                    seen.note(&recorded);
                }
                Some(Ok(Read::CaughtUp(_))) | None => return Ok(seen),
                Some(Err(error)) if error.may_retry() => {
                    tokio::time::sleep(AGAIN).await;
                    break;
                }
                Some(Err(error)) => return Err(error.into()),
            }
        }
    }
}

impl Seen {
    fn note(&mut self, recorded: &Recorded) {
        self.commits += 1;
        for entry in &recorded.commit.events {
            match &entry.event {
                Event::Task(mirage_domain::task::Event::Found(_)) => self.findings += 1,
                Event::Scan(scan::Event::Finished(_)) => self.over += 1,
                _ => {}
            }
        }
    }
}
