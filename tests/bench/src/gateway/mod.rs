//! The gateway under load, beside the views' own answers and a command given in this process.
//!
//! The node is a process of its own in a release build and shares the two cores with the load generator; the bare side
//! asks the same views of the same data directory in one thread.

mod oha;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::module::Profile;
use mirage_domain::scan::{Limits, Origin};
use mirage_log::EventLog;
use mirage_log::commit::{Actor, ActorKind};
use mirage_log::contract::workspace;
use mirage_log::evidence::Files;
use mirage_log::keys;
use mirage_log::sqlite::Sqlite;
use mirage_projections::Runner;
use mirage_workers::node::{Caller, Commands, ScanRequest};
use mirage_workers::settings::ScanSettings;

use crate::company::beside;
use crate::row::{Row, grouped};
use crate::views::{Asked, Made};
use oha::{Load, Said};

/// Sizes, as parts of the findings that are asked for.
const PARTS: [usize; 2] = [10, 1];
/// Connections that ask at once.
const CONNECTIONS: usize = 16;
/// Questions of each kind through the gateway, and in this process.
const QUESTIONS: usize = 4_000;
const BARE_QUESTIONS: usize = 400;
/// Commands that are given, one after the other.
const COMMANDS: usize = 1_000;
/// Hosts that are asked about.
const HOSTS: usize = 200;
/// What a scan is asked for with; nobody runs it, for the node has no role but the gateway's.
const SCAN: &str = r#"{"seeds":["198.51.100.7"],"profile":"passive"}"#;

pub(crate) fn run(dir: &Path, findings: usize) -> Result<Vec<Row>> {
    let program = oha::find()?;
    let place = tempfile::tempdir_in(dir)?;
    let data = place.path();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let log: Arc<dyn EventLog> = Arc::new(Sqlite::open(data)?);
    let (mut company, mut rows) = (Made::default(), Vec::new());
    for part in PARTS {
        let size = findings / part;
        runtime.block_on(company.grow(&*log, size))?;
        runtime.block_on(Runner::open(data, log.clone())?.fold_to_head())?;
        let node = Node::start(data)?;
        rows.extend(reads(&program, &node, data, size)?);
        if part == 1 {
            rows.push(door(&program, &node)?);
            rows.push(commands(&program, &node, data, &runtime, &log)?);
        }
    }
    Ok(rows)
}

/// A node that answers and does nothing else.
struct Node {
    process: Child,
    url: String,
    key: String,
}

