//! What a seed does to a cluster: faults, where in a scan each begins, and how long it lasts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::number;

/// Clusters side by side; the seed tells which one a schedule is for.
pub(crate) const RIGS: u64 = 4;
/// Of them, those whose log is on three servers, unless `FAULT_RIGS_OF_THREE` says otherwise.
const RIGS_OF_THREE: u64 = 2;
/// Roles of the nodes; the name is the role with its index.
pub(crate) const NODES: [&str; 5] = [
    "orchestrate",
    "orchestrate",
    "collect",
    "collect",
    "project",
];
/// Where in a scan a fault begins, in hundredths of what there is to find: there is to be something left to do.
const BEGINS: std::ops::Range<u64> = 5..60;
/// Most outages are over before anybody could know.
const SHORT_MS: std::ops::Range<u64> = 100..1000;
/// Longer than the leases of tasks, and some longer than those of scans: others have taken over when the node is back.
const LONG_MS: std::ops::Range<u64> = 3500..7000;

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

    fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.below(range.end - range.start)
    }
}

/// The server of the log is the one that leads, where there are three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    KillNode,
    FreezeNode,
    /// From all servers; not from what it scans.
    CutNode,
    KillLog,
    FreezeLog,
    /// Another server leads from then on.
    StepDown,
    KillEvidence,
    FreezeEvidence,
    /// Deliveries are doubled, late and in another order.
    Scramble,
}

impl Kind {
    pub(crate) const ALL: [Self; 9] = [
        Self::KillNode,
        Self::FreezeNode,
        Self::CutNode,
        Self::KillLog,
        Self::FreezeLog,
        Self::StepDown,
        Self::KillEvidence,
        Self::FreezeEvidence,
        Self::Scramble,
    ];

    fn is_of_a_node(self) -> bool {
        matches!(self, Self::KillNode | Self::FreezeNode | Self::CutNode)
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub kind: Kind,
    /// Which one is hurt, if a node is.
    pub node: usize,
    pub begins: u64,
    pub lasts: Duration,
}

/// How often each kind fell into a scan that ran.
pub(crate) type Tally = BTreeMap<Kind, usize>;

#[derive(Debug)]
pub(crate) struct Schedule {
    pub seed: u64,
    pub faults: Vec<Fault>,
}

/// How many servers keep the log of a rig.
pub(crate) fn replicas(rig: u64) -> usize {
    let of_three = number("FAULT_RIGS_OF_THREE", RIGS_OF_THREE).min(RIGS);
    if rig < RIGS - of_three { 1 } else { 3 }
}

/// Kinds that a rig can bear.
pub(crate) fn kinds(rig: u64, with_wires: bool) -> Vec<Kind> {
    let can = |kind: &Kind| match kind {
        Kind::StepDown => replicas(rig) > 1,
        Kind::CutNode => with_wires,
        _ => true,
    };
    Kind::ALL.into_iter().filter(can).collect()
}

impl Schedule {
    /// The schedules of one rig begin with each kind in turn; whatever follows is chance.
    pub(crate) fn of(seed: u64, with_wires: bool) -> Self {
        let mut chance = Chance(seed);
        let kinds = kinds(seed % RIGS, with_wires);
        let first = kinds[(seed / RIGS) as usize % kinds.len()];
        let mut faults = vec![fault(first, &mut chance)];
        for _ in 0..chance.within(1..3) {
            let kind = kinds[chance.below(kinds.len() as u64) as usize];
            faults.push(fault(kind, &mut chance));
        }
        Self { seed, faults }
    }
}

fn fault(kind: Kind, chance: &mut Chance) -> Fault {
    let node = chance.below(NODES.len() as u64) as usize;
    let is_long = kind.is_of_a_node() && chance.below(4) == 0;
    let lasts = chance.within(if is_long { LONG_MS } else { SHORT_MS });
    Fault {
        kind,
        node,
        begins: chance.within(BEGINS),
        lasts: Duration::from_millis(lasts),
    }
}
