//! The graph: entities and the relations between them, one row per claim.
//!
//! A claim joins a subject to an object; a seed's claim has an object only, and what a module says *about* an entity
//! has the entity as both and is no edge. Answers come from a [`Reader`]: one workspace, as of one position.
//!
//! **Invariant:** an entity is in the graph while one of the claims that found it stands; so is an edge.
//! **Invariant:** every question is bounded, and an answer that met a bound says so.
//! **Never:** update a row; a path or a list over more than one workspace.

mod components;
mod cypher;
mod export;
mod neighbors;
mod nodes;
mod page;
mod paths;
mod reader;
mod rows;
mod search;
mod sql;
mod subgraph;
mod words;

use mirage_log::Recorded;

pub use components::{COMPONENTS_MAX, Component, Components, NODES_MAX};
pub(crate) use cypher::{MODEL, MODEL_OF};
pub use export::{Format, Head, Written, write};
pub use neighbors::{COUNTED_MAX, KindCount, Kinds, Neighbor, Neighbors};
pub use nodes::{Name, Node};
pub use page::{After, Among, Expanded, Page};
pub use paths::{HOPS_MAX, Hop, LOOKS_MAX, Link, PATHS_MAX, Path, Paths, Route};
pub use reader::Reader;
pub use subgraph::Edge;

use crate::{Error, Operations, Projection};

pub struct Graph;

impl Projection for Graph {
    const NAME: &'static str = "graph";
    const VERSION: u32 = 1;
    const SCHEMA: &'static str = include_str!("schema.sql");

    fn apply(recorded: &Recorded, operations: &mut Operations) -> Result<(), Error> {
        rows::of_commit(recorded, operations)
    }
}

#[cfg(test)]
mod tests;
