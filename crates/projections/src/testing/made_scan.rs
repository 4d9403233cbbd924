//! One made-up scan: its request, plan, tasks, findings, restarts, failures and end.

use mirage_domain::entity::{Entity, Kind};
use mirage_domain::event::Event;
use mirage_domain::finding::{Attributes, Finding, Parent};
use mirage_domain::id::{
    Digest, FindingId, IdKey, ModuleName, Position, ScanId, StreamId, TaskId, WorkspaceId,
};
use mirage_domain::mark;
use mirage_domain::module::Profile;
use mirage_domain::plan::{self, Totals};
use mirage_domain::relation::{Direction, Relation};
use mirage_domain::scan::{self, Limits, Outcome, Seeds};
use mirage_domain::scope::Decision;
use mirage_domain::task::{self, Cost, Failure};
use mirage_log::commit::Context;

use super::history::{Dice, History};

pub const MODULES: [&str; 3] = ["crtsh", "dns", "http"];

pub fn workspace(n: usize) -> WorkspaceId {
    WorkspaceId::new(["default", "other"][n % 2]).expect("an id")
}

/// The `n`-th entity of a small world, so that scans meet the same ones.
pub fn entity(n: usize) -> Entity {
    match n % 3 {
        0 => Entity::recorded(Kind::Ip, &format!("192.0.2.{n}")),
        _ => Entity::recorded(Kind::Domain, &format!("host-{n}.example.com")),
    }
}

pub fn id_key(workspace: &WorkspaceId) -> IdKey {
    IdKey::new(Digest::of(workspace.as_str().as_bytes()).0)
}

/// One scan on its way through a made-up log.
pub struct MadeScan {
    pub workspace: WorkspaceId,
    pub id: ScanId,
    ordinal: u64,
    open: Vec<(TaskId, ModuleName, u32)>,
    found: Vec<Finding>,
    seeds: Vec<usize>,
}

impl MadeScan {
    /// Asks for a scan and lets it report its seeds.
    pub fn start(history: &mut History, n: usize, seeds: &[usize]) -> Self {
        let workspace = workspace(n);
        let id = ScanId::derive(&workspace, "tester", &n.to_string());
        let mut scan = Self {
            workspace,
            id,
            ordinal: 0,
            open: Vec::new(),
            found: Vec::new(),
            seeds: seeds.to_vec(),
        };
        scan.request(history, n);
        scan.plan(
            history,
            vec![
                plan::Claimed {
                    holder: "test 1".into(),
                }
                .into(),
            ],
        );
        let task = scan.schedule(history, "seed");
        let seeds = seeds
            .iter()
            .map(|n| scan.finding("seed", None, *n, 0))
            .collect();
        scan.report(history, task, seeds);
        scan.finish_task(history, task, 0);
        scan
    }

    fn request(&mut self, history: &mut History, n: usize) {
        let requested = scan::Requested {
            name: format!("scan {n}").into(),
            seeds: Seeds {
                list: Digest::of(&n.to_be_bytes()),
                count: self.seeds.len() as u64,
            },
            profile: Profile::Standard,
            modules: MODULES
                .iter()
                .map(|name| ModuleName::new(name).expect("a name"))
                .collect(),
            scope: Vec::new().into(),
            limits: Limits::default(),
            consent: None,
            allow_private: Vec::new(),
            settings: Digest::of(b"settings"),
            origin: mirage_domain::scan::Origin::NEW,
        };
        self.own(
            history,
            vec![
                scan::Event::from(requested).into(),
                scan::Event::from(scan::Started {}).into(),
            ],
        );
    }

    /// Events of the scan's own stream.
    pub fn own(&self, history: &mut History, events: Vec<Event>) -> Position {
        history.append(&StreamId::scan(&self.workspace, &self.id), None, events)
    }

    pub fn plan(&self, history: &mut History, events: Vec<plan::Event>) -> Position {
        let events = events.into_iter().map(Event::from).collect();
        history.append(&StreamId::plan(&self.workspace, &self.id), None, events)
    }

    /// Events of the `at`-th open task.
    pub fn task(&self, history: &mut History, at: usize, events: Vec<task::Event>) -> Position {
        let (task, module, attempt) = &self.open[at];
        let context = Context {
            task: task.clone(),
            attempt: *attempt,
            module: module.clone(),
            settings: Digest::of(module.as_str().as_bytes()),
        };
        let events = events.into_iter().map(Event::from).collect();
        history.append(
            &StreamId::task(&self.workspace, &self.id, task),
            Some(context),
            events,
        )
    }

