//! Paths between two entities, shortest first, by relations in either direction.
//!
//! Two balls grow, one around each end, always the smaller by one hop, until together they span a length; then paths
//! of exactly that length are walked from the start, and a step is taken only where the end can still be reached. So a hub beside the way is not opened, and the work is bounded by [`LOOKS_MAX`] neighbours looked at.

use std::collections::HashMap;

use mirage_domain::id::{EntityId, Position, ScanId};
use mirage_domain::relation::{Direction, Relation};
use serde::Serialize;

use super::nodes::Node;
use super::page::Among;
use super::reader::Reader;
use crate::Error;

/// Longest path that is looked for.
pub const HOPS_MAX: u32 = 12;
/// Most paths of one answer.
pub const PATHS_MAX: u32 = 100;
/// Neighbours that are looked at for one answer, about a second's work; beyond them the search ends, and says so.
pub const LOOKS_MAX: u32 = 500_000;

/// What is looked for; bounds beyond the greatest are cut to those.
#[derive(Debug, Clone)]
pub struct Route {
    pub from: EntityId,
    pub to: EntityId,
    /// At most [`HOPS_MAX`].
    pub hops_max: u32,
    /// At most [`PATHS_MAX`].
    pub paths_max: u32,
    /// Only by claims of this scan.
    pub scan: Option<ScanId>,
    /// Only along these; an empty list asks for nothing in particular.
    pub relations: Vec<Relation>,
}

/// A relation that a hop goes along.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Link {
    pub relation: Relation,
    /// `out`: the hop goes from subject to object.
    pub direction: Direction,
    pub findings: u64,
    /// Of the surest claim, in percent.
    pub confidence: u8,
    pub modules: Vec<String>,
}

/// One step of a path: everything that joins the node before to this one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hop {
    pub links: Vec<Link>,
    pub node: Node,
}

/// A way that meets no entity twice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Path {
    pub from: Node,
    pub hops: Vec<Hop>,
}

/// Paths, shortest first, equally long ones by the ids on their way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Paths {
    pub paths: Vec<Path>,
    /// False if the search ended at [`LOOKS_MAX`]: there may be further paths, even where none was found.
    pub is_whole: bool,
    pub at: Position,
}

impl Reader<'_> {
    /// Paths between two entities. An end that does not stand is on no path.
    pub fn paths(&self, route: &Route) -> Result<Paths, Error> {
        self.paths_within(route, LOOKS_MAX)
    }

    pub(super) fn paths_within(&self, route: &Route, looks_max: u32) -> Result<Paths, Error> {
        let mut search = Search::new(self, route, looks_max);
        let among = search.among.clone();
        let is_any =
            self.node(route.from, &among)?.is_some() && self.node(route.to, &among)?.is_some();
        let is_whole = match is_any {
            true => search.run()?.is_some(),
            false => true,
        };
        let mut drawing = Drawing {
            reader: self,
            among,
            nodes: HashMap::new(),
            links: HashMap::new(),
        };
        let paths: Result<Vec<_>, _> = search.found.iter().map(|ids| drawing.path(ids)).collect();
        Ok(Paths {
            paths: paths?.into_iter().flatten().collect(),
            is_whole,
            at: self.position(),
        })
    }
}

/// Turns ids into paths with what stands behind them; paths of one answer share most of it.
struct Drawing<'a> {
    reader: &'a Reader<'a>,
    among: Among,
    nodes: HashMap<EntityId, Option<Node>>,
    links: HashMap<(EntityId, EntityId), Vec<Link>>,
}

impl Drawing<'_> {
    fn path(&mut self, ids: &[EntityId]) -> Result<Option<Path>, Error> {
        let mut hops = Vec::with_capacity(ids.len());
        for pair in ids.windows(2) {
            let links = self.links(pair[0], pair[1])?;
            let Some(node) = self.node(pair[1])? else {
                return Ok(None);
            };
            hops.push(Hop { links, node });
        }
        let from = self.node(ids[0])?;
        Ok(from.map(|from| Path { from, hops }))
    }

    fn node(&mut self, id: EntityId) -> Result<Option<Node>, Error> {
        if let Some(known) = self.nodes.get(&id) {
            return Ok(known.clone());
        }
        let node = self.reader.node(id, &self.among)?;
        self.nodes.insert(id, node.clone());
        Ok(node)
    }

    fn links(&mut self, here: EntityId, there: EntityId) -> Result<Vec<Link>, Error> {
        if let Some(known) = self.links.get(&(here, there)) {
            return Ok(known.clone());
        }
        let joined = self.reader.between(here, there, &self.among)?;
        let links = joined.into_iter().map(|neighbor| Link {
            relation: neighbor.relation,
            direction: neighbor.direction,
            findings: neighbor.findings,
            confidence: neighbor.confidence,
            modules: neighbor.modules,
        });
        let links: Vec<Link> = links.collect();
        self.links.insert((here, there), links.clone());
        Ok(links)
    }
}

/// What is known of the entities around one end: how many hops away each of them is.
struct Ball {
    distances: HashMap<EntityId, u32>,
    edge: Vec<EntityId>,
    radius: u32,
}

impl Ball {
    fn around(centre: EntityId) -> Self {
        Self {
            distances: HashMap::from([(centre, 0)]),
            edge: vec![centre],
            radius: 0,
        }
    }
}

struct Search<'a> {
    reader: &'a Reader<'a>,
    route: &'a Route,
    among: Among,
    hops_max: u32,
    paths_max: usize,
    start: Ball,
    end: Ball,
    /// Hops to the end from opened entities that its ball does not hold.
    beyond: HashMap<EntityId, u32>,
    /// Neighbours of the entities that were opened.
    opened: HashMap<EntityId, Vec<EntityId>>,
    looks_left: u32,
    found: Vec<Vec<EntityId>>,
}

