//! The graph through its public door, held against a plain model and against its own past.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mirage_domain::event::Event;
use mirage_domain::finding::Finding;
use mirage_domain::id::{EntityId, FindingId, Position, ScanId, StreamId, WorkspaceId};
use mirage_domain::mark::{self, Verdict};
use mirage_domain::relation::{Direction, Relation};
use mirage_domain::task;
use mirage_log::Recorded;
use mirage_log::memory::Memory;

use super::*;
use crate::catalog::{self, Catalog};
use crate::testing::history::{Dice, History, made_up};
use crate::testing::made_scan::{MadeScan, workspace};
use crate::testing::{dumped, given, given_commits, obeys_projection_law, stores};
use crate::{Db, Neo4j, Runner};

const ROWS: u32 = 1_000;

#[test]
fn obeys_the_projection_law() {
    obeys_projection_law::<Graph>();
}

#[tokio::test]
async fn a_graph_that_is_rebuilt_is_the_live_one() {
    let history = made_up(7, 3, 200);
    let log = Arc::new(Memory::default());
    let dir = tempfile::tempdir().unwrap();
    let runner = Runner::open(dir.path(), log.clone()).unwrap();
    for until in [history.end().0 / 3, history.end().0] {
        history.copy_into(&*log, Position(until)).await;
        runner.fold_to_head().await.unwrap();
    }
    let live = dumped(&runner.db(Graph::NAME).unwrap());
    runner.rebuild(Graph::NAME).await.unwrap();
    assert!(dumped(&runner.db(Graph::NAME).unwrap()) == live);
    assert!(dumped(&given::<Graph>(&history)) == live);
}

/// Where the views of a test lie.
struct Place {
    neo4j: Option<Neo4j>,
}

impl Place {
    fn given(&self, history: &History) -> Db {
        self.given_commits(history.commits())
    }

    fn given_commits(&self, commits: &[Arc<Recorded>]) -> Db {
        match &self.neo4j {
            None => given_commits::<Graph>(commits),
            Some(neo4j) => stores::given_on(&neo4j.apart(), commits),
        }
    }

    /// Less of what takes long where each question is a trip to a server.
    fn many(&self, here: u64, there: u64) -> u64 {
        if self.neo4j.is_some() { there } else { here }
    }
}

macro_rules! in_each_store {
    ($($sentence:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test] fn $sentence() { super::$sentence(&super::Place { neo4j: None }) })+
        }
        mod neo4j {
            $(#[test] fn $sentence() {
                if let neo4j @ Some(_) = crate::testing::stores::neo4j() {
                    super::$sentence(&super::Place { neo4j })
                }
            })+
        }
    };
}

in_each_store!(
    a_bound_that_was_met_is_told,
    an_entity_is_there_while_one_of_its_claims_stands,
    an_export_holds_each_node_and_edge_of_the_scan_once,
    beside_the_catalog_what_a_mark_takes_away_is_gone_from_then_on,
    components_are_what_hangs_together_in_a_scan,
    neighbours_are_what_the_claims_join,
    no_path_leads_into_another_workspace_or_past_the_end,
    paths_are_all_there_are_shortest_first,
    the_past_is_what_was_folded_then,
    what_is_said_of_the_entity_itself_is_no_edge_and_a_seed_is_a_node,
);

fn reader(db: &Db) -> Reader<'_> {
    Reader::new(db, &workspace(0), None).unwrap()
}

fn everywhere() -> Among {
    Among::default()
}

fn within(scan: &ScanId) -> Among {
    Among {
        scan: Some(scan.clone()),
        ..Among::default()
    }
}

/// Every neighbour, by small pages.
fn expanded(reader: &Reader<'_>, id: EntityId, among: &Among) -> Vec<Neighbor> {
    let (mut rows, mut page) = (Vec::new(), Page::first(3));
    loop {
        let listed = reader.expand(id, among, &page).unwrap();
        assert_eq!(listed.at, reader.position());
        rows.extend(listed.rows);
        match listed.next {
            Some(after) => page = page.after(after),
            None => return rows,
        }
    }
}

fn route(from: EntityId, to: EntityId, hops_max: u32) -> Route {
    Route {
        from,
        to,
        hops_max,
        paths_max: PATHS_MAX,
        scan: None,
        relations: Vec::new(),
    }
}

