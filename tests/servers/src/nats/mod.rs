//! nats-server, alone or as a cluster of three, with JetStream that syncs before it acknowledges.

mod configuration;
mod operator;

use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

pub use configuration::NatsOptions;
pub use operator::Operator;

use crate::process::{End, Failure, Launch, Process};
use crate::{Program, ledger, ports, program, wire};

/// Fetched: the newest of the first line that syncs before it acknowledges wherever it compacts.
pub const VERSION: &str = "2.15.2";
/// Accepted: older ones ignore in silence what the log asks of them.
const MINIMUM: (u32, u32) = (2, 15);

const NAME: &str = "nats";
/// A cluster elects its leader within two seconds on an idle machine.
const READY: Duration = Duration::from_secs(60);
/// Of a copy of a stream a node that was killed sometimes says for minutes that it is not current ("monitor goroutine not
/// running", 2.15.2): it is started once more after this, as its operator would do it.
const CURRENT: Duration = Duration::from_secs(15);
const TRIES: usize = 3;

/// One server, or a cluster.
pub struct Nats {
    nodes: Vec<NatsNode>,
    version: String,
}

/// One server of a cluster; its process can be killed, stopped and continued.
pub struct NatsNode {
    process: Process,
    name: String,
    client: u16,
    monitor: u16,
    /// Of its monitoring, where that is https.
    authority: Option<PathBuf>,
}

/// `nodes` servers with JetStream, or the reason is recorded and there is none.
///
/// # Panics
/// If the server is there and does not start, or is missing and required.
pub fn nats(nodes: usize) -> Option<Nats> {
    nats_with(nodes, &NatsOptions::default())
}

/// As [`nats`], configured otherwise.
pub fn nats_with(nodes: usize, options: &NatsOptions) -> Option<Nats> {
    let program = ledger::demand(NAME, find())?;
    Some(ports::with(nodes * 3, |ports| {
        start(&program, ports, options)
    }))
}

/// The server's program, for what it says by itself, or the reason is recorded and there is none.
pub fn nats_program() -> Option<Command> {
    let program = ledger::demand(NAME, find())?;
    Some(Command::new(program.path))
}

/// The first nats-server that is new enough.
pub(crate) fn find() -> Result<Program, String> {
    let mut refused = String::new();
    for path in program::candidates("nats-server", VERSION) {
        let Some(version) = program::version(&path, "--version") else {
            continue;
        };
        if program::is_at_least(&version, MINIMUM) {
            return Ok(Program { path, version });
        }
        refused = format!(" ({version} on PATH is too old)");
    }
    let (major, minor) = MINIMUM;
    Err(format!(
        "nats-server {major}.{minor} or later is missing{refused}: `cargo xtask servers fetch nats`"
    ))
}

fn start(program: &Program, ports: &[u16], options: &NatsOptions) -> Result<Nats, Failure> {
    let (clients, others) = ports.split_at(ports.len() / 3);
    let (monitors, routes) = others.split_at(clients.len());
    let nodes = (0..clients.len()).map(|index| {
        let (client, monitor) = (clients[index], monitors[index]);
        // The port makes it unique on this machine: a stranger on a taken port is not taken for ours.
        let name = format!("n{}-{client}", index + 1);
        let cluster = if clients.len() > 1 {
            configuration::cluster(routes, routes[index])
        } else {
            String::new()
        };
        let configuration =
            configuration::node(&name, client, monitor, options) + &cluster + &options.extra;
        NatsNode {
            process: node(program, &name, &configuration),
            name,
            client,
            monitor,
            authority: options.monitor_authority.clone(),
        }
    });
    let nats = Nats {
        nodes: nodes.collect(),
        version: program.version.clone(),
    };
    nats.nodes.iter().try_for_each(NatsNode::until_it_greets)?;
    if options.jetstream {
        nats.until_it_leads()?;
    }
    Ok(nats)
}

fn node(program: &Program, name: &str, configuration: &str) -> Process {
    let folder = crate::folder::new("nats");
    let file = folder.join("nats.conf");
    std::fs::write(&file, configuration).expect("a file in our own folder");
    let launch = Launch {
        program: program.path.clone(),
        arguments: vec!["--config".to_owned(), file.display().to_string()],
        environment: Vec::new(),
        user: None,
        end: End::Kill,
    };
    Process::start(&format!("nats-server {name}"), folder, launch)
}

