//! A made-up company of any size in one scan: hosts, addresses, services, pages, software.
//!
//! Ten findings a host. A zone holds two hundred hosts, two hosts share an address, and twenty programs run on all of
//! them, so that the graph has hubs and a certificate's names give entities several chains.

use anyhow::Result;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::event::Event;
use mirage_domain::finding::{Attributes, Finding, Parent};
use mirage_domain::id::{Digest, EntityId, FindingId, IdKey, ModuleName, StreamId, TaskId};
use mirage_domain::module::Profile;
use mirage_domain::plan;
use mirage_domain::relation::{Direction, Relation};
use mirage_domain::scan::{self, Limits, Origin, Seeds};
use mirage_domain::scope::Decision;
use mirage_domain::task::{self, Cost};
use mirage_log::commit::{Context, encode};
use mirage_log::contract::{commit_of, scan, workspace};
use mirage_log::{EncodedCommit, EventLog, Tip};

/// Findings of one task, committed at once.
pub(super) const EVENTS: usize = 100;
/// Tasks that are scheduled in one commit, and then in flight together.
const TASKS: usize = 16;

const HOST_FINDINGS: usize = 10;
const ZONE_HOSTS: usize = 200;
const PROGRAMS: [&str; 20] = [
    "nginx",
    "apache",
    "caddy",
    "tomcat",
    "jetty",
    "iis",
    "envoy",
    "traefik",
    "haproxy",
    "varnish",
    "squid",
    "php",
    "wordpress",
    "drupal",
    "jenkins",
    "gitlab",
    "grafana",
    "kibana",
    "exim",
    "dovecot",
];

/// An entity as the `n`-th host meets it, by the place among the host's findings.
pub(super) fn entity(host: usize, place: usize) -> Entity {
    let name = format!("host-{host}.{}", zone(host));
    let address = address(host);
    let (kind, key) = match place {
        0 => (Kind::Domain, name),
        1 => (Kind::Ip, address),
        2 => (
            Kind::DnsRecord,
            format!("{name} TXT v=spf1 include:zone-{host}"),
        ),
        3 => (Kind::Service, format!("{address}:443/tcp")),
        4 => (Kind::Url, format!("https://{name}/")),
        5 => (Kind::Software, PROGRAMS[host % PROGRAMS.len()].to_owned()),
        6 => (
            Kind::Certificate,
            Digest::of(&host.to_be_bytes()).to_string(),
        ),
        7 => return entity(host * 7 / 8, 0),
        8 => (Kind::Email, format!("team-{}@example.com", host / 10)),
        _ => (Kind::Text, format!("Welcome to title-{host} on {name}")),
    };
    Entity::recorded(kind, &key)
}

fn zone(host: usize) -> String {
    format!("zone-{}.example.com", host / ZONE_HOSTS)
}

fn address(host: usize) -> String {
    let pair = host / 2;
    format!("10.{}.{}.{}", pair >> 16, (pair >> 8) & 255, pair & 255)
}

pub(super) fn id(entity: &Entity) -> EntityId {
    entity.id(&IdKey::new([1; 32]))
}

/// By whom, from which of the host's findings (none: the zone's), and how each is claimed.
const CLAIMS: [(&str, Option<usize>, Relation, Direction); HOST_FINDINGS] = [
    ("crtsh", None, Relation::SubdomainOf, Direction::In),
    ("dns", Some(0), Relation::ResolvesTo, Direction::Out),
    ("dns", Some(0), Relation::HasRecord, Direction::Out),
    ("tls", Some(1), Relation::Offers, Direction::Out),
    ("http", Some(0), Relation::Serves, Direction::Out),
    ("http", Some(4), Relation::Uses, Direction::Out),
    ("tls", Some(3), Relation::Presents, Direction::Out),
    ("tls", Some(6), Relation::Names, Direction::Out),
    ("extract", Some(4), Relation::Mentions, Direction::Out),
    ("extract", Some(4), Relation::Mentions, Direction::Out),
];

/// The ten findings of a host; before the first of a zone stands the zone's own, and the seed's before all.
fn findings(host: usize) -> Vec<Finding> {
    let seed = Entity::recorded(Kind::Domain, "example.com");
    let seed = claim("seed", seed, None, None, 0);
    let under = Some((Relation::SubdomainOf, Direction::In));
    let zone = Entity::recorded(Kind::Domain, &zone(host));
    let zone = claim("crtsh", zone, Some(&seed), under, host);
    let mut own: Vec<Finding> = Vec::with_capacity(HOST_FINDINGS);
    for (place, (module, parent, relation, direction)) in CLAIMS.into_iter().enumerate() {
        let parent = parent.map_or(&zone, |parent| &own[parent]);
        let link = Some((relation, direction));
        own.push(claim(module, entity(host, place), Some(parent), link, host));
    }
    let seed = (host == 0).then_some(seed);
    let zone = host.is_multiple_of(ZONE_HOSTS).then_some(zone);
    seed.into_iter().chain(zone).chain(own).collect()
}

