//! The frontier against a made-up world: same set for any interleaving, bounded, resumable.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::entity::Entity;
use crate::finding::Parent;
use crate::id::{FindingId, IdKey, ModuleName, Position, WorkspaceId};
use crate::module::{Profile, Reach};
use crate::plan::Scheduled;
use crate::relation::Direction;
use crate::scope::Decision as InScope;
use crate::sealed::Sealable;

static NAMES: Manifest = Manifest {
    name: "names",
    consumes: &[Kind::Domain],
    produces: &[Kind::Domain],
    reach: Reach::AllNames,
    ..Manifest::DEFAULT
};
static ADDRESSES: Manifest = Manifest {
    name: "addresses",
    consumes: &[Kind::Domain],
    produces: &[Kind::Ip],
    profile: Profile::Standard,
    ..Manifest::DEFAULT
};
static READER: Manifest = Manifest {
    name: "reader",
    consumes: &[Kind::Ip],
    produces: &[Kind::Domain],
    reads: Reads::Evidence,
    ..Manifest::DEFAULT
};

/// A log of one scan in memory, and the workers of a made-up world.
struct Simulation {
    key: IdKey,
    scan: ScanId,
    frontier: Frontier,
    log: Vec<(StreamId, Event)>,
    random: u64,
    ran: BTreeSet<(&'static str, String)>,
}

type Claim = (Kind, String, Relation, bool, Vec<Digest>);

impl Simulation {
    fn new(seed: u64, limits: Limits) -> Self {
        let workspace = WorkspaceId::new("w").unwrap();
        let scan = ScanId::derive(&workspace, "a", "k");
        let frontier = Self::fold(&scan);
        let (key, random) = (IdKey::new([7; 32]), seed | 1);
        let mut simulation = Self {
            key,
            scan,
            frontier,
            log: Vec::new(),
            random,
            ran: BTreeSet::new(),
        };
        simulation.push_scan(scan::Started {}.into());
        simulation.frontier.limits = limits;
        simulation.push_plan(
            plan::Claimed {
                holder: "test".into(),
            }
            .into(),
        );
        simulation
    }

    fn fold(scan: &ScanId) -> Frontier {
        Frontier::new(scan.clone(), [&NAMES, &ADDRESSES, &READER])
    }

    fn workspace() -> WorkspaceId {
        WorkspaceId::new("w").unwrap()
    }

    fn push(&mut self, stream: StreamId, event: Event) {
        let cursor = Cursor {
            position: Position(self.log.len() as u64),
            index: 1,
        };
        self.frontier
            .apply(&stream, &event, cursor, Timestamp::UNIX_EPOCH);
        self.log.push((stream, event));
    }
    fn push_scan(&mut self, event: scan::Event) {
        self.push(StreamId::scan(&Self::workspace(), &self.scan), event.into());
    }
    fn push_plan(&mut self, event: plan::Event) {
        self.push(StreamId::plan(&Self::workspace(), &self.scan), event.into());
    }
    fn push_task(&mut self, task: &TaskId, event: task::Event) {
        self.push(
            StreamId::task(&Self::workspace(), &self.scan, task),
            event.into(),
        );
    }

    /// A xorshift: the tests' only source of disorder.
    fn random(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % below as u64) as usize
    }

    /// What a module finds: a web of names with shortcuts, so that depths change when findings come in another order.
    fn world(module: &str, key: &str) -> Vec<Claim> {
        let number = |key: &str| {
            key.trim_start_matches('n')
                .split('.')
                .next()?
                .parse::<u64>()
                .ok()
        };
        let Some(n) = number(key) else {
            return Vec::new();
        };
        let name = |n: u64| format!("n{n}.example.com");
        match module {
            "names" => [n * 2 + 1, n * 3 + 1, n.saturating_sub(5)]
                .into_iter()
                .filter(|m| *m < 150 && *m != n)
                .map(|m| {
                    (
                        Kind::Domain,
                        name(m),
                        Relation::SubdomainOf,
                        true,
                        Vec::new(),
                    )
                })
                .chain([(
                    Kind::Domain,
                    format!("n{n}.other.net"),
                    Relation::AliasOf,
                    false,
                    vec![],
                )])
                .collect(),
            "addresses" => {
                let evidence = vec![Digest::of(&(n / 4).to_be_bytes())];
                vec![(
                    Kind::Ip,
                    format!("192.0.2.{}", n % 200),
                    Relation::ResolvesTo,
                    true,
                    evidence,
                )]
            }
            _ => Vec::new(),
        }
    }

