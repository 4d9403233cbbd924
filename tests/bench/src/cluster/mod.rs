//! The company's scan by a cluster of real processes, beside one embedded process.
//!
//! With more and more collectors; and how fast the views catch up with a log on JetStream, beside the rate at which such
//! a scan appends.
//!
//! The company answers from this process and is counted like the others: all share the machine.

mod catch_up;
mod spent;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::StreamExt;
use jiff::Timestamp;
use mirage_domain::event::Event;
use mirage_domain::id::Position;
use mirage_domain::{plan, scan};
use mirage_faults::cluster::{Cluster, Node, run as finish};
use mirage_faults::scan::{COMPANY, bare};
use mirage_log::sqlite::Sqlite;
use mirage_log::{EventLog, Filter, Read};
use mirage_world::{Config, World};

use crate::row::{Row, grouped, median};
use spent::Spent;

const HOSTS: usize = 1_000;
const MODULES: &str = "crtsh,dns,http,tls";
/// Nodes with the role `collect`.
const COLLECTORS: [usize; 3] = [1, 2, 4];
/// Each takes its turn so often.
const ROUNDS: usize = 3;
/// The longest that a scan is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) fn run(dir: &Path, findings: usize) -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let Some(scans) = runtime.block_on(scans(dir))? else {
        return Ok(Vec::new());
    };
    let mut rows = Vec::new();
    let embedded = middle(scans.embedded);
    rows.push(row("one embedded process", &embedded, &embedded));
    let mut live: f64 = 0.0;
    for (collectors, scans) in COLLECTORS.into_iter().zip(scans.clusters) {
        let scan = middle(scans);
        live = live.max(scan.events as f64 / scan.seconds);
        let what = format!("a cluster with {collectors} collecting");
        rows.push(row(&what, &scan, &embedded));
    }
    rows.extend(catch_up::run(dir, findings, live)?);
    Ok(rows)
}

#[derive(Default)]
struct Scans {
    embedded: Vec<Scan>,
    clusters: [Vec<Scan>; COLLECTORS.len()],
}

/// One scan, as its log tells it.
#[derive(Default)]
struct Scan {
    seconds: f64,
    tasks: u64,
    findings: u64,
    events: u64,
    commits: u64,
    /// Seconds of CPU of each process.
    spent: Vec<(String, f64)>,
}

async fn scans(dir: &Path) -> Result<Option<Scans>> {
    let config = Config {
        hosts: HOSTS,
        ..Config::default()
    };
    let world = World::start(config).await?;
    let mut scans = Scans::default();
    for _ in 0..ROUNDS {
        scans.embedded.push(embedded(&world, dir).await?);
        for (collectors, scans) in COLLECTORS.into_iter().zip(&mut scans.clusters) {
            let Some(scan) = clustered(&world, collectors).await? else {
                return Ok(None);
            };
            scans.push(scan);
        }
    }
    Ok(Some(scans))
}

async fn embedded(world: &World, dir: &Path) -> Result<Scan> {
    let place = tempfile::tempdir_in(dir)?;
    let mut command = bare(world, place.path())?;
    command
        .args(["--rate", "0", "--allow-private", COMPANY])
        .args(["--modules", MODULES]);
    let mut spent = Spent::default();
    spent.add("the company", std::process::id())?;
    let mut child = command.spawn()?;
    let used = crate::scan::follow(&mut child)?;
    let mut scan = follow(&Sqlite::open(place.path())?).await?;
    scan.spent = spent.since()?;
    scan.spent.insert(0, ("the process".to_owned(), used.cpu_s));
    Ok(scan)
}

