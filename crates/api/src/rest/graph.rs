//! `/graph` and the neighbours of an entity: what joins what.

use axum::extract::State;
use jiff::Timestamp;
use mirage_domain::entity::Kind;
use mirage_domain::id::{EntityId, ScanId};
use mirage_domain::relation::{Direction, Relation};
use mirage_projections::Projection;
use mirage_projections::graph::{self, Among, Graph, HOPS_MAX, PATHS_MAX, Reader, Route};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{One, Page, Refusal};
use super::query::{List, Query, list_query, read_query, words};
use super::{Path, Shared, ids};
use crate::auth::Principal;
use crate::error::Problem;
use crate::gateway::Asking;

/// Hops where nothing else is said.
const HOPS: u32 = 6;
/// Paths where nothing else is said.
const PATHS: u32 = 5;

/// One relation to one neighbour, however many claims assert it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Neighbor {
    #[schema(value_type = String)]
    relation: Relation,
    /// `out`: the entity asked about is the subject.
    #[schema(value_type = String)]
    direction: Direction,
    #[schema(value_type = String)]
    entity_id: EntityId,
    #[schema(value_type = String)]
    kind: Kind,
    key: Option<String>,
    findings: u64,
    /// Of the surest claim, in percent.
    confidence: u8,
    modules: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    first_seen: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    last_seen: Timestamp,
}

impl From<graph::Neighbor> for Neighbor {
    fn from(neighbor: graph::Neighbor) -> Self {
        Self {
            relation: neighbor.relation,
            direction: neighbor.direction,
            entity_id: neighbor.name.entity_id,
            kind: neighbor.name.kind,
            key: neighbor.name.key,
            findings: neighbor.findings,
            confidence: neighbor.confidence,
            modules: neighbor.modules,
            first_seen: neighbor.first_seen,
            last_seen: neighbor.last_seen,
        }
    }
}

list_query! {
    /// Which neighbours.
    ListNeighbors {
        /// By claims of this scan.
        #[serde(default)]
        scan: Option<String>,
        /// Of these kinds.
        #[serde(default, deserialize_with = "words")]
        #[param(value_type = Vec<String>, style = Form, explode = false)]
        kind: Vec<Kind>,
        /// Along these relations.
        #[serde(default, deserialize_with = "words")]
        #[param(value_type = Vec<String>, style = Form, explode = false)]
        relation: Vec<Relation>,
    }
}

/// The neighbours of an entity, in the order of their ids
#[utoipa::path(get, path = "/entities/{entity}/neighbors", operation_id = "list_neighbors", tag = "graph",
    params(("entity" = String, Path, description = "KIND:KEY, or the beginning of its id"), ListNeighbors),
    responses((status = 200, body = Page<Neighbor>)))]
pub(crate) async fn neighbors(
    State(gateway): Shared,
    who: Principal,
    Path(entity): Path<String>,
    list: List,
    Query(query): Query<ListNeighbors>,
) -> Result<Page<Neighbor>, Refusal> {
    let (after, moment, limit) = query.page(&list)?;
    let expanded = gateway.ask_with(Graph::NAME, &who, &moment, move |asking, db| {
        let among = Among {
            scan: scan(asking, query.scan.as_deref())?,
            relations: query.relation,
            kinds: query.kind,
        };
        let id = ids::entity(asking, &entity)?;
        let graph = Reader::beside(db, &asking.catalog)?;
        must_stand(&graph, id, &among, &entity)?;
        Ok(graph.expand(id, &among, &graph::Page { after, limit })?)
    });
    let expanded = expanded.await?;
    Ok(Page {
        items: expanded.rows.into_iter().map(Neighbor::from).collect(),
        as_of: expanded.at,
        next_cursor: list.cursor(expanded.next),
    })
}

fn scan(asking: &Asking<'_>, text: Option<&str>) -> Result<Option<ScanId>, Problem> {
    text.map(|text| ids::scan(asking, text)).transpose()
}

fn must_stand(graph: &Reader<'_>, id: EntityId, among: &Among, text: &str) -> Result<(), Problem> {
    match graph.node(id, among)? {
        Some(_) => Ok(()),
        None => Err(Problem::new("no_such_entity", format!("`{text}`"))),
    }
}