/// Ids on the way of each path.
fn ways(paths: &Paths) -> Vec<Vec<EntityId>> {
    let way = |path: &Path| {
        let hops = path.hops.iter().map(|hop| hop.node.name.entity_id);
        std::iter::once(path.from.name.entity_id)
            .chain(hops)
            .collect()
    };
    paths.paths.iter().map(way).collect()
}

fn written(reader: &Reader<'_>, scan: &ScanId, format: Format) -> (Written, String) {
    let head = Head {
        scan: scan.clone(),
        at: reader.position(),
        time: None,
    };
    let mut bytes = Vec::new();
    let written = write(reader, &head, format, &mut bytes).unwrap();
    (written, String::from_utf8(bytes).unwrap())
}

/// What the log says, by loops: findings of one workspace, each with its scan.
struct Model {
    claims: Vec<(ScanId, Finding)>,
}

impl Model {
    fn of(commits: &[Arc<Recorded>], workspace: &WorkspaceId) -> Self {
        let commits = commits
            .iter()
            .filter(|recorded| &recorded.commit.stream.workspace == workspace);
        let claims = commits.flat_map(|recorded| {
            let scan = recorded.commit.stream.scan.clone();
            let events = recorded.commit.events.iter();
            events.filter_map(move |entry| match &entry.event {
                Event::Task(task::Event::Found(finding)) => {
                    Some((scan.clone().unwrap(), finding.clone()))
                }
                _ => None,
            })
        });
        Self {
            claims: claims.collect(),
        }
    }

    fn entities(&self) -> BTreeSet<EntityId> {
        self.claims
            .iter()
            .map(|(_, finding)| finding.entity)
            .collect()
    }

    fn scans(&self) -> BTreeSet<ScanId> {
        self.claims.iter().map(|(scan, _)| scan.clone()).collect()
    }

    /// Subject, relation, object and the findings that say so; only of one scan, if it is given.
    fn edges(
        &self,
        only: Option<&ScanId>,
    ) -> BTreeMap<(EntityId, Relation, EntityId), BTreeSet<FindingId>> {
        let mut edges: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (scan, finding) in &self.claims {
            let (Some(parent), Some(relation)) = (finding.parent, finding.relation) else {
                continue;
            };
            let (subject, object) = match finding.direction {
                Direction::Out => (parent.entity, finding.entity),
                Direction::In => (finding.entity, parent.entity),
            };
            if subject != object && only.is_none_or(|only| only == scan) {
                let edge = edges.entry((subject, relation, object)).or_default();
                edge.insert(finding.id);
            }
        }
        edges
    }

    fn around(&self, id: EntityId) -> BTreeSet<EntityId> {
        let edges = self.edges(None);
        let joined = edges.keys().filter_map(|(subject, _, object)| match () {
            () if *subject == id => Some(*object),
            () if *object == id => Some(*subject),
            () => None,
        });
        joined.collect()
    }

    /// Every simple path of at most so many hops, shortest first.
    fn paths(&self, from: EntityId, to: EntityId, hops_max: usize) -> Vec<Vec<EntityId>> {
        let (mut found, mut open) = (Vec::new(), vec![vec![from]]);
        let around: BTreeMap<_, _> = self
            .entities()
            .into_iter()
            .map(|id| (id, self.around(id)))
            .collect();
        while let Some(way) = open.pop() {
            let here = *way.last().unwrap();
            if here == to {
                found.push(way);
            } else if way.len() <= hops_max {
                let on = around[&here].iter().filter(|next| !way.contains(next));
                open.extend(on.map(|next| [way.as_slice(), &[*next]].concat()));
            }
        }
        found.sort_by_key(|way| (way.len(), way.clone()));
        found
    }

    fn component(&self, scan: &ScanId, id: EntityId) -> BTreeSet<EntityId> {
        let edges = self.edges(Some(scan));
        let mut whole = BTreeSet::from([id]);
        loop {
            let before = whole.len();
            for (subject, _, object) in edges.keys() {
                if whole.contains(subject) || whole.contains(object) {
                    whole.extend([*subject, *object]);
                }
            }
            if whole.len() == before {
                return whole;
            }
        }
    }
}