async fn clustered(world: &World, collectors: usize) -> Result<Option<Scan>> {
    let Some(cluster) = Cluster::start(1)? else {
        return Ok(None);
    };
    let mut nodes: Vec<(&str, Node)> = Vec::new();
    for role in ["orchestrate", "project"] {
        nodes.push((role, cluster.node(world, role, role).await?));
    }
    for index in 0..collectors {
        let name = format!("collect{index}");
        let node = cluster.node(world, &name, "collect");
        nodes.push(("collect", node.await?));
    }
    let log = cluster.log().await?;
    let mut spent = Spent::default();
    for (role, node) in &nodes {
        spent.add(role, node.pid())?;
    }
    spent.add("nats-server", cluster.nats.node(0).pid())?;
    spent.add("S3", cluster.s3.pid())?;
    spent.add("the company", std::process::id())?;
    let words = ["--modules", MODULES, "--no-wait"];
    start(cluster.scan(world, "me", &words)?).await?;
    let mut scan = follow(&log).await?;
    scan.spent = spent.since()?;
    Ok(Some(scan))
}

async fn start(command: Command) -> Result<()> {
    let ran = finish(command).await?;
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "the scan does not start: {said}");
    Ok(())
}

/// Reads a log until its scan is over.
async fn follow(log: &dyn EventLog) -> Result<Scan> {
    let read = tokio::time::timeout(PATIENCE, read(log)).await;
    let scan = read.context("the scan does not end")??;
    ensure!(scan.findings as usize > HOSTS, "{} findings", scan.findings);
    Ok(scan)
}

async fn read(log: &dyn EventLog) -> Result<Scan> {
    let mut read = log.read(Position(0), Filter::All);
    let (mut scan, mut started): (Scan, Option<Timestamp>) = (Scan::default(), None);
    while let Some(read) = read.next().await.transpose()? {
        let Read::Commit(recorded) = read else {
            continue;
        };
        scan.commits += 1;
        for entry in &recorded.commit.events {
            scan.events += 1;
            match &entry.event {
                Event::Scan(scan::Event::Started(_)) => started = Some(recorded.commit.recorded_at),
                Event::Plan(plan::Event::Scheduled(_)) => scan.tasks += 1,
                Event::Task(mirage_domain::task::Event::Found(_)) => scan.findings += 1,
                Event::Scan(scan::Event::Finished(_)) => {
                    let took = recorded
                        .commit
                        .recorded_at
                        .duration_since(started.context("no start")?);
                    scan.seconds = took.as_secs_f64();
                    return Ok(scan);
                }
                _ => {}
            }
        }
    }
    bail!("the log ends before its scan")
}

/// The one that took neither longest nor shortest.
fn middle(mut scans: Vec<Scan>) -> Scan {
    let seconds = median(scans.iter().map(|scan| scan.seconds).collect());
    let at = scans.iter().position(|scan| scan.seconds == seconds);
    scans.swap_remove(at.expect("the median is one of them"))
}

fn row(what: &str, scan: &Scan, embedded: &Scan) -> Row {
    let told = |scan: &Scan| {
        let rate = |count: u64| grouped(count as f64 / scan.seconds);
        let (tasks, findings) = (rate(scan.tasks), rate(scan.findings));
        format!(
            "{:.1} s, {tasks} tasks/s, {findings} findings/s",
            scan.seconds
        )
    };
    let is_embedded = std::ptr::eq(scan, embedded);
    let spent: Vec<String> = scan
        .spent
        .iter()
        .map(|(name, seconds)| format!("{name} {seconds:.1}"))
        .collect();
    let (commits, events) = (grouped(scan.commits as f64), grouped(scan.events as f64));
    Row {
        what: format!("scan of {HOSTS} hosts ({MODULES}), {what}"),
        ours: told(scan),
        bare: match is_embedded {
            true => "–".to_owned(),
            false => format!("{:.1} s (embedded)", embedded.seconds),
        },
        ratio: (!is_embedded).then_some(embedded.seconds / scan.seconds),
        wanted: "–".to_owned(),
        remark: format!(
            "{events} events in {commits} commits; seconds of CPU: {}",
            spent.join(", ")
        ),
    }
}
