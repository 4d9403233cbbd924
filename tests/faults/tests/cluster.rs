//! Seeded schedules of faults over a cluster that scans, and the checker afterwards.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use mirage_domain::event::Event;
use mirage_domain::id::{Position, ScanId};
use mirage_faults::cluster::{Cluster, Node, look, run, until};
use mirage_faults::scan::{COMPANY, claims};
use mirage_faults::scan::{Scanned, bare, ended_once, same, scans_of};
use mirage_faults::{Appender, Ledger};
use mirage_log::contract::commit_of;
use mirage_log::{EventLog, Filter, Read};
use mirage_world::{Config, World};

/// Schedules; more by `FAULT_CYCLES`.
fn cycles() -> u64 {
    let set = std::env::var("FAULT_CYCLES").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Where the schedules begin; another one by `FAULT_SEED`.
fn seed() -> u64 {
    let set = std::env::var("FAULT_SEED").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Faults of one schedule.
const FAULTS: usize = 6;
const MODULES: &str = "crtsh,dns,http,ports,tls";
/// Roles of the nodes; the name is the role with its index.
const NODES: [&str; 5] = [
    "orchestrate",
    "orchestrate",
    "collect",
    "collect",
    "project",
];

/// SplitMix64 (Steele, Lea, Flood 2014): the same seed, the same schedule.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    KillNode(usize),
    FreezeNode(usize),
    KillLog,
    FreezeLog,
    KillEvidence,
}

impl Fault {
    fn any(chance: &mut Chance) -> Self {
        let node = chance.below(NODES.len() as u64) as usize;
        match chance.below(8) {
            0..=2 => Self::KillNode(node),
            3 | 4 => Self::FreezeNode(node),
            5 => Self::KillLog,
            6 => Self::FreezeLog,
            _ => Self::KillEvidence,
        }
    }
}

struct Rig {
    cluster: Cluster,
    world: World,
    nodes: Vec<Option<Node>>,
    /// That were started.
    scans: u64,
}

impl Rig {
    async fn new(world: World) -> Result<Option<Self>> {
        let Some(cluster) = Cluster::start(1)? else {
            return Ok(None);
        };
        let nodes = NODES.iter().map(|_| None).collect();
        let mut rig = Self {
            cluster,
            world,
            nodes,
            scans: 0,
        };
        for index in 0..NODES.len() {
            rig.begin(index).await?;
        }
        Ok(Some(rig))
    }

    async fn begin(&mut self, index: usize) -> Result<()> {
        let (role, name) = (NODES[index], format!("{}{index}", NODES[index]));
        self.nodes[index] = Some(self.cluster.node(&self.world, &name, role).await?);
        Ok(())
    }

    /// Does it and heals it after so long.
    async fn hurt(&mut self, fault: Fault, outage: Duration) -> Result<()> {
        let log = self.cluster.nats.node(0);
        let wait = tokio::time::sleep(outage);
        match fault {
            Fault::KillNode(index) => {
                let node = self.nodes[index].take().context("a node")?;
                node.kill()?;
                wait.await;
                self.begin(index).await?;
            }
            Fault::FreezeNode(index) => {
                let node = self.nodes[index].as_ref().context("a node")?;
                node.signal("STOP")?;
                wait.await;
                node.signal("CONT")?;
            }
            Fault::KillLog => {
                log.kill();
                wait.await;
                log.restart();
                self.cluster.nats.ready();
            }
            Fault::FreezeLog => {
                log.stop();
                wait.await;
                log.cont();
            }
            Fault::KillEvidence => {
                self.cluster.s3.kill();
                wait.await;
                self.cluster.s3.restart();
            }
        }
        Ok(())
    }

    /// Starts a scan where all are over: a fault is to fall into one.
    async fn keep_busy(&mut self, log: &dyn EventLog) -> Result<()> {
        if look(log).await?.over < self.scans {
            return Ok(());
        }
        self.scans += 1;
        let words = ["--modules", MODULES, "--no-wait"];
        let ran = run(self.cluster.scan(&self.world, "me", &words)?).await?;
        let said = String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status.success(), "{said}");
        Ok(())
    }
}

/// What one process finds in the world without a fault.
async fn undisturbed(world: &World) -> Result<Scanned> {
    let data = tempfile::tempdir()?;
    let mut command = bare(world, data.path())?;
    command
        .args(["--rate", "0", "--allow-private", COMPANY])
        .args(["--modules", MODULES])
        .stderr(Stdio::null());
    let ran = run(command).await?;
    ensure!([Some(0), Some(7)].contains(&ran.status.code()), "{ran:?}");
    let (claims, is_over) = claims(data.path()).await?;
    ensure!(is_over && claims.len() > 100, "{} claims", claims.len());
    Ok(Scanned {
        claims,
        is_over,
        ..Scanned::default()
    })
}