    fn finding(&self, module: &'static str, input: Option<&Input>, claim: Claim) -> Finding {
        let (kind, key, relation, is_in, evidence) = claim;
        let entity = Entity::recorded(kind, &key).id(&self.key);
        let module = ModuleName::new(module).unwrap();
        let relation = input.map(|_| relation);
        let parent = input.map(|input| Parent {
            entity: input.entity,
            finding: input.finding,
        });
        let edge = relation.map(|relation| (relation, Direction::Out));
        let parent_entity = parent.map(|parent| parent.entity);
        Finding {
            id: FindingId::derive(&self.scan, &module, parent_entity, edge, entity),
            entity,
            kind,
            key: Sealable::Open(key),
            parent,
            relation,
            direction: Direction::Out,
            scope: InScope {
                is_in,
                rule: "test".into(),
            },
            confidence: 100,
            attributes: Sealable::default(),
            evidence,
        }
    }

    /// Turns what is due at a cursor into an input, as an orchestrator does.
    fn input(&self, due: &Due) -> Input {
        let (_, event) = &self.log[due.cursor.position.0 as usize];
        let Event::Task(task::Event::Found(finding)) = event else {
            panic!("no finding there")
        };
        Input {
            entity: finding.entity,
            kind: finding.kind,
            key: finding.key.clone(),
            finding: finding.id,
            evidence: due.evidence.map(|part| finding.evidence[part]),
            in_scope: due.is_in_scope,
        }
    }

    fn schedule(&mut self, batch: Batch) {
        let mut inputs: Vec<Input> = batch.due.iter().map(|due| self.input(due)).collect();
        inputs.extend(batch.again);
        let module = ModuleName::new(batch.manifest.name).unwrap();
        let Batch {
            task, instead_of, ..
        } = batch;
        self.push_plan(
            Scheduled {
                task,
                module,
                module_version: 1,
                inputs,
                instead_of,
            }
            .into(),
        );
    }

    /// One step: decides all there is, then some open task runs to its end. False when the scan is over.
    fn step(&mut self) -> bool {
        for decision in self.frontier.decide(Timestamp::UNIX_EPOCH) {
            match decision {
                Decision::Seed(task) => {
                    let module = ModuleName::new("seed").unwrap();
                    let inputs = Vec::new();
                    self.push_plan(
                        Scheduled {
                            task,
                            module,
                            module_version: 1,
                            inputs,
                            instead_of: None,
                        }
                        .into(),
                    );
                }
                Decision::Schedule(batch) => self.schedule(batch),
                Decision::Limit { limit, value } => {
                    self.push_plan(plan::Limited { limit, value }.into())
                }
                Decision::Finish(totals) => self.push_plan(plan::Finished { totals }.into()),
                Decision::Revoke { tasks, reason } => {
                    self.push_plan(
                        plan::Revoked {
                            tasks,
                            reason: reason.into(),
                        }
                        .into(),
                    );
                }
                Decision::Split {
                    task,
                    attempts,
                    into,
                } => {
                    self.push_plan(plan::Split { task, attempts }.into());
                    into.into_iter().for_each(|batch| self.schedule(batch));
                }
                Decision::GiveUp { task, attempts } => {
                    self.push_plan(plan::GaveUp { task, attempts }.into());
                }
            }
        }
        let open: Vec<Scheduled> = self
            .frontier
            .open()
            .map(|open| open.scheduled.clone())
            .collect();
        if open.is_empty() {
            return !self.frontier.is_plan_finished();
        }
        let at = self.random(open.len());
        self.run(&open[at].clone());
        true
    }

    fn run(&mut self, scheduled: &Scheduled) {
        let mut findings = Vec::new();
        if scheduled.module.as_str() == "seed" {
            let seed = (
                Kind::Domain,
                "n40.example.com".to_owned(),
                Relation::About,
                true,
                vec![],
            );
            findings.push(self.finding("seed", None, seed));
        }
        for input in &scheduled.inputs {
            let key = input.key.open().unwrap().clone();
            let module = [&NAMES, &ADDRESSES, &READER]
                .into_iter()
                .find(|manifest| manifest.name == scheduled.module.as_str())
                .unwrap();
            let evidence = input
                .evidence
                .map(|hash| hash.to_string())
                .unwrap_or_default();
            let is_news = self.ran.insert((module.name, format!("{key} {evidence}")));
            assert!(
                is_news || scheduled.instead_of.is_some(),
                "{} twice on {key}",
                module.name
            );
            for claim in Self::world(module.name, &key) {
                findings.push(self.finding(module.name, Some(input), claim));
            }
        }
        while !findings.is_empty() {
            let at = self.random(findings.len());
            let finding = findings.swap_remove(at);
            self.push_task(&scheduled.task, task::Event::Found(finding));
        }
        let cost = task::Cost {
            requests: 1,
            ..Default::default()
        };
        self.push_task(
            &scheduled.task,
            task::Finished {
                cost,
                findings: 0,
                failures: Vec::new(),
            }
            .into(),
        );
    }

