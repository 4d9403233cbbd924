//! Chains: the ways from an entity back to the seeds of one scan, shortest first.
//!
//! The entities above the one asked about are gathered level by level, so that the nearest seeds are met first; their
//! distances from the seeds then lead a best-first search that takes each chain in the order of its length.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::rc::Rc;

use mirage_domain::id::{EntityId, FindingId, ScanId};

use super::reader::Reader;
use super::sql::Sql;
use crate::{Error, Value};

/// Chains that are told of one finding or entity.
pub(super) const CHAINS_MAX: usize = 32;
/// Findings about one entity that are looked at: a hub may have a million.
const LINKS_MAX: usize = 256;
/// Entities above it that are looked at.
const ENTITIES_MAX: usize = 2_000;
/// Beginnings of chains that are looked at.
const WORK_MAX: usize = 20_000;

/// One finding about an entity.
#[derive(Debug, Clone, Copy)]
struct Link {
    finding: FindingId,
    /// None for a seed.
    parent: Option<EntityId>,
    stands: bool,
}

/// What lies between an entity and the seeds.
pub(super) struct Ancestors {
    entity: EntityId,
    links: HashMap<EntityId, Vec<Link>>,
    is_cut: bool,
}

/// A beginning of a chain, from its end upwards; beginnings share what they have in common.
struct Beginning {
    link: Link,
    entity: EntityId,
    length: usize,
    below: Option<Rc<Beginning>>,
}

impl Beginning {
    fn has(&self, entity: EntityId) -> bool {
        let mut next = Some(self);
        while let Some(beginning) = next {
            if beginning.entity == entity {
                return true;
            }
            next = beginning.below.as_deref();
        }
        false
    }

    /// The whole chain, what was asked about first.
    fn chain(&self) -> Vec<FindingId> {
        let mut chain = Vec::with_capacity(self.length);
        let mut next = Some(self);
        while let Some(beginning) = next {
            chain.push(beginning.link.finding);
            next = beginning.below.as_deref();
        }
        chain.reverse();
        chain
    }
}

impl Ancestors {
    /// Gathers what lies above an entity; `only` this finding about the entity itself, or all of them.
    pub(super) fn of(
        reader: &Reader<'_>,
        scan: &ScanId,
        entity: EntityId,
        only: Option<FindingId>,
    ) -> Result<Self, Error> {
        let mut ancestors = Self {
            entity,
            links: HashMap::new(),
            is_cut: false,
        };
        let mut next = VecDeque::from([entity]);
        let mut seen = HashSet::from([entity]);
        while let Some(above) = next.pop_front() {
            if ancestors.links.len() == ENTITIES_MAX {
                ancestors.is_cut = true;
                break;
            }
            let only = only.filter(|_| above == entity);
            let mut links = reader.links_to(scan, above, only)?;
            ancestors.is_cut |= links.len() > LINKS_MAX;
            links.truncate(LINKS_MAX);
            let parents = links.iter().filter_map(|link| link.parent);
            next.extend(parents.filter(|parent| seen.insert(*parent)));
            ancestors.links.insert(above, links);
        }
        Ok(ancestors)
    }

    /// Chains to the seeds, those that stand first, and whether there are more.
    pub(super) fn chains(&self) -> (Vec<Vec<FindingId>>, bool) {
        let (mut chains, mut is_cut) = self.search(true);
        if chains.len() < CHAINS_MAX {
            let (all, is_cut_too) = self.search(false);
            is_cut |= is_cut_too;
            let standing: HashSet<Vec<FindingId>> = chains.iter().cloned().collect();
            chains.extend(all.into_iter().filter(|chain| !standing.contains(chain)));
        }
        (chains, is_cut || self.is_cut)
    }

    fn links_of(&self, entity: EntityId, must_stand: bool) -> impl Iterator<Item = &Link> {
        let links = self.links.get(&entity).into_iter().flatten();
        links.filter(move |link| link.stands || !must_stand)
    }