    /// Schedules a task and answers its place among the open ones.
    pub fn schedule(&mut self, history: &mut History, module: &str) -> usize {
        self.ordinal += 1;
        let task = TaskId::derive(&self.id, self.ordinal);
        let module = ModuleName::new(module).expect("a name");
        let scheduled = plan::Scheduled {
            task: task.clone(),
            module: module.clone(),
            module_version: 1,
            inputs: Vec::new(),
            instead_of: None,
        };
        self.plan(history, vec![scheduled.into()]);
        self.open.push((task, module, 1));
        self.open.len() - 1
    }

    /// A claim of the `n`-th entity; `salt` tells its attributes and evidence from those of an earlier one.
    pub fn finding(
        &self,
        module: &str,
        parent: Option<&Finding>,
        n: usize,
        salt: usize,
    ) -> Finding {
        let module = ModuleName::new(module).expect("a name");
        let thing = entity(n);
        let id = thing.id(&id_key(&self.workspace));
        let relation = parent.map(|_| Relation::LinksTo);
        let link = relation.map(|relation| (relation, Direction::Out));
        let mut attributes = Attributes::new();
        attributes.insert("n".into(), n.into());
        attributes.insert(format!("salt-{}", salt % 3), salt.into());
        Finding {
            id: FindingId::derive(
                &self.id,
                &module,
                parent.map(|parent| parent.entity),
                link,
                id,
            ),
            entity: id,
            kind: thing.kind(),
            key: thing.key().to_owned().into(),
            parent: parent.map(|parent| Parent {
                entity: parent.entity,
                finding: parent.id,
            }),
            relation,
            direction: Direction::Out,
            scope: Decision {
                is_in: !n.is_multiple_of(4),
                rule: "example.com".into(),
            },
            confidence: (60 + salt % 40) as u8,
            attributes: attributes.into(),
            evidence: vec![
                Digest::of(&n.to_be_bytes()),
                Digest::of(&salt.to_be_bytes()),
            ],
        }
    }

    /// The same claim the other way round: the entity is the subject, its parent the object.
    pub fn inward(&self, module: &str, finding: Finding) -> Finding {
        let module = ModuleName::new(module).expect("a name");
        let (relation, direction) = (Relation::RedirectsTo, Direction::In);
        let parent = finding.parent.map(|parent| parent.entity);
        let link = parent.map(|_| (relation, direction));
        Finding {
            id: FindingId::derive(&self.id, &module, parent, link, finding.entity),
            relation: parent.map(|_| relation),
            direction,
            ..finding
        }
    }

    /// Reports findings in one commit of an open task.
    pub fn report(&mut self, history: &mut History, at: usize, findings: Vec<Finding>) -> Position {
        self.found.extend(findings.iter().cloned());
        let events = findings.into_iter().map(task::Event::Found).collect();
        self.task(history, at, events)
    }

    /// Ends an open task well, with some of its inputs failed.
    pub fn finish_task(&mut self, history: &mut History, at: usize, failures: usize) {
        let failure = |finding: &Finding| Failure {
            entity: finding.entity,
            finding: finding.id,
            reason: "unavailable".into(),
            detail: "connection refused".to_owned().into(),
        };
        let failures = self.found.iter().take(failures).map(failure).collect();
        let cost = Cost {
            requests: 3,
            bytes_received: 1_000,
            duration_ms: 20,
        };
        let finished = task::Finished {
            cost,
            findings: 1,
            failures,
        };
        self.task(history, at, vec![finished.into()]);
        self.open.remove(at);
    }

    /// One random thing that happens to a scan.
    pub fn step(&mut self, history: &mut History, dice: &mut Dice) {
        if self.open.is_empty() || (self.open.len() < 4 && dice.below(3) == 0) {
            let module = MODULES[dice.below(MODULES.len())];
            let at = self.schedule(history, module);
            self.task(history, at, vec![task::Started {}.into()]);
            return;
        }
        let at = dice.below(self.open.len());
        match dice.below(12) {
            0 => self.restart(history, at),
            1 => self.finish_task(history, at, dice.below(3)),
            2 => self.end_badly(history, at, dice),
            3 => self.pause_or_go_on(history, dice),
            4 => self.remark(history, at, dice),
            5 => self.mark(history, dice),
            _ => self.find(history, at, dice),
        }
    }