    fn set(&self) -> BTreeSet<FindingId> {
        let finding = |(_, event): &(StreamId, Event)| match event {
            Event::Task(task::Event::Found(finding)) => Some(finding.id),
            _ => None,
        };
        self.log.iter().filter_map(finding).collect()
    }

    fn finish(mut self) -> Self {
        let mut steps = 0;
        while self.step() {
            steps += 1;
            assert!(steps < 100_000, "the scan does not end");
        }
        self
    }

    /// Goes on until a task of several inputs is open.
    fn until_a_batch_is_open(&mut self) -> Scheduled {
        loop {
            self.step();
            for decision in self.frontier.decide(Timestamp::UNIX_EPOCH) {
                if let Decision::Schedule(batch) = decision {
                    self.schedule(batch);
                }
            }
            let is_batch = |open: &&OpenTask| open.scheduled.inputs.len() > 1;
            if let Some(open) = self.frontier.open().find(is_batch) {
                return open.scheduled.clone();
            }
        }
    }

    /// The log so far, folded anew: what another process knows after a crash.
    fn refold(&mut self) {
        let limits = self.frontier.limits;
        let mut frontier = Self::fold(&self.scan);
        frontier.limits = limits;
        for (at, (stream, event)) in self.log.iter().enumerate() {
            let cursor = Cursor {
                position: Position(at as u64),
                index: 1,
            };
            frontier.apply(stream, event, cursor, Timestamp::UNIX_EPOCH);
        }
        self.frontier = frontier;
    }
}

#[test]
fn two_hundred_interleavings_find_the_same_set() {
    for limits in [
        Limits::default(),
        Limits {
            depth: Some(4),
            ..Limits::default()
        },
    ] {
        let first = Simulation::new(1, limits).finish();
        assert!(first.set().len() > 20);
        for seed in 2..=200 {
            let other = Simulation::new(seed * 7919, limits).finish();
            assert_eq!(other.ran, first.ran, "seed {seed}");
            assert_eq!(other.set(), first.set(), "seed {seed}");
        }
    }
}

#[test]
fn a_fold_of_the_log_decides_as_the_live_one() {
    for limits in [
        Limits::default(),
        Limits {
            depth: Some(4),
            ..Limits::default()
        },
    ] {
        let undisturbed = Simulation::new(1, limits).finish();
        for seed in [5, 6, 7] {
            let mut simulation = Simulation::new(seed, limits);
            while simulation.step() {
                simulation.refold();
            }
            assert_eq!(simulation.set(), undisturbed.set());
            assert_eq!(simulation.ran, undisturbed.ran);
        }
    }
}

#[test]
fn a_crash_in_the_middle_of_a_split_loses_no_input() {
    let mut simulation = Simulation::new(9, Limits::default());
    let open = simulation.until_a_batch_is_open();
    // The split stands; the tasks that were to follow it do not.
    simulation.push_plan(
        plan::Split {
            task: open.task.clone(),
            attempts: 2,
        }
        .into(),
    );
    simulation.refold();
    let ran = simulation.finish().ran;
    assert_eq!(ran, Simulation::new(1, Limits::default()).finish().ran);
}

#[test]
fn a_depth_limit_cuts_and_is_recorded() {
    let limits = Limits {
        depth: Some(1),
        ..Limits::default()
    };
    let cut = Simulation::new(3, limits).finish();
    assert_eq!(cut.frontier.outcome(), scan::Outcome::Limited);
    let limited = plan::Limited {
        limit: Limit::Depth,
        value: 1,
    };
    assert!(
        cut.log
            .iter()
            .any(|(_, event)| *event == Event::Plan(limited.clone().into()))
    );
}

#[test]
fn a_request_budget_stops_scheduling() {
    let limits = Limits {
        requests: Some(3),
        ..Limits::default()
    };
    let cut = Simulation::new(3, limits).finish();
    assert_eq!(cut.frontier.outcome(), scan::Outcome::Limited);
    assert!(cut.set().len() < Simulation::new(3, Limits::default()).finish().set().len());
}