/// The scans of a log that the appender did not make up.
async fn real(log: &dyn EventLog) -> Result<BTreeMap<ScanId, Scanned>> {
    let mut scans = scans_of(log).await?;
    scans.retain(|_, scan| !scan.scheduled.is_empty());
    Ok(scans)
}

async fn check(log: &dyn EventLog, ledger: &Ledger, wanted: &Scanned) -> Result<()> {
    ledger.check_log(log).await?;
    for (id, scan) in real(log).await? {
        let outcome = ended_once(&scan).and_then(|()| same(&wanted.claims, &scan.claims));
        outcome.with_context(|| format!("scan {id}"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_under_a_schedule_of_faults_loses_nothing_and_does_nothing_twice() -> Result<()> {
    let config = Config {
        hosts: 60,
        ..Config::default()
    };
    let world = World::start(config).await?;
    let wanted = undisturbed(&world).await?;
    let Some(mut rig) = Rig::new(world).await? else {
        return Ok(());
    };
    let log = rig.cluster.log().await?;
    let mut ledger = Ledger::default();
    for cycle in 0..cycles() {
        let seed = seed() + cycle;
        let mut chance = Chance(seed);
        let appender = Appender::join(&rig.cluster, seed)?;
        let mut done = Vec::new();
        for _ in 0..FAULTS {
            let pause = Duration::from_millis(chance.below(1200));
            let outage = Duration::from_millis(100 + chance.below(3000));
            let fault = Fault::any(&mut chance);
            done.push((pause, fault, outage));
            rig.keep_busy(&log).await?;
            tokio::time::sleep(pause).await;
            rig.hurt(fault, outage).await?;
        }
        let ended = until("the end of all scans", async || {
            Ok((look(&log).await?.over == rig.scans).then_some(()))
        });
        ended.await.with_context(|| format!("{seed}: {done:?}"))?;
        let said = appender.kill()?;
        said.into_iter().for_each(|said| ledger.note(said));
        let checked = check(&log, &ledger, &wanted).await;
        checked.with_context(|| format!("{seed}: {done:?}"))?;
        let (scans, acknowledged) = (rig.scans, ledger.len());
        eprintln!("seed {seed}: {scans} scans, {acknowledged} acknowledged, {done:?}");
    }
    ensure!(ledger.len() > 50, "{} acknowledged", ledger.len());
    ensure!(ledger.late.is_empty(), "{:?}", ledger.late);
    planted_faults_are_found(&log, ledger, &wanted).await
}

/// A checker that was never seen to refuse proves nothing.
async fn planted_faults_are_found(
    log: &dyn EventLog,
    mut ledger: Ledger,
    wanted: &Scanned,
) -> Result<()> {
    let mut short = wanted.clone();
    short.claims.pop_first();
    let found = check(log, &ledger, &short)
        .await
        .expect_err("the fault is planted");
    ensure!(format!("{found:#}").contains("gained"), "{found:#}");

    end_a_task_again(log).await?;
    let found = check(log, &ledger, wanted)
        .await
        .expect_err("the fault is planted");
    ensure!(
        format!("{found:#}").contains("did not end once"),
        "{found:#}"
    );

    ledger.plant("00000000-0000-0000-0000-000000000000", 1);
    let found = check(log, &ledger, wanted)
        .await
        .expect_err("the fault is planted");
    ensure!(
        format!("{found:#}").contains("acknowledged and lost"),
        "{found:#}"
    );
    Ok(())
}

/// Appends to a task's stream the end that it has already.
async fn end_a_task_again(log: &dyn EventLog) -> Result<()> {
    let mut read = log.read(Position(0), Filter::All);
    while let Some(Read::Commit(recorded)) = read.next().await.transpose()? {
        let mut events = recorded.commit.events.iter().map(|entry| &entry.event);
        let end = events.find(|event| matches!(event, Event::Task(task) if task.is_terminal()));
        let Some(end) = end else { continue };
        let tip = Some(recorded.tip());
        let twice = commit_of(recorded.commit.stream.clone(), tip, vec![end.clone()]);
        log.append(mirage_log::commit::encode(&twice)?, tip).await?;
        return Ok(());
    }
    anyhow::bail!("no task has ended")
}