fn neighbours_are_what_the_claims_join(place: &Place) {
    let history = made_up(1, 4, 300);
    let db = place.given(&history);
    let (graph, model) = (reader(&db), Model::of(history.commits(), &workspace(0)));
    let edges = model.edges(None);
    for id in model.entities() {
        assert!(graph.holds(id, &everywhere()).unwrap());
        let rows = expanded(&graph, id, &everywhere());
        let told: BTreeMap<_, _> = rows
            .iter()
            .map(|row| {
                let other = row.name.entity_id;
                let edge = match row.direction {
                    Direction::Out => (id, row.relation, other),
                    Direction::In => (other, row.relation, id),
                };
                (edge, row.findings as usize)
            })
            .collect();
        let wanted: BTreeMap<_, _> = edges
            .iter()
            .filter(|((subject, _, object), _)| *subject == id || *object == id)
            .map(|(edge, findings)| (*edge, findings.len()))
            .collect();
        assert_eq!((told, rows.len()), (wanted.clone(), wanted.len()));
        let kinds = graph.kinds(id, &everywhere()).unwrap();
        let counted: u64 = kinds.kinds.iter().map(|kind| kind.count).sum();
        assert_eq!(
            (counted as usize, kinds.is_whole),
            (model.around(id).len(), true)
        );
        for KindCount { kind, count } in kinds.kinds {
            let of_kind = Among {
                kinds: vec![kind],
                ..Among::default()
            };
            let rows = expanded(&graph, id, &of_kind);
            let others: BTreeSet<_> = rows.iter().map(|row| row.name.entity_id).collect();
            assert!(rows.iter().all(|row| row.name.kind == kind));
            assert_eq!(others.len() as u64, count);
        }
    }
}

fn paths_are_all_there_are_shortest_first(place: &Place) {
    for seed in 0..place.many(4, 1) {
        // Few commits, so that some are far apart and some not joined at all.
        let history = made_up(seed, 4, 50);
        let db = place.given(&history);
        let (graph, model) = (reader(&db), Model::of(history.commits(), &workspace(0)));
        let entities: Vec<_> = model.entities().into_iter().collect();
        for from in entities.iter().step_by(place.many(2, 9) as usize) {
            for to in &entities {
                let wanted = model.paths(*from, *to, 4);
                let paths = graph.paths(&route(*from, *to, 4)).unwrap();
                assert!(paths.is_whole);
                let told = ways(&paths);
                let most = wanted.len().min(PATHS_MAX as usize);
                assert_eq!(told, wanted[..most], "seed {seed}");
            }
        }
    }
}

fn components_are_what_hangs_together_in_a_scan(place: &Place) {
    let history = made_up(3, 4, 150);
    let db = place.given(&history);
    let (graph, model) = (reader(&db), Model::of(history.commits(), &workspace(0)));
    for scan in model.scans() {
        let of_scan = model.claims.iter().filter(|(of, _)| *of == scan);
        let parts: BTreeSet<_> = of_scan
            .map(|(_, finding)| model.component(&scan, finding.entity))
            .collect();
        let told = graph.components(&scan).unwrap();
        assert_eq!((told.count as usize, told.is_whole), (parts.len(), true));
        assert!(
            told.components
                .is_sorted_by_key(|part| std::cmp::Reverse(part.size))
        );
        for component in told.components {
            let first = component.members[0].entity_id;
            let part = parts.iter().find(|part| part.contains(&first)).unwrap();
            assert_eq!(component.size as usize, part.len());
            assert_eq!(component.members.len(), part.len().min(5));
            assert!(
                component
                    .members
                    .iter()
                    .all(|name| part.contains(&name.entity_id))
            );
        }
    }
}

fn an_export_holds_each_node_and_edge_of_the_scan_once(place: &Place) {
    let history = made_up(5, 4, 200);
    let db = place.given(&history);
    let (graph, model) = (reader(&db), Model::of(history.commits(), &workspace(0)));
    for scan in model.scans() {
        let of_scan = model.claims.iter().filter(|(of, _)| *of == scan);
        let nodes: BTreeSet<_> = of_scan.map(|(_, finding)| finding.entity).collect();
        let wanted = Written {
            nodes: nodes.len() as u64,
            edges: model.edges(Some(&scan)).len() as u64,
        };
        for format in Format::ALL {
            assert_eq!(written(&graph, &scan, *format).0, wanted);
        }
    }
}

