//! Components: which entities of a scan hang together, whatever the direction of their relations.

use std::collections::HashMap;

use mirage_domain::id::{EntityId, Position, ScanId};
use serde::Serialize;

use super::nodes::Name;
use super::page::Among;
use super::reader::Reader;
use crate::Error;
use crate::error::Cause;
use crate::row::Row;

/// Entities that are looked at for one answer: some 60 bytes of memory each.
pub const NODES_MAX: usize = 1_000_000;
/// Components that are told; the largest first.
pub const COMPONENTS_MAX: usize = 1_000;
/// Entities that are named of each: those that were met first.
const MEMBERS_MAX: usize = 5;

/// Entities that hang together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Component {
    pub size: u64,
    /// At most five, in the order in which the scan met them.
    pub members: Vec<Name>,
}

/// The components of a scan, the largest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Components {
    /// At most [`COMPONENTS_MAX`].
    pub components: Vec<Component>,
    /// How many there are.
    pub count: u64,
    /// False if the scan has more than [`NODES_MAX`] entities, and the answer is of so many of them.
    pub is_whole: bool,
    pub at: Position,
}

impl Reader<'_> {
    /// Which entities of a scan hang together.
    pub fn components(&self, scan: &ScanId) -> Result<Components, Error> {
        self.components_within(scan, NODES_MAX)
    }

    pub(super) fn components_within(
        &self,
        scan: &ScanId,
        nodes_max: usize,
    ) -> Result<Components, Error> {
        let among = Among {
            scan: Some(scan.clone()),
            ..Among::default()
        };
        let mut forest = Forest::new(nodes_max);
        // Every claim that stands is seen at its object, a seed's and one about the entity itself among them.
        self.each_met(scan, |names| {
            let ids: Vec<EntityId> = names.iter().map(|name| name.entity_id).collect();
            for statement in self.words().joins(&self.asked(&among), &ids) {
                self.each(&statement, ends, |(object, subject)| {
                    forest.join(object, subject.unwrap_or(object));
                    Ok(())
                })?;
            }
            Ok(())
        })?;
        let mut trees = forest.trees();
        let count = trees.len() as u64;
        trees.truncate(COMPONENTS_MAX);
        let components: Result<_, _> = trees.into_iter().map(|tree| self.named(tree)).collect();
        Ok(Components {
            components: components?,
            count,
            is_whole: !forest.is_full,
            at: self.position(),
        })
    }

    fn named(&self, tree: Tree) -> Result<Component, Error> {
        let mut members = Vec::with_capacity(tree.first.len());
        for id in tree.first {
            members.extend(self.name(id)?);
        }
        Ok(Component {
            size: tree.size,
            members,
        })
    }
}

/// Object and subject of a claim.
fn ends(row: &Row<'_>) -> Result<(EntityId, Option<EntityId>), Cause> {
    let subject = row.get::<_, Option<[u8; 16]>>("subject")?;
    Ok((EntityId(row.get("object")?), subject.map(EntityId)))
}

/// Disjoint sets with path halving and union by size.
struct Forest {
    places: HashMap<EntityId, u32>,
    ids: Vec<EntityId>,
    parents: Vec<u32>,
    sizes: Vec<u32>,
    nodes_max: usize,
    is_full: bool,
}

struct Tree {
    size: u64,
    first: Vec<EntityId>,
}

impl Forest {
    fn new(nodes_max: usize) -> Self {
        Self {
            places: HashMap::new(),
            ids: Vec::new(),
            parents: Vec::new(),
            sizes: Vec::new(),
            nodes_max,
            is_full: false,
        }
    }

    /// Says that two entities hang together; one that finds no room is left out.
    fn join(&mut self, one: EntityId, other: EntityId) {
        let (Some(one), Some(other)) = (self.place(one), self.place(other)) else {
            return;
        };
        let (one, other) = (self.root(one), self.root(other));
        if one == other {
            return;
        }
        let (small, large) = match self.sizes[one as usize] < self.sizes[other as usize] {
            true => (one, other),
            false => (other, one),
        };
        self.parents[small as usize] = large;
        self.sizes[large as usize] += self.sizes[small as usize];
    }

    fn place(&mut self, id: EntityId) -> Option<u32> {
        if let Some(place) = self.places.get(&id) {
            return Some(*place);
        }
        let next = u32::try_from(self.ids.len()).ok();
        let Some(place) = next.filter(|_| self.ids.len() < self.nodes_max) else {
            self.is_full = true;
            return None;
        };
        self.places.insert(id, place);
        self.ids.push(id);
        self.parents.push(place);
        self.sizes.push(1);
        Some(place)
    }

    fn root(&mut self, mut place: u32) -> u32 {
        while self.parents[place as usize] != place {
            let above = self.parents[self.parents[place as usize] as usize];
            self.parents[place as usize] = above;
            place = above;
        }
        place
    }

    /// The sets, largest first, equally large ones by the place of their first member.
    fn trees(&mut self) -> Vec<Tree> {
        let mut trees: Vec<Tree> = Vec::new();
        let mut of_root: HashMap<u32, usize> = HashMap::new();
        for place in 0..self.ids.len() as u32 {
            let root = self.root(place);
            let at = *of_root.entry(root).or_insert_with(|| {
                trees.push(Tree {
                    size: 0,
                    first: Vec::new(),
                });
                trees.len() - 1
            });
            let tree = &mut trees[at];
            tree.size += 1;
            if tree.first.len() < MEMBERS_MAX {
                tree.first.push(self.ids[place as usize]);
            }
        }
        trees.sort_by_key(|tree| std::cmp::Reverse(tree.size));
        trees
    }
}
