//! `/entities`: what was found, once each, with what is said about it.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use mirage_domain::entity::Kind;
use mirage_domain::id::{EntityId, Position, ScanId};
use mirage_domain::relation::{Direction, Relation};
use mirage_projections::catalog::{Edge, EntityDetail, EntityFilter, EntityRow};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::answer::{One, Page, Refusal};
use super::findings::Finding;
use super::query::{List, Query, list_query, read_query, rows, words};
use super::why::{self, Shape};
use super::{Path, Shared, ids};
use crate::ask;
use crate::auth::Principal;
use crate::error::Problem;

/// One entity, over the scans that were asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Entity {
    #[schema(value_type = String)]
    entity_id: EntityId,
    #[schema(value_type = String)]
    kind: Kind,
    /// Null once it was erased.
    key: Option<String>,
    in_scope: bool,
    findings: u64,
    #[schema(value_type = String, format = DateTime)]
    first_seen: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    last_seen: Timestamp,
    /// Where it was first claimed.
    #[schema(value_type = u64)]
    position: Position,
}

impl From<EntityRow> for Entity {
    fn from(row: EntityRow) -> Self {
        Self {
            entity_id: row.entity_id,
            kind: row.kind,
            key: row.key,
            in_scope: row.in_scope,
            findings: row.findings,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
            position: row.position,
        }
    }
}

/// A relation of an entity to another, however many findings assert it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Related {
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
}

impl From<Edge> for Related {
    fn from(edge: Edge) -> Self {
        Self {
            relation: edge.relation,
            direction: edge.direction,
            entity_id: edge.entity_id,
            kind: edge.kind,
            key: edge.key,
            findings: edge.findings,
        }
    }
}

/// One entity with what is said about it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Detail {
    #[serde(flatten)]
    entity: Entity,
    /// The scans that met it, oldest first.
    #[schema(value_type = Vec<String>)]
    scans: Vec<ScanId>,
    /// The first thousand, oldest first; `/findings` has the rest.
    claims: Vec<Finding>,
    relations: Vec<Related>,
}

impl From<EntityDetail> for Detail {
    fn from(detail: EntityDetail) -> Self {
        Self {
            entity: detail.entity.into(),
            scans: detail.scans,
            claims: detail.claims.into_iter().map(Finding::from).collect(),
            relations: detail.relations.into_iter().map(Related::from).collect(),
        }
    }
}

list_query! {
    /// Which entities.
    ListEntities {
        /// Those of this scan: its id, the beginning of it, or `@last`.
        #[serde(default)]
        scan: Option<String>,
        /// Of these kinds.
        #[serde(default, deserialize_with = "words")]
        #[param(value_type = Vec<String>, style = Form, explode = false)]
        kind: Vec<Kind>,
        /// In scope, or out of it.
        #[serde(default)]
        in_scope: Option<bool>,
        /// Only what that scan had not met.
        #[serde(default)]
        new_since: Option<String>,
    }
}

/// Entities, in the order in which they were first claimed
#[utoipa::path(get, path = "/entities", operation_id = "list_entities", tag = "entities",
    params(ListEntities), responses((status = 200, body = Page<Entity>)))]
pub(crate) async fn list(
    State(gateway): Shared,
    who: Principal,
    list: List,
    Query(query): Query<ListEntities>,
) -> Result<Page<Entity>, Refusal> {
    let (after, moment, limit) = query.page(&list)?;
    let listed = gateway.ask(&who, &moment, move |asking| {
        let scan = |text: &String| ids::scan(asking, text);
        let filter = EntityFilter {
            scan: query.scan.as_ref().map(scan).transpose()?,
            kinds: query.kind,
            in_scope: query.in_scope,
            new_since: query.new_since.as_ref().map(scan).transpose()?,
        };
        Ok(asking.catalog.entities(&filter, &rows(after, limit))?)
    });
    Ok(list.page_of(listed.await?))
}

read_query! {
    /// Of which moment.
    GetEntity {}
}

/// One entity with its claims and relations
#[utoipa::path(get, path = "/entities/{entity}", operation_id = "get_entity", tag = "entities",
    params(("entity" = String, Path, description = "KIND:KEY, or the beginning of its id"), GetEntity),
    responses((status = 200, body = One<Detail>)))]
pub(crate) async fn get(
    State(gateway): Shared,
    who: Principal,
    Path(entity): Path<String>,
    Query(query): Query<GetEntity>,
) -> Result<One<Detail>, Refusal> {
    let moment = query.moment();
    let found = gateway.ask(&who, &moment, move |asking| {
        let id = ids::entity(asking, &entity)?;
        let absent = || Problem::new("no_such_entity", format!("`{entity}`"));
        let thing = asking.catalog.entity(id)?.ok_or_else(absent)?.into();
        Ok(One {
            thing,
            as_of: asking.catalog.position(),
        })
    });
    Ok(found.await?)
}

read_query! {
    /// In which scan, how it is told, and of which moment.
    WhyEntity {
        /// In this scan; the default is the newest that met it.
        #[serde(default)]
        scan: Option<String>,
        /// Steps and proofs, or W3C PROV-JSON.
        #[serde(default)]
        #[param(inline, value_type = Option<Shape>)]
        shape: Shape,
    }
}

/// How an entity came to be known: every chain back to a seed, each step held against log, evidence and keys
#[utoipa::path(get, path = "/entities/{entity}/why", operation_id = "why_entity", tag = "entities",
    params(("entity" = String, Path, description = "KIND:KEY, or the beginning of its id"), WhyEntity),
    responses((status = 200, body = Object)))]
pub(crate) async fn chains(
    State(gateway): Shared,
    who: Principal,
    Path(entity): Path<String>,
    Query(query): Query<WhyEntity>,
) -> Result<Json<Value>, Refusal> {
    let moment = query.moment();
    let told = ask::why::entity(&gateway, &who, &moment, entity, query.scan);
    Ok(why::tell(&told.await?, query.shape))
}