/// An entity on a path.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stop {
    #[schema(value_type = String)]
    entity_id: EntityId,
    #[schema(value_type = String)]
    kind: Kind,
    key: Option<String>,
    is_seed: bool,
    in_scope: bool,
    findings: u64,
    /// Of the surest claim, in percent.
    confidence: u8,
    #[schema(value_type = String, format = DateTime)]
    first_seen: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    last_seen: Timestamp,
}

impl From<graph::Node> for Stop {
    fn from(node: graph::Node) -> Self {
        Self {
            entity_id: node.name.entity_id,
            kind: node.name.kind,
            key: node.name.key,
            is_seed: node.is_seed,
            in_scope: node.in_scope,
            findings: node.findings,
            confidence: node.confidence,
            first_seen: node.first_seen,
            last_seen: node.last_seen,
        }
    }
}

/// A relation that a hop goes along.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Link {
    #[schema(value_type = String)]
    relation: Relation,
    /// `out`: the hop goes from subject to object.
    #[schema(value_type = String)]
    direction: Direction,
    findings: u64,
    /// Of the surest claim, in percent.
    confidence: u8,
    modules: Vec<String>,
}

/// One step: everything that joins the stop before to this one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Hop {
    links: Vec<Link>,
    to: Stop,
}

impl From<graph::Hop> for Hop {
    fn from(hop: graph::Hop) -> Self {
        let link = |link: graph::Link| Link {
            relation: link.relation,
            direction: link.direction,
            findings: link.findings,
            confidence: link.confidence,
            modules: link.modules,
        };
        Self {
            links: hop.links.into_iter().map(link).collect(),
            to: hop.node.into(),
        }
    }
}

/// A way that meets no entity twice.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Way {
    from: Stop,
    hops: Vec<Hop>,
}

/// Ways, shortest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ways {
    paths: Vec<Way>,
    /// False if the search ended at its bound: there may be further ones.
    is_whole: bool,
}

read_query! {
    /// From where to where.
    ListPaths {
        /// KIND:KEY, or the beginning of an entity's id.
        from: String,
        /// KIND:KEY, or the beginning of an entity's id.
        to: String,
        /// By claims of this scan.
        #[serde(default)]
        scan: Option<String>,
        /// Along these relations.
        #[serde(default, deserialize_with = "words")]
        #[param(value_type = Vec<String>, style = Form, explode = false)]
        relation: Vec<Relation>,
        /// Longest path.
        #[serde(default)]
        #[param(minimum = 1, maximum = 12)]
        max_hops: Option<u32>,
        /// Most paths.
        #[serde(default)]
        #[param(minimum = 1, maximum = 100)]
        max_paths: Option<u32>,
    }
}

/// Paths between two entities, shortest first
#[utoipa::path(get, path = "/graph/paths", operation_id = "list_paths", tag = "graph",
    params(ListPaths), responses((status = 200, body = One<Ways>)))]
pub(crate) async fn paths(
    State(gateway): Shared,
    who: Principal,
    Query(query): Query<ListPaths>,
) -> Result<One<Ways>, Refusal> {
    let moment = query.moment();
    let bound = |name: &str, asked: Option<u32>, default: u32, most: u32| match asked {
        Some(asked) if !(1..=most).contains(&asked) => {
            Err(Problem::new("bad_query", format!("{name}: 1 to {most}")))
        }
        asked => Ok(asked.unwrap_or(default)),
    };
    let hops_max = bound("max_hops", query.max_hops, HOPS, HOPS_MAX)?;
    let paths_max = bound("max_paths", query.max_paths, PATHS, PATHS_MAX)?;
    let found = gateway.ask_with(Graph::NAME, &who, &moment, move |asking, db| {
        let route = Route {
            from: ids::entity(asking, &query.from)?,
            to: ids::entity(asking, &query.to)?,
            hops_max,
            paths_max,
            scan: scan(asking, query.scan.as_deref())?,
            relations: query.relation,
        };
        let graph = Reader::beside(db, &asking.catalog)?;
        must_stand(&graph, route.from, &route.among(), &query.from)?;
        must_stand(&graph, route.to, &route.among(), &query.to)?;
        Ok(graph.paths(&route)?)
    });
    let found = found.await?;
    let way = |path: graph::Path| Way {
        from: path.from.into(),
        hops: path.hops.into_iter().map(Hop::from).collect(),
    };
    let thing = Ways {
        paths: found.paths.into_iter().map(way).collect(),
        is_whole: found.is_whole,
    };
    Ok(One {
        thing,
        as_of: found.at,
    })
}
