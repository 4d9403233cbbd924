//! Paths between two entities, shortest first, by relations in either direction.
//!
//! Bounded in hops, in paths, and in work; `search.rs` says how they are found.

use std::collections::HashMap;

use mirage_domain::id::{EntityId, Position, ScanId};
use mirage_domain::relation::{Direction, Relation};
use serde::Serialize;

use super::nodes::Node;
use super::page::Among;
use super::reader::Reader;
use super::search::Search;
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

impl Route {
    /// The claims that paths may go along.
    pub fn among(&self) -> Among {
        Among {
            scan: self.scan.clone(),
            relations: self.relations.clone(),
            kinds: Vec::new(),
        }
    }
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