/// `None` where the bound of the work was met.
type Bounded<T> = Result<Option<T>, Error>;

impl<'a> Search<'a> {
    fn new(reader: &'a Reader<'a>, route: &'a Route, looks_max: u32) -> Self {
        Self {
            reader,
            route,
            among: Among {
                scan: route.scan.clone(),
                relations: route.relations.clone(),
                kinds: Vec::new(),
            },
            hops_max: route.hops_max.min(HOPS_MAX),
            paths_max: route.paths_max.min(PATHS_MAX) as usize,
            start: Ball::around(route.from),
            end: Ball::around(route.to),
            beyond: HashMap::new(),
            opened: HashMap::new(),
            looks_left: looks_max,
            found: Vec::new(),
        }
    }

    fn run(&mut self) -> Bounded<()> {
        if self.route.from == self.route.to {
            self.found.push(vec![self.route.from]);
            return Ok(Some(()));
        }
        for length in 1..=self.hops_max {
            while self.start.radius + self.end.radius < length {
                if self.grow()?.is_none() {
                    return Ok(None);
                }
            }
            if self.nearest().is_some_and(|nearest| nearest <= length) {
                self.look_beyond(length);
                let mut way = vec![self.route.from];
                if self.walk(&mut way, length)?.is_none() {
                    return Ok(None);
                }
            }
            let is_closed = self.start.edge.is_empty() && self.end.edge.is_empty();
            if self.found.len() >= self.paths_max || is_closed && self.nearest().is_none() {
                break;
            }
        }
        Ok(Some(()))
    }

    /// Hops of the shortest path that is known.
    fn nearest(&self) -> Option<u32> {
        let (small, large) = match self.start.distances.len() <= self.end.distances.len() {
            true => (&self.start, &self.end),
            false => (&self.end, &self.start),
        };
        let both = small.distances.iter().filter_map(|(id, here)| {
            let there = large.distances.get(id)?;
            Some(here + there)
        });
        both.min()
    }

    /// Makes the ball with the smaller edge larger by one hop.
    fn grow(&mut self) -> Bounded<()> {
        let is_start = self.start.edge.len() <= self.end.edge.len();
        let edge = std::mem::take(&mut self.ball(is_start).edge);
        for id in edge {
            let Some(others) = self.open(id)? else {
                return Ok(None);
            };
            let ball = self.ball(is_start);
            let distance = ball.radius + 1;
            for other in others {
                ball.distances.entry(other).or_insert_with(|| {
                    ball.edge.push(other);
                    distance
                });
            }
        }
        self.ball(is_start).radius += 1;
        Ok(Some(()))
    }

    fn ball(&mut self, is_start: bool) -> &mut Ball {
        match is_start {
            true => &mut self.start,
            false => &mut self.end,
        }
    }

    /// Neighbours of an entity, read once and counted each time.
    fn open(&mut self, id: EntityId) -> Bounded<Vec<EntityId>> {
        if !self.opened.contains_key(&id) {
            let others = self.reader.around(id, &self.among, self.looks_left)?;
            self.opened.insert(id, others);
        }
        let others = self.opened.get(&id).cloned().unwrap_or_default();
        let looks = u32::try_from(others.len()).unwrap_or(u32::MAX).max(1);
        // A list as long as what was left may have been cut.
        Ok(
            match self.looks_left.checked_sub(looks).filter(|left| *left > 0) {
                Some(left) => {
                    self.looks_left = left;
                    Some(others)
                }
                None => None,
            },
        )
    }

    /// Carries the distances to the end on into what was opened around the start. Of a path of this length every entity
    /// is in the ball of the end or was opened, so that each step of a walk is known to lead on.
    fn look_beyond(&mut self, length: u32) {
        self.beyond.clear();
        for distance in self.end.radius + 1..=length {
            let is_next = |others: &Vec<EntityId>| {
                let mut others = others.iter();
                others.any(|other| self.to_end(*other) == Some(distance - 1))
            };
            let opened = self.opened.iter();
            let next: Vec<EntityId> = opened
                .filter(|(id, others)| self.to_end(**id).is_none() && is_next(others))
                .map(|(id, _)| *id)
                .collect();
            self.beyond
                .extend(next.into_iter().map(|id| (id, distance)));
        }
    }

    /// Hops to the end, where they are known.
    fn to_end(&self, id: EntityId) -> Option<u32> {
        let known = self.end.distances.get(&id);
        known.or_else(|| self.beyond.get(&id)).copied()
    }

    /// Finds the paths of exactly this length that go on from `way`.
    fn walk(&mut self, way: &mut Vec<EntityId>, length: u32) -> Bounded<()> {
        let here = way[way.len() - 1];
        let left = length - (way.len() as u32 - 1);
        if left == 0 {
            self.found.push(way.clone());
            return Ok(Some(()));
        }
        let Some(others) = self.open(here)? else {
            return Ok(None);
        };
        for other in others {
            // The end itself is the last of a path, and no path meets an entity twice.
            let is_early = other == self.route.to && left > 1;
            if is_early
                || self.to_end(other).is_none_or(|hops| hops > left - 1)
                || way.contains(&other)
            {
                continue;
            }
            way.push(other);
            let walked = self.walk(way, length)?;
            way.pop();
            if walked.is_none() || self.found.len() >= self.paths_max {
                return Ok(walked);
            }
        }
        Ok(Some(()))
    }
}