/// All that a reader answers about a scan and its entities.
fn answers(graph: &Reader<'_>, model: &Model, dice: &mut Dice) -> Vec<String> {
    let entities: Vec<_> = model.entities().into_iter().collect();
    let mut told = Vec::new();
    for id in &entities {
        told.push(format!(
            "{:?}",
            graph
                .neighbors(*id, &everywhere(), &Page::first(ROWS))
                .unwrap()
        ));
        let to = entities[dice.below(entities.len())];
        told.push(format!("{:?}", graph.paths(&route(*id, to, 4)).unwrap()));
    }
    for scan in model.scans() {
        told.push(format!("{:?}", graph.components(&scan).unwrap()));
        for format in Format::ALL {
            told.push(written(graph, &scan, *format).1);
        }
    }
    told
}

fn the_past_is_what_was_folded_then(place: &Place) {
    for seed in 0..place.many(5, 1) {
        let history = made_up(seed, 4, place.many(200, 80) as usize);
        let db = place.given(&history);
        let mut dice = Dice(seed);
        for _ in 0..place.many(4, 2) {
            let at = Position(1 + dice.below(history.end().0 as usize) as u64);
            let then = place.given_commits(&history.commits()[..at.0 as usize]);
            for n in 0..2 {
                // Of the whole log: entities that were not there yet are asked about, too.
                let model = Model::of(history.commits(), &workspace(n));
                let now = Reader::new(&db, &workspace(n), Some(at)).unwrap();
                let before = Reader::new(&then, &workspace(n), None).unwrap();
                let throw = dice.0;
                let told = answers(&now, &model, &mut Dice(throw));
                let wanted = answers(&before, &model, &mut Dice(throw));
                assert!(told == wanted, "seed {seed}, position {at}");
            }
        }
    }
}

/// Seed 1 leads to 5, 5 to 6 by two modules, and 6 back to 1, the last inward.
struct Small {
    history: History,
    scan: MadeScan,
    findings: Vec<Finding>,
}

impl Small {
    fn new() -> Self {
        let mut history = History::default();
        let mut scan = MadeScan::start(&mut history, 0, &[1, 2]);
        let at = scan.schedule(&mut history, "dns");
        let seed = scan.finding("seed", None, 1, 0);
        let five = scan.finding("dns", Some(&seed), 5, 1);
        let six = scan.finding("dns", Some(&five), 6, 2);
        let again = scan.finding("http", Some(&five), 6, 3);
        let back = scan.inward("dns", scan.finding("dns", Some(&six), 1, 4));
        let about = scan.finding("dns", Some(&six), 6, 5);
        let findings = vec![five, six, again, back, about];
        scan.report(&mut history, at, findings.clone());
        Self {
            history,
            scan,
            findings,
        }
    }

    fn id(&self, n: usize) -> EntityId {
        self.scan.finding("seed", None, n, 0).entity
    }

    fn joined(&self, db: &Db, n: usize) -> Vec<(String, &'static str, Option<String>, u64)> {
        let rows = expanded(&reader(db), self.id(n), &within(&self.scan.id));
        let told = rows.into_iter().map(|row| {
            let relation = row.relation.to_string();
            (relation, row.direction.as_str(), row.name.key, row.findings)
        });
        let mut told: Vec<_> = told.collect();
        told.sort();
        told
    }
}

fn what_is_said_of_the_entity_itself_is_no_edge_and_a_seed_is_a_node(place: &Place) {
    let small = Small::new();
    let db = place.given(&small.history);
    let key = |n: usize| Some(format!("host-{n}.example.com"));
    assert_eq!(
        small.joined(&db, 1),
        [
            ("links-to".to_owned(), "out", key(5), 1),
            (
                "redirects-to".to_owned(),
                "out",
                Some("192.0.2.6".to_owned()),
                1
            )
        ]
    );
    assert_eq!(small.joined(&db, 6).len(), 2);
    assert_eq!(small.joined(&db, 2), []);
    let lonely = reader(&db)
        .node(small.id(2), &everywhere())
        .unwrap()
        .unwrap();
    assert!(lonely.is_seed);
    let (written, _) = written(&reader(&db), &small.scan.id, Format::Json);
    assert_eq!(written, Written { nodes: 4, edges: 3 });
}