    /// Steps from each entity to its nearest seed.
    fn distances(&self, must_stand: bool) -> HashMap<EntityId, usize> {
        let mut below: HashMap<EntityId, Vec<EntityId>> = HashMap::new();
        let mut distances = HashMap::new();
        let mut next = VecDeque::new();
        for entity in self.links.keys() {
            for link in self.links_of(*entity, must_stand) {
                match link.parent {
                    Some(parent) => below.entry(parent).or_default().push(*entity),
                    None if distances.insert(*entity, 1).is_none() => next.push_back(*entity),
                    None => {}
                }
            }
        }
        while let Some(entity) = next.pop_front() {
            let distance = distances[&entity] + 1;
            for child in below.remove(&entity).unwrap_or_default() {
                if let Entry::Vacant(vacant) = distances.entry(child) {
                    vacant.insert(distance);
                    next.push_back(child);
                }
            }
        }
        distances
    }

    /// The shortest chains by way of findings that stand, or of any; and whether there are more.
    fn search(&self, must_stand: bool) -> (Vec<Vec<FindingId>>, bool) {
        let distances = self.distances(must_stand);
        // By the length of the whole chain, then in the order of making.
        let mut next: BTreeMap<(usize, usize), Rc<Beginning>> = BTreeMap::new();
        let (mut chains, mut made) = (Vec::new(), 0);
        let mut above = Some((self.entity, None::<Rc<Beginning>>));
        loop {
            if let Some((entity, below)) = above.take() {
                let length = below.as_ref().map_or(0, |below| below.length) + 1;
                for link in self.links_of(entity, must_stand) {
                    let rest = link
                        .parent
                        .map_or(Some(0), |parent| distances.get(&parent).copied());
                    let Some(rest) = rest else { continue };
                    let beginning = Beginning {
                        link: *link,
                        entity,
                        length,
                        below: below.clone(),
                    };
                    next.insert((length + rest, made), Rc::new(beginning));
                    made += 1;
                }
            }
            if chains.len() == CHAINS_MAX || made > WORK_MAX {
                return (chains, !next.is_empty());
            }
            let Some((_, beginning)) = next.pop_first() else {
                return (chains, false);
            };
            match beginning.link.parent {
                None => chains.push(beginning.chain()),
                Some(parent) if !beginning.has(parent) => above = Some((parent, Some(beginning))),
                Some(_) => {}
            }
        }
    }
}