    fn find(&mut self, history: &mut History, at: usize, dice: &mut Dice) {
        let module = self.open[at].1.clone();
        let findings = (0..1 + dice.below(4)).map(|_| {
            let parent = self.found[dice.below(self.found.len())].clone();
            let (n, salt) = (dice.below(12), dice.below(100));
            let found = self.finding(module.as_str(), Some(&parent), n, salt);
            match dice.below(4) {
                0 => self.inward(module.as_str(), found),
                _ => found,
            }
        });
        let findings = findings.collect();
        self.report(history, at, findings);
    }

    /// Marks one of the first findings, so that much hangs on it, or takes a mark back.
    fn mark(&self, history: &mut History, dice: &mut Dice) {
        let Some(finding) = self.found.get(dice.below(self.found.len().min(8))) else {
            return;
        };
        let reason = "looked at".to_owned().into();
        let event: mark::Event = match dice.below(3) {
            0 => mark::Cleared { reason }.into(),
            verdict => {
                let verdict = match verdict {
                    1 => mark::Verdict::FalsePositive,
                    _ => mark::Verdict::Confirmed,
                };
                mark::Set { verdict, reason }.into()
            }
        };
        let stream = StreamId::mark(&self.workspace, &self.id, finding.id);
        history.append(&stream, None, vec![event.into()]);
    }

    fn restart(&mut self, history: &mut History, at: usize) {
        self.open[at].2 += 1;
        let (attempt, reason) = (self.open[at].2, "lost".to_owned());
        self.task(
            history,
            at,
            vec![task::Restarted { attempt, reason }.into()],
        );
    }

    fn remark(&self, history: &mut History, at: usize, dice: &mut Dice) {
        let remarked = task::Remarked {
            code: "egress-refused".into(),
            rule: "loopback".into(),
            input: self.found.first().map(|finding| finding.entity),
            detail: "127.0.0.1".to_owned().into(),
            count: 1 + dice.below(5) as u32,
        };
        self.task(history, at, vec![remarked.into()]);
    }

    fn end_badly(&mut self, history: &mut History, at: usize, dice: &mut Dice) {
        let task = self.open[at].0.clone();
        match dice.below(3) {
            0 => {
                let (reason, detail) = ("panicked".to_owned(), "index".to_owned().into());
                let failed = task::Failed {
                    attempt: 1,
                    reason,
                    detail,
                    cost: Cost::default(),
                };
                self.task(history, at, vec![failed.into()]);
            }
            1 => {
                self.plan(history, vec![plan::GaveUp { task, attempts: 2 }.into()]);
                let given_up = task::GivenUp {
                    attempts: 2,
                    reason: "silent".into(),
                };
                self.task(history, at, vec![given_up.into()]);
            }
            _ => {
                let (tasks, reason) = (vec![task], "stopped".to_owned());
                self.plan(
                    history,
                    vec![
                        plan::Revoked {
                            tasks,
                            reason: reason.clone(),
                        }
                        .into(),
                    ],
                );
                self.task(history, at, vec![task::Revoked { reason }.into()]);
            }
        }
        self.open.remove(at);
    }

    fn pause_or_go_on(&self, history: &mut History, dice: &mut Dice) {
        let event = match dice.below(3) {
            0 => scan::Event::from(scan::Paused {}),
            1 => scan::Event::from(scan::Resumed { failed: false }),
            _ => {
                let limited = plan::Limited {
                    limit: plan::Limit::Requests,
                    value: 100,
                };
                self.plan(history, vec![limited.into()]);
                return;
            }
        };
        self.own(history, vec![event.into()]);
    }

    /// Ends the scan and every open task.
    pub fn finish(&mut self, history: &mut History) -> Position {
        while !self.open.is_empty() {
            self.finish_task(history, 0, 0);
        }
        let totals = Totals::default();
        self.plan(history, vec![plan::Finished { totals }.into()]);
        let outcome = Outcome::Completed;
        self.own(
            history,
            vec![scan::Event::from(scan::Finished { outcome, totals }).into()],
        )
    }
}