#[test]
fn a_request_that_the_budget_refused_is_a_limit_that_cut() {
    let limits = Limits {
        requests: Some(1_000),
        ..Limits::default()
    };
    let mut simulation = Simulation::new(3, limits);
    simulation.step();
    let failure = task::Failure {
        entity: EntityId([1; 16]),
        finding: FindingId([1; 16]),
        reason: "budget".into(),
        detail: String::from("max-requests").into(),
    };
    let task = TaskId::derive(&simulation.scan, 99);
    let cost = task::Cost::default();
    let finished = task::Finished {
        cost,
        findings: 0,
        failures: vec![failure],
    };
    simulation.push_task(&task, finished.into());
    assert_eq!(
        simulation.finish().frontier.outcome(),
        scan::Outcome::Limited
    );
}

#[test]
fn a_paused_scan_schedules_nothing_and_a_stopped_one_revokes_and_ends() {
    let mut simulation = Simulation::new(3, Limits::default());
    simulation.step();
    simulation.push_scan(scan::Paused {}.into());
    assert!(simulation.frontier.decide(Timestamp::UNIX_EPOCH).is_empty());
    simulation.push_scan(scan::Resumed { failed: false }.into());
    let decided = simulation.frontier.decide(Timestamp::UNIX_EPOCH);
    assert!(matches!(decided[..], [Decision::Schedule(_), ..]));
    for decision in decided {
        let Decision::Schedule(batch) = decision else {
            panic!("{decision:?}")
        };
        simulation.schedule(batch);
    }
    simulation.push_scan(scan::StopRequested {}.into());
    let decided = simulation.frontier.decide(Timestamp::UNIX_EPOCH);
    assert!(matches!(
        &decided[..],
        [Decision::Revoke {
            reason: "stopped",
            ..
        }]
    ));
    assert_eq!(
        simulation.finish().frontier.outcome(),
        scan::Outcome::Stopped
    );
}

#[test]
fn the_time_limit_is_recorded_and_revokes() {
    let limits = Limits {
        time_s: Some(60),
        ..Limits::default()
    };
    let mut simulation = Simulation::new(3, limits);
    simulation.step();
    let late = Timestamp::from_second(60).unwrap();
    assert_eq!(simulation.frontier.deadline(), Some(late));
    let decided = simulation.frontier.decide(late);
    assert!(matches!(
        decided[0],
        Decision::Limit {
            limit: Limit::Time,
            value: 60
        }
    ));
}

#[test]
fn a_batch_that_dies_twice_is_split_and_a_single_one_is_given_up_late() {
    let mut simulation = Simulation::new(9, Limits::default());
    let open = simulation.until_a_batch_is_open();
    assert!(simulation.frontier.recover().is_empty());
    let restarted = |attempt| task::Restarted {
        attempt,
        reason: "redelivered".into(),
    };
    simulation.push_task(&open.task, restarted(2).into());
    let recovered = simulation.frontier.recover();
    let [
        Decision::Split {
            task,
            attempts: 2,
            into,
        },
    ] = &recovered[..]
    else {
        panic!("{recovered:?}")
    };
    assert_eq!((task, into.len()), (&open.task, open.inputs.len()));
    let single = into[0].clone();
    simulation.push_plan(
        plan::Split {
            task: open.task.clone(),
            attempts: 2,
        }
        .into(),
    );
    for batch in into.clone() {
        simulation.schedule(batch);
    }
    simulation.push_task(&single.task, restarted(ATTEMPTS_MAX - 1).into());
    assert!(simulation.frontier.recover().is_empty());
    simulation.push_task(&single.task, restarted(ATTEMPTS_MAX).into());
    assert!(matches!(
        &simulation.frontier.recover()[..],
        [Decision::GiveUp { .. }]
    ));
}

#[test]
fn nothing_is_kept_per_entity_beyond_its_promise() {
    // One record on each list, with the worst load of its table.
    let map = (size_of::<(EntityId, u32)>() + 1) * 16 / 7;
    let lists = 2 * (size_of::<Record>() + size_of::<Item>());
    assert!(map + lists <= 100, "{} bytes", map + lists);
    let counts: BTreeMap<&str, usize> =
        [("item", size_of::<Item>()), ("record", size_of::<Record>())].into();
    assert_eq!(counts, [("item", 16), ("record", 4)].into());
}