impl Reader<'_> {
    /// The findings about an entity in a scan: those that stand first, then the oldest; at most one more than
    /// [`LINKS_MAX`].
    fn links_to(
        &self,
        scan: &ScanId,
        entity: EntityId,
        only: Option<FindingId>,
    ) -> Result<Vec<Link>, Error> {
        let sql = Sql::new(
            "SELECT f.finding AS finding, f.parent_entity AS parent, min(f.cursor) AS cursor,
                    f.finding NOT IN (SELECT finding FROM fallen) AS stands
             FROM findings f WHERE f.entity = ? AND f.scan = ? AND f.workspace = ? AND f.cursor <= ?",
            [entity.into(), scan.into(), self.workspace(), self.last()],
        );
        let sql = sql.maybe("AND f.finding = ?", only.map(Value::from)).and(
            "GROUP BY f.finding, f.parent_entity ORDER BY stands DESC, min(f.cursor) LIMIT ?",
            [(LINKS_MAX as u32 + 1).into()],
        );
        self.all(sql, |row| {
            Ok(Link {
                finding: FindingId(row.get("finding")?),
                parent: row.get::<_, Option<_>>("parent")?.map(EntityId),
                stands: row.get("stands")?,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use mirage_domain::id::StreamId;
    use mirage_domain::mark::{self, Verdict};

    use super::*;
    use crate::catalog::{Catalog, Why};
    use crate::testing::given;
    use crate::testing::history::History;
    use crate::testing::made_scan::{MadeScan, workspace};

    /// A scan of links (parent, child) between made-up entities; 0 is the seed.
    fn scan(links: &[(usize, usize)]) -> (History, MadeScan) {
        let mut history = History::default();
        let mut scan = MadeScan::start(&mut history, 0, &[0]);
        let mut about = HashMap::from([(0, scan.finding("seed", None, 0, 0))]);
        let mut found = Vec::new();
        for (parent, child) in links {
            let finding = scan.finding("dns", Some(&about[parent]), *child, 0);
            about.entry(*child).or_insert_with(|| finding.clone());
            found.push(finding);
        }
        // A commit has room for some hundred.
        for part in found.chunks(100) {
            let at = scan.schedule(&mut history, "dns");
            scan.report(&mut history, at, part.to_vec());
        }
        (history, scan)
    }

    /// Why the `n`-th entity is known; chains as the numbers along them, from the entity to the seed.
    fn why(history: &History, scan: &MadeScan, n: usize) -> (Why, Vec<String>) {
        let db = given::<Catalog>(history);
        let reader = Reader::new(&db, &workspace(0), None).unwrap();
        let id = scan.finding("dns", None, n, 0).entity;
        let why = reader.why_entity(id, Some(&scan.id)).unwrap().unwrap();
        let number = |id: &FindingId| why.step(*id).unwrap().finding.attributes["n"].to_string();
        let chain = |chain: &Vec<FindingId>| chain.iter().map(number).collect::<Vec<_>>().join(" ");
        let chains = why.chains.iter().map(chain).collect();
        (why, chains)
    }

    #[test]
    fn all_chains_are_told_the_one_that_happened_first_then_the_shortest() {
        let (history, scan) = scan(&[(0, 1), (1, 2), (2, 3), (0, 3), (0, 2)]);
        let (why, chains) = why(&history, &scan, 3);
        assert_eq!(chains, ["3 2 1 0", "3 0", "3 2 0"]);
        assert!(!why.is_cut && why.reaches_seed);
        assert_eq!(why.first().len(), 4);
    }

    #[test]
    fn a_cycle_is_walked_through_once() {
        let (history, scan) = scan(&[(0, 1), (1, 2), (2, 1), (1, 1)]);
        let (_, chains) = why(&history, &scan, 1);
        assert_eq!(chains, ["1 0"]);
    }

    #[test]
    fn what_stands_comes_before_what_has_fallen() {
        let (mut history, scan) = scan(&[(0, 1), (1, 2), (0, 3), (3, 4), (4, 2)]);
        let (before, _) = why(&history, &scan, 1);
        let set = mark::Set {
            verdict: Verdict::FalsePositive,
            reason: "parked".to_owned().into(),
        };
        let stream = StreamId::mark(&scan.workspace, &scan.id, before.chains[0][0]);
        history.append(&stream, None, vec![mark::Event::from(set).into()]);
        let (why, chains) = why(&history, &scan, 2);
        assert_eq!(
            chains,
            ["2 1 0", "2 4 3 0"],
            "the one that happened stays the first"
        );
        let stands: Vec<bool> = why.first().iter().map(|step| step.stands).collect();
        assert_eq!(stands, [false, false, true]);
        assert_eq!(why.first()[1].marks.len(), 1);
    }

    #[test]
    fn of_a_hub_a_bounded_part_is_looked_at_and_it_is_told() {
        let parents = LINKS_MAX + 9;
        let links = (1..=parents).flat_map(|n| [(0, n), (n, parents + 1)]);
        let (history, scan) = scan(&links.collect::<Vec<_>>());
        let db = given::<Catalog>(&history);
        let reader = Reader::new(&db, &workspace(0), None).unwrap();
        let hub = scan.finding("dns", None, parents + 1, 0).entity;
        let all = Ancestors::of(&reader, &scan.id, hub, None).unwrap();
        assert_eq!(all.links[&hub].len(), LINKS_MAX);
        assert!(all.is_cut);
        let last = reader.links_to(&scan.id, hub, None).unwrap();
        let last = last[LINKS_MAX].finding;
        let one = Ancestors::of(&reader, &scan.id, hub, Some(last)).unwrap();
        assert_eq!(one.links[&hub][0].finding, last);
        assert!(!one.is_cut);
    }

    #[test]
    fn very_many_chains_are_cut_and_it_is_told() {
        // Ten layers of two entities, each reached from both of the layer before: 2^10 chains.
        let mut links = Vec::new();
        for layer in 0..10 {
            for child in [2 * layer + 1, 2 * layer + 2] {
                match layer {
                    0 => links.push((0, child)),
                    _ => links.extend([(2 * layer - 1, child), (2 * layer, child)]),
                }
            }
        }
        let (history, scan) = scan(&links);
        let (why, chains) = why(&history, &scan, 19);
        assert!(why.is_cut);
        assert_eq!(chains.len(), CHAINS_MAX);
    }
}