impl Nats {
    /// All nodes, parted by commas.
    pub fn url(&self) -> String {
        let urls: Vec<String> = self.nodes.iter().map(NatsNode::url).collect();
        urls.join(",")
    }

    /// Where node `index` answers `/varz` and the like, without a slash at the end.
    pub fn monitor(&self, index: usize) -> String {
        let NatsNode {
            monitor, authority, ..
        } = &self.nodes[index];
        let scheme = match authority {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://127.0.0.1:{monitor}")
    }

    /// From 0.
    pub fn node(&self, index: usize) -> &NatsNode {
        &self.nodes[index]
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    /// Which node leads JetStream's meta group, as any node that runs tells it; `None` while there is no leader.
    pub fn leader(&self) -> Option<usize> {
        let told = self.nodes.iter().find_map(|node| {
            let cluster = node.meta_cluster()?;
            cluster["leader"].as_str().map(str::to_owned)
        })?;
        self.nodes.iter().position(|node| node.name == told)
    }

    /// Waits until JetStream takes requests on all nodes that run: after restarts.
    ///
    /// # Panics
    /// If it does not within a minute.
    pub fn ready(&self) {
        self.until_it_leads()
            .unwrap_or_else(|failure| panic!("{failure}"));
    }

    fn until_it_leads(&self) -> Result<(), Failure> {
        let running: Vec<&NatsNode> = self
            .nodes
            .iter()
            .filter(|node| node.process.is_running())
            .collect();
        for node in &running {
            let is_healthy = || node.monitored("/healthz").is_some();
            let mut tries = (1..TRIES).map(|_| node.process.until(CURRENT, is_healthy));
            while tries.next().is_some_and(|healthy| healthy.is_err()) {
                node.restart();
            }
            node.process.until(READY, is_healthy)?;
        }
        if self.nodes.len() == 1 {
            return Ok(());
        }
        // A stream of three replicas is refused until the leader has heard of three nodes.
        let followers = running.len() - 1;
        running[0].process.until(READY, || {
            let leader = self.leader().map(|index| &self.nodes[index]);
            leader.and_then(NatsNode::current_followers) == Some(followers)
        })
    }
}

impl NatsNode {
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.client)
    }

    /// Where clients connect, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.client
    }

    /// Starts it again on its store and ports (a running one is killed first) and waits until it greets clients;
    /// [`Nats::ready`] waits for the cluster.
    ///
    /// # Panics
    /// If it does not within a minute.
    pub fn restart(&self) {
        self.process.spawn();
        self.until_it_greets()
            .unwrap_or_else(|failure| panic!("{failure}"));
    }

    fn until_it_greets(&self) -> Result<(), Failure> {
        self.process.until(READY, || {
            let greeting = wire::connect(self.client).and_then(|stream| {
                let mut line = String::new();
                BufReader::new(stream).read_line(&mut line).ok()?;
                Some(line)
            });
            greeting.is_some_and(|line| line.starts_with("INFO") && line.contains(&self.name))
        })
    }

    fn current_followers(&self) -> Option<usize> {
        let cluster = self.meta_cluster()?;
        let replicas = cluster["replicas"].as_array()?;
        Some(
            replicas
                .iter()
                .filter(|replica| replica["current"] == true)
                .count(),
        )
    }

    fn monitored(&self, path: &str) -> Option<String> {
        match &self.authority {
            None => wire::get(self.monitor, path),
            Some(file) => {
                let stream = wire::connect_tls(self.monitor, file, None)?;
                wire::get_over(stream, self.monitor, path)
            }
        }
    }

    fn meta_cluster(&self) -> Option<serde_json::Value> {
        if !self.process.is_running() {
            return None;
        }
        let told = self.monitored("/jsz")?;
        let told: serde_json::Value = serde_json::from_str(&told).ok()?;
        Some(told["meta_cluster"].clone())
    }
}

impl Deref for NatsNode {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}