impl Node {
    fn start(data: &Path) -> Result<Self> {
        let mirage = beside("mirage")?;
        let command = || {
            let mut command = Command::new(&mirage);
            command.arg("--data").arg(data);
            command
        };
        let issue = [
            "api-keys", "issue", "bench", "--role", "analyst", "-o", "jsonl",
        ];
        let issued = command().args(issue).output()?;
        let key: serde_json::Value = serde_json::from_slice(&issued.stdout)
            .with_context(|| String::from_utf8_lossy(&issued.stderr).into_owned())?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        drop(listener);
        let mut serve = command();
        for rate in ["ADDRESS", "CALLER", "WORKSPACE"] {
            serve.env(format!("MIRAGE_SERVE_RATE_{rate}"), "1000000");
        }
        let process = serve
            .args(["serve", "--role", "api", "--listen", &address])
            .stderr(Stdio::null())
            .spawn()?;
        let node = Self {
            process,
            url: format!("http://{address}/api/v1"),
            key: key["api_key"].as_str().context("a key")?.to_owned(),
        };
        let until = Instant::now() + std::time::Duration::from_secs(30);
        while std::net::TcpStream::connect(&address).is_err() {
            ensure!(Instant::now() < until, "the node does not listen");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Ok(node)
    }

    fn load(&self, connections: usize, requests: usize) -> Load<'_> {
        Load {
            key: &self.key,
            connections,
            requests,
            post: None,
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Both fail only for a process that is gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads through the gateway, beside the same question to the views.
fn reads(program: &Path, node: &Node, data: &Path, findings: usize) -> Result<Vec<Row>> {
    let views = Asked::open(data)?;
    let hosts: Vec<usize> = (0..HOSTS).map(|n| n * (findings / 10 / HOSTS)).collect();
    let mut rows = Vec::new();
    for (what, url, ask) in Asked::ALL {
        let urls: Vec<String> = hosts
            .iter()
            .map(|host| node.url.clone() + &url(*host))
            .collect();
        // What is met for the first time is read from the disk, and does not count.
        oha::run(program, &urls, &node.load(CONNECTIONS, HOSTS))?;
        let said = oha::run(program, &urls, &node.load(CONNECTIONS, QUESTIONS))?;
        let begun = Instant::now();
        for host in hosts.iter().cycle().take(BARE_QUESTIONS) {
            ask(&views, *host)?;
        }
        let bare = BARE_QUESTIONS as f64 / begun.elapsed().as_secs_f64();
        let name = format!("{} findings, over REST: {what}", grouped(findings as f64));
        rows.push(Row::rates(&name, "reads", (said.per_second, bare), "–").remark(remark(&said)));
    }
    Ok(rows)
}

fn remark(said: &Said) -> String {
    format!(
        "{CONNECTIONS} at once: p50 {:.1} ms, p99 {:.1} ms; the bare one is the view's question in one thread, which the \
         load generator does not share",
        said.p50_ms, said.p99_ms
    )
}

/// What letting somebody in costs: the smallest answer to who shows a key, beside one to which nobody is let in.
fn door(program: &Path, node: &Node) -> Result<Row> {
    let urls = [format!("{}/whoami", node.url)];
    let with = oha::run(program, &urls, &node.load(CONNECTIONS, 5 * QUESTIONS))?;
    let open = [node.url.replace("/api/v1", "/healthz")];
    let without = oha::run(program, &open, &node.load(CONNECTIONS, 5 * QUESTIONS))?;
    let micros = |said: &Said| 1e6 / said.per_second;
    let row = Row::rates(
        "the door: requests with a key that are let in, against a page open to all",
        "requests",
        (with.per_second, without.per_second),
        "–",
    );
    Ok(row.remark(format!(
        "{:.0} µs of both cores more a request: rate, key, the workspace's tip, role; p99 {:.1} ms",
        micros(&with) - micros(&without),
        with.p99_ms
    )))
}

/// A command through the gateway, one after the other, beside the same one given in this process.
fn commands(
    program: &Path,
    node: &Node,
    data: &Path,
    runtime: &tokio::runtime::Runtime,
    log: &Arc<dyn EventLog>,
) -> Result<Row> {
    let load = Load {
        post: Some(SCAN),
        ..node.load(1, COMMANDS)
    };
    let said = oha::run(program, &[format!("{}/scans", node.url)], &load)?;
    let folder = data.join("keys");
    let whose = workspace();
    let key = keys::workspace(log.clone(), &folder, &whose, actor(), Timestamp::now);
    let key = runtime.block_on(key)?;
    let evidence = Arc::new(Files::open(&data.join("evidence"))?);
    let commands = Commands::new(workspace(), log.clone(), evidence, key, Timestamp::now);
    let mut times = Vec::new();
    for _ in 0..COMMANDS {
        let (request, caller) = (request(), Caller::user("bench"));
        let begun = Instant::now();
        runtime.block_on(commands.start(request, &caller))?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let bare = times[times.len() * 99 / 100];
    Ok(Row {
        what: "a scan is asked for over REST, p99".to_owned(),
        ours: format!("{:.2} ms", said.p99_ms),
        bare: format!("{bare:.2} ms (in process)"),
        ratio: Some(said.p99_ms / bare),
        wanted: "–".to_owned(),
        remark: format!(
            "one after the other, p50 {:.2} ms against {:.2} ms",
            said.p50_ms,
            times[times.len() / 2]
        ),
    })
}

fn actor() -> Actor {
    Actor {
        kind: ActorKind::Service,
        id: "bench".into(),
        version: None,
    }
}

fn request() -> ScanRequest {
    ScanRequest {
        name: String::new(),
        seeds: vec![Entity::recorded(Kind::Ip, "198.51.100.7")],
        profile: Profile::Passive,
        modules: Default::default(),
        scope: Vec::new(),
        limits: Limits::default(),
        consent: None,
        allow_private: Vec::new(),
        settings: ScanSettings::default(),
        origin: Origin::NEW,
    }
}
