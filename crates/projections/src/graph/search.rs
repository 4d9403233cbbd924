//! The search for paths: ids only, by breadth from both ends and then by depth, within a bound.
//!
//! Two balls grow, one around each end, always the smaller by one hop, until together they span a length; then paths
//! of exactly that length are walked from the start, and a step is taken only where the end can still be reached. So a
//! hub beside the way is not opened, and each neighbour that is looked at counts.

use std::collections::HashMap;

use mirage_domain::id::EntityId;

use super::page::Among;
use super::paths::{HOPS_MAX, PATHS_MAX, Route};
use super::reader::Reader;
use crate::Error;

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

pub(super) struct Search<'a> {
    reader: &'a Reader<'a>,
    route: &'a Route,
    pub(super) among: Among,
    hops_max: u32,
    paths_max: usize,
    start: Ball,
    end: Ball,
    /// Hops to the end from opened entities that its ball does not hold.
    beyond: HashMap<EntityId, u32>,
    /// Neighbours of the entities that were opened.
    opened: HashMap<EntityId, Vec<EntityId>>,
    looks_left: u32,
    pub(super) found: Vec<Vec<EntityId>>,
}

/// `None` where the bound of the work was met.
pub(super) type Bounded<T> = Result<Option<T>, Error>;

impl<'a> Search<'a> {
    pub(super) fn new(reader: &'a Reader<'a>, route: &'a Route, looks_max: u32) -> Self {
        Self {
            reader,
            route,
            among: route.among(),
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

    pub(super) fn run(&mut self) -> Bounded<()> {
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
            let is_closed = self.start.edge.is_empty() || self.end.edge.is_empty();
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
