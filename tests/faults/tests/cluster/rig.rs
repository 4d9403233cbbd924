//! One cluster that scans the company again and again, while it is hurt as schedules say.

use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use mirage_domain::id::Position;
use mirage_faults::cluster::{Cluster, Network, Node, Watch, Wire, run, scramble, until};
use mirage_faults::scan::{Scanned, ended_once, same, scans_after};
use mirage_faults::{Appender, Ledger};
use mirage_log::EventLog;
use mirage_log::jetstream::JetStream;
use mirage_world::World;

use crate::MODULES;
use crate::fault::{Fault, Kind, NODES, Schedule, Tally};

/// Of tasks: short, since most of a schedule would be waiting for it; far longer than a busy machine keeps a node waiting.
pub(crate) const LEASE: &str = "3s";
/// Exit code of a command that could not reach a server.
const UNREACHABLE: i32 = 9;

pub(crate) struct Rig<'w> {
    cluster: Cluster,
    world: &'w World,
    /// What an undisturbed process finds there.
    wanted: &'w Scanned,
    wires: Vec<Wire>,
    nodes: Vec<Option<Node>>,
    pub log: JetStream,
    watch: Watch,
    pub ledger: Ledger,
    pub tally: Tally,
    /// Copies of deliveries that were made.
    pub copies: usize,
    /// Scans that were begun.
    pub scans: usize,
}

impl<'w> Rig<'w> {
    /// `None` where the servers cannot be had.
    pub(crate) async fn new(
        replicas: usize,
        network: Option<&Network>,
        world: &'w World,
        wanted: &'w Scanned,
    ) -> Result<Option<Self>> {
        let Some(mut cluster) = Cluster::start(replicas)? else {
            return Ok(None);
        };
        cluster.set("MIRAGE_SERVE_LEASE", LEASE);
        let wires = network
            .iter()
            .flat_map(|network| NODES.map(|_| network.wire()));
        let mut rig = Self {
            wires: wires.collect::<Result<_>>()?,
            nodes: NODES.iter().map(|_| None).collect(),
            log: cluster.log().await?,
            watch: Watch::begin(cluster.log().await?),
            cluster,
            world,
            wanted,
            ledger: Ledger::default(),
            tally: Tally::new(),
            copies: 0,
            scans: 0,
        };
        for index in 0..NODES.len() {
            rig.begin(index).await?;
        }
        Ok(Some(rig))
    }

    async fn begin(&mut self, index: usize) -> Result<()> {
        let Self { cluster, world, .. } = self;
        let (role, name) = (NODES[index], format!("{}{index}", NODES[index]));
        let node = match self.wires.get(index) {
            Some(wire) => cluster.node_at(wire, world, &name, role).await?,
            None => cluster.node(world, &name, role).await?,
        };
        self.nodes[index] = Some(node);
        Ok(())
    }

    /// Plays a schedule, waits for the end of all scans, and holds them against what there is to find.
    pub(crate) async fn play(&mut self, schedule: &Schedule) -> Result<()> {
        let began = Instant::now();
        let before = self.log.head().await?.position;
        let appender = Appender::join(&self.cluster, schedule.seed)?;
        for fault in &schedule.faults {
            self.keep_busy().await?;
            self.wait_for(fault.begins).await?;
            if self.watch.now().running().is_some() {
                *self.tally.entry(fault.kind).or_default() += 1;
            }
            let hurt = self.hurt(*fault).await;
            hurt.with_context(|| format!("{fault:?}"))?;
        }
        let over = self
            .watch
            .until("the end of all scans", |now| now.are_all_over());
        self.cluster.or_tell(over).await?;
        for said in appender.kill()? {
            self.ledger.note(said);
        }
        self.check_scans(before).await?;
        let (replicas, took) = (self.cluster.replicas(), began.elapsed());
        eprintln!("R{replicas} {schedule:?} took {took:.1?}");
        Ok(())
    }

    /// Starts a scan where none runs: a fault is to fall into one.
    async fn keep_busy(&mut self) -> Result<()> {
        if self.watch.now().running().is_some() {
            return Ok(());
        }
        self.scans += 1;
        let scans = self.scans;
        // Whoever is told that the log cannot be reached tries again; under its key it stays one scan.
        let key = format!("scan-{scans}");
        let words = ["--modules", MODULES, "--no-wait", "--idempotency-key", &key];
        until("a scan to be accepted", async || {
            let ran = run(self.cluster.scan(self.world, "me", &words)?).await?;
            let said = String::from_utf8_lossy(&ran.stderr);
            match ran.status.code() {
                Some(0) => Ok(Some(())),
                Some(UNREACHABLE) => Ok(None),
                code => bail!("{code:?}: {said}"),
            }
        })
        .await?;
        let begun = self
            .watch
            .until("a scan to begin", |now| now.started.len() >= scans);
        let begun = begun.await?.started.len();
        ensure!(begun == scans, "{begun} scans began for {scans} keys");
        Ok(())
    }