fn an_entity_is_there_while_one_of_its_claims_stands(place: &Place) {
    let small = Small::new();
    let db = place.given(&small.history);
    let graph = reader(&db);
    let [five, six, again, back, about] = &small.findings[..] else {
        panic!("five findings")
    };
    let edges = |n| {
        let rows = small.joined(&db, n);
        rows.iter().map(|row| row.3).sum::<u64>()
    };
    let is_there = |n| graph.node(small.id(n), &everywhere()).unwrap().is_some();
    let fall = |findings: &[&Finding]| {
        let fallen: Vec<_> = findings.iter().map(|finding| finding.id).collect();
        db.exclude(&fallen).unwrap();
    };
    assert_eq!(edges(5), 3);
    fall(&[six]);
    assert_eq!((edges(5), is_there(6)), (2, true));
    fall(&[six, again, back, about]);
    assert_eq!((edges(5), is_there(6), is_there(1)), (1, false, true));
    assert_eq!(
        graph
            .neighbors(small.id(6), &everywhere(), &Page::first(9))
            .unwrap(),
        None
    );
    let paths = graph.paths(&route(small.id(1), small.id(6), 4)).unwrap();
    assert_eq!((paths.paths.len(), paths.is_whole), (0, true));
    assert_eq!(graph.components(&small.scan.id).unwrap().count, 2);
    fall(&[six, again, back, about, five]);
    assert_eq!(graph.components(&small.scan.id).unwrap().count, 2);
    let (written, json) = written(&graph, &small.scan.id, Format::Json);
    assert_eq!(written, Written { nodes: 2, edges: 0 });
    assert!(!json.contains("host-5"), "{json}");
}

fn beside_the_catalog_what_a_mark_takes_away_is_gone_from_then_on(place: &Place) {
    let Small {
        mut history,
        scan,
        findings,
    } = Small::new();
    let before = history.end();
    let reason = "parked".to_owned().into();
    let verdict = Verdict::FalsePositive;
    let marked: mark::Event = mark::Set { verdict, reason }.into();
    let stream = StreamId::mark(&scan.workspace, &scan.id, findings[0].id);
    history.append(&stream, None, vec![marked.into()]);
    let (db, catalog) = (place.given(&history), given::<Catalog>(&history));
    let now = catalog::Reader::new(&catalog, &workspace(0), None).unwrap();
    let nodes = |at: Position| {
        let graph = Reader::beside(&db, &now.as_of(at)).unwrap();
        written(&graph, &scan.id, Format::Json).0.nodes
    };
    // The two readers use one database in turns.
    for _ in 0..2 {
        assert_eq!((nodes(history.end()), nodes(before)), (2, 4));
    }
}

fn a_bound_that_was_met_is_told(place: &Place) {
    let small = Small::new();
    let db = place.given(&small.history);
    let graph = reader(&db);
    let cut = graph
        .paths_within(&route(small.id(1), small.id(6), 4), 3)
        .unwrap();
    assert!(!cut.is_whole);
    let whole = graph.paths(&route(small.id(1), small.id(6), 4)).unwrap();
    assert_eq!((whole.paths.len(), whole.is_whole), (2, true));
    assert_eq!(whole.paths[0].hops[0].links[0].direction, Direction::Out);
    let cut = graph.components_within(&small.scan.id, 2).unwrap();
    assert!(!cut.is_whole);
    let cut = graph.kinds_within(small.id(5), &everywhere(), 1).unwrap();
    assert_eq!((cut.kinds.len(), cut.is_whole), (1, false));
}

fn no_path_leads_into_another_workspace_or_past_the_end(place: &Place) {
    let history = made_up(2, 4, 200);
    let db = place.given(&history);
    let own = Model::of(history.commits(), &workspace(0)).entities();
    let other = Reader::new(&db, &workspace(1), None).unwrap();
    for id in own {
        assert_eq!(other.node(id, &everywhere()).unwrap(), None);
        assert_eq!(
            other
                .expand(id, &everywhere(), &Page::first(9))
                .unwrap()
                .rows,
            []
        );
    }
    let beyond = Reader::new(&db, &workspace(0), Some(Position(history.end().0 + 1)));
    assert!(matches!(beyond.err(), Some(crate::Error::Lagging { .. })));
}
