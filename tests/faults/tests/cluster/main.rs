//! Seeded schedules of faults over clusters that scan, and the checker afterwards.
//!
//! Several rigs, each a cluster of its own, play their share of the schedules side by side: most of a schedule is
//! waiting for leases to run out.

mod deaf;
mod fault;
mod partition;
mod planted;
mod rig;
mod sinks;

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use mirage_faults::cluster::{Network, run, within};
use mirage_faults::scan::{COMPANY, Scanned, bare, claims};
use mirage_world::{Config, World};

use fault::{Kind, RIGS, Schedule, Tally, kinds, replicas};
use rig::{Rig, check};

const MODULES: &str = "crtsh,dns,http,ports,tls";
/// Schedules, unless `FAULT_CYCLES` says otherwise.
const CYCLES: u64 = 50;
/// Of this many schedules and more, each kind of fault falls at least so often into a scan that runs.
const HITS_MIN: usize = 3;

fn number(variable: &str, default: u64) -> u64 {
    let set = std::env::var(variable).ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn a_cluster_under_schedules_of_faults_loses_nothing_and_does_nothing_twice() -> Result<()> {
    let test = "a_cluster_under_schedules_of_faults_loses_nothing_and_does_nothing_twice";
    within(test, |network| {
        let runtime = runtime()?;
        let world = runtime.block_on(World::start(Config::default()))?;
        let wanted = runtime.block_on(undisturbed(&world))?;
        let bench = Bench {
            network: network.as_ref(),
            world: &world,
            wanted: &wanted,
            has_failed: AtomicBool::new(false),
        };
        bench.play_all()
    })
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

/// What all rigs share.
struct Bench<'a> {
    network: Option<&'a Network>,
    world: &'a World,
    wanted: &'a Scanned,
    has_failed: AtomicBool,
}

/// What came of one rig, if there were servers for it.
type Played = Result<Option<Tally>>;

impl Bench<'_> {
    fn play_all(&self) -> Result<()> {
        let (began, cycles, first) = (
            Instant::now(),
            number("FAULT_CYCLES", CYCLES),
            number("FAULT_SEED", 1),
        );
        let seeds: Vec<u64> = (first..first + cycles).collect();
        let played: Vec<Played> = thread::scope(|scope| {
            let of = |rig| seeds.iter().copied().filter(move |seed| seed % RIGS == rig);
            let rigs = (0..RIGS).map(|rig| (rig, of(rig).collect::<Vec<u64>>()));
            let rigs = rigs.filter(|(_, seeds)| !seeds.is_empty());
            let rigs = rigs.map(|(rig, seeds)| scope.spawn(move || self.play(rig, &seeds)));
            let rigs: Vec<_> = rigs.collect();
            let ends = rigs.into_iter().map(|rig| rig.join().expect("it panicked"));
            ends.collect()
        });
        let mut total = Tally::new();
        for tally in played.into_iter().collect::<Result<Vec<_>>>()? {
            let Some(tally) = tally else { return Ok(()) };
            for (kind, hits) in tally {
                *total.entry(kind).or_default() += hits;
            }
        }
        eprintln!("{cycles} schedules in {:.0?}: {total:?}", began.elapsed());
        self.all_kinds_are_hit(cycles, &total)
    }

    fn all_kinds_are_hit(&self, cycles: u64, total: &Tally) -> Result<()> {
        let kinds = (0..RIGS).flat_map(|rig| kinds(rig, self.network.is_some()));
        for kind in kinds {
            let hits = total.get(&kind).copied().unwrap_or_default();
            let is_enough = cycles < CYCLES || hits >= HITS_MIN;
            ensure!(is_enough, "{kind:?} fell into {hits} scans");
        }
        Ok(())
    }

    /// One rig's share.
    fn play(&self, rig: u64, seeds: &[u64]) -> Played {
        let played = runtime()?.block_on(self.play_seeds(rig, seeds));
        if played.is_err() {
            self.has_failed.store(true, Ordering::Relaxed);
        }
        played
    }

    async fn play_seeds(&self, rig: u64, seeds: &[u64]) -> Played {
        let Self {
            network,
            world,
            wanted,
            ..
        } = *self;
        let Some(mut rig) = Rig::new(replicas(rig), network, world, wanted).await? else {
            return Ok(None);
        };
        for seed in seeds {
            if self.has_failed.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let schedule = Schedule::of(*seed, network.is_some());
            let played = rig.play(&schedule).await;
            played.with_context(|| format!("{schedule:?}"))?;
        }
        check(&rig.log, &rig.ledger, wanted).await?;
        rig.views_are_folds().await?;
        let acknowledged = rig.ledger.len();
        ensure!(acknowledged > seeds.len(), "{acknowledged} acknowledged");
        ensure!(rig.ledger.late.is_empty(), "{:?}", rig.ledger.late);
        let is_scrambled = rig.tally.contains_key(&Kind::Scramble);
        ensure!(!is_scrambled || rig.copies > 0, "no delivery was copied");
        eprintln!(
            "{} scans, {acknowledged} acknowledged, {} copies",
            rig.scans, rig.copies
        );
        planted::are_found(&rig.log, rig.ledger, wanted).await?;
        Ok(Some(rig.tally))
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(1).enable_all().build()?)
}