    /// Until the newest scan has found so many hundredths of all, or is over.
    async fn wait_for(&self, hundredths: u64) -> Result<()> {
        let enough = self.wanted.claims.len() * hundredths as usize / 100;
        let until = self.watch.until("the middle of a scan", |now| {
            let scan = now.running();
            scan.is_none_or(|scan| now.findings.get(scan).is_some_and(|found| *found >= enough))
        });
        self.cluster.or_tell(until).await.map(drop)
    }

    /// Does it and heals it.
    async fn hurt(&mut self, fault: Fault) -> Result<()> {
        let Fault {
            kind, node, lasts, ..
        } = fault;
        let cluster = &self.cluster;
        let wait = tokio::time::sleep(lasts);
        match kind {
            Kind::KillNode => {
                self.nodes[node].take().context("a node")?.kill()?;
                wait.await;
                self.begin(node).await?;
            }
            Kind::FreezeNode => {
                let node = self.nodes[node].as_ref().context("a node")?;
                node.signal("STOP")?;
                wait.await;
                node.signal("CONT")?;
            }
            Kind::CutNode => {
                let wire = &self.wires[node];
                wire.cut(&cluster.ports()?)?;
                wait.await;
                wire.mend()?;
            }
            Kind::KillLog => {
                let server = cluster.nats.node(self.leader().await?);
                server.kill();
                wait.await;
                server.restart();
                cluster.nats.ready();
            }
            Kind::FreezeLog => {
                let server = cluster.nats.node(self.leader().await?);
                server.stop();
                wait.await;
                server.cont();
            }
            Kind::StepDown => cluster.step_down().await?,
            Kind::KillEvidence => {
                cluster.s3.kill();
                wait.await;
                cluster.s3.restart();
            }
            Kind::FreezeEvidence => {
                cluster.s3.stop();
                wait.await;
                cluster.s3.cont();
            }
            Kind::Scramble => self.copies += scramble(cluster, lasts).await?,
        }
        Ok(())
    }

    /// The server that leads the log.
    async fn leader(&self) -> Result<usize> {
        match self.cluster.replicas() {
            1 => Ok(0),
            _ => until("a leader", async || self.cluster.leader().await).await,
        }
    }

    /// That each scan that began after this is over, every task ended once, and found what there is.
    async fn check_scans(&self, after: Position) -> Result<()> {
        check_scans(&self.log, after, self.wanted).await
    }

    /// What the projecting node folded is what anybody folds from the same log.
    pub(crate) async fn views_are_folds(&self) -> Result<()> {
        for view in ["catalog", "graph"] {
            let words = ["views", "dump", view];
            let live = self.dump("project4", &words).await?;
            let anew = self.dump("anew", &words).await?;
            ensure!(live == anew, "the view {view} is no fold of the log");
        }
        Ok(())
    }

    async fn dump(&self, name: &str, words: &[&str]) -> Result<Vec<u8>> {
        let mut command = self.cluster.command(name, words)?;
        let ran = run({
            command.stdin(Stdio::null());
            command
        })
        .await?;
        let said = String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status.success() && !ran.stdout.is_empty(), "{said}");
        Ok(ran.stdout)
    }
}

/// The whole log: its chains, what was acknowledged, and all scans.
pub(crate) async fn check(log: &dyn EventLog, ledger: &Ledger, wanted: &Scanned) -> Result<()> {
    ledger.check_log(log).await?;
    check_scans(log, Position(0), wanted).await
}

async fn check_scans(log: &dyn EventLog, after: Position, wanted: &Scanned) -> Result<()> {
    let mut scans = scans_after(log, after).await?;
    // The appender makes some up that no plan knows.
    scans.retain(|_, scan| !scan.scheduled.is_empty());
    ensure!(!scans.is_empty(), "no scan");
    for (id, scan) in scans {
        let outcome = ended_once(&scan).and_then(|()| same(&wanted.claims, &scan.claims));
        outcome.with_context(|| format!("scan {id}"))?;
    }
    Ok(())
}