fn claim(
    module: &str,
    entity: Entity,
    parent: Option<&Finding>,
    link: Option<(Relation, Direction)>,
    host: usize,
) -> Finding {
    let id = id(&entity);
    let mut attributes = Attributes::new();
    attributes.insert("n".into(), host.into());
    if entity.kind() == Kind::Url {
        let server = format!("{}/1.{}", PROGRAMS[host % PROGRAMS.len()], host % 30);
        attributes.insert("server".into(), server.into());
        attributes.insert("title".into(), format!("Welcome to title-{host}").into());
    }
    let module = ModuleName::new(module).expect("a name");
    Finding {
        id: FindingId::derive(
            &scan(),
            &module,
            parent.map(|parent| parent.entity),
            link,
            id,
        ),
        entity: id,
        kind: entity.kind(),
        key: entity.key().to_owned().into(),
        parent: parent.map(|parent| Parent {
            entity: parent.entity,
            finding: parent.id,
        }),
        relation: link.map(|(relation, _)| relation),
        direction: link.map_or_else(Direction::default, |(_, direction)| direction),
        scope: Decision {
            is_in: !host.is_multiple_of(4),
            rule: "example.com".into(),
        },
        confidence: 100 - (host % 40) as u8,
        attributes: attributes.into(),
        evidence: vec![Digest::of(&host.to_be_bytes())],
    }
}

/// The id of a host's finding.
pub(super) fn finding(host: usize, place: usize) -> FindingId {
    let found = findings(host);
    found[found.len() - HOST_FINDINGS + place].id
}

/// What the log stands at, for the next that is written.
#[derive(Default)]
pub(crate) struct Company {
    pub(super) tasks: usize,
    plan: Option<Tip>,
}

impl Company {
    /// Appends whole tasks until about so many findings are there.
    pub(crate) async fn grow(&mut self, log: &dyn EventLog, findings: usize) -> Result<()> {
        if self.tasks == 0 {
            log.append(requested()?, None).await?;
        }
        while self.tasks * EVENTS < findings {
            let last = (self.tasks + TASKS).min(findings / EVENTS);
            let scheduled = (self.tasks..last).map(|n| plan::Event::from(scheduled(n)).into());
            let stream = StreamId::plan(&workspace(), &scan());
            let commit = encode(&commit_of(stream, self.plan, scheduled.collect()))?;
            self.plan = Some(log.append(commit, self.plan).await?);
            let tasks: Result<Vec<EncodedCommit>> = (self.tasks..last).map(task).collect();
            let tasks = tasks?.into_iter().map(|task| log.append(task, None));
            futures::future::try_join_all(tasks).await?;
            self.tasks = last;
        }
        Ok(())
    }

    /// In the log by now: the scan's two, and of each task what the plan says, what it found, start and end.
    pub(crate) fn events(&self) -> usize {
        2 + self.tasks * (EVENTS + 3)
    }

    pub(super) fn hosts(&self) -> usize {
        self.tasks * EVENTS / HOST_FINDINGS
    }
}

fn requested() -> Result<EncodedCommit> {
    let requested = scan::Requested {
        name: "bench".to_owned().into(),
        seeds: Seeds {
            list: Digest::of(b"seeds"),
            count: 1,
        },
        profile: Profile::Standard,
        modules: Default::default(),
        scope: Vec::new().into(),
        limits: Limits::default(),
        consent: None,
        allow_private: Vec::new(),
        settings: Digest::of(b"settings"),
        origin: Origin::NEW,
    };
    let events = vec![
        scan::Event::from(requested).into(),
        scan::Event::from(scan::Started {}).into(),
    ];
    Ok(encode(&commit_of(
        StreamId::scan(&workspace(), &scan()),
        None,
        events,
    ))?)
}

fn scheduled(task: usize) -> plan::Scheduled {
    plan::Scheduled {
        task: TaskId::derive(&scan(), task as u64),
        module: module(),
        module_version: 1,
        inputs: Vec::new(),
        instead_of: None,
    }
}

fn module() -> ModuleName {
    ModuleName::new("http").expect("a name")
}

fn task(n: usize) -> Result<EncodedCommit> {
    let hosts = EVENTS / HOST_FINDINGS;
    let found = (n * hosts..(n + 1) * hosts).flat_map(findings);
    let mut events: Vec<Event> = vec![task::Event::from(task::Started {}).into()];
    events.extend(found.map(|finding| task::Event::Found(finding).into()));
    let finished = task::Finished {
        cost: Cost::default(),
        findings: EVENTS as u64,
        failures: Vec::new(),
    };
    events.push(task::Event::from(finished).into());
    let id = TaskId::derive(&scan(), n as u64);
    let mut commit = commit_of(StreamId::task(&workspace(), &scan(), &id), None, events);
    commit.context = Some(Context {
        task: id,
        attempt: 1,
        module: module(),
        settings: Digest::of(b"settings"),
    });
    Ok(encode(&commit)?)
}
