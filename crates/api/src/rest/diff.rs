//! `/diff`: what two scans, or one scan at two positions, know differently.

use axum::extract::State;
use mirage_domain::entity::Kind;
use mirage_domain::id::{EntityId, ModuleName, Position};
use mirage_projections::Projection;
use mirage_projections::catalog::{Catalog, Difference, Reader, Side, diff};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::answer::{Page, Refusal};
use super::moment::At;
use super::query::{Query, read_query, words};
use super::{Shared, ids};
use crate::auth::Principal;
use crate::error::Problem;

/// One entity that is not the same on both sides.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Differing {
    /// `new`, `gone` or `changed`.
    change: &'static str,
    #[schema(value_type = String)]
    entity_id: EntityId,
    #[schema(value_type = String)]
    kind: Kind,
    /// Null once it was erased.
    key: Option<String>,
    in_scope: bool,
    /// Of a changed entity: claims made and dropped, attributes with both their values.
    #[schema(value_type = Vec<Object>)]
    details: Vec<Value>,
}

impl From<Difference> for Differing {
    fn from(difference: Difference) -> Self {
        let told = |detail| serde_json::to_value(detail).unwrap_or_default();
        Self {
            change: difference.change.as_str(),
            entity_id: difference.entity_id,
            kind: difference.kind,
            key: difference.key,
            in_scope: difference.in_scope,
            details: difference.details.iter().map(told).collect(),
        }
    }
}

read_query! {
    /// The two sides.
    DiffScans {
        /// The earlier scan.
        before: String,
        /// The later scan; the default is the same one.
        #[serde(default)]
        after: Option<String>,
        /// The earlier side as of this position, or of this time in RFC 3339; the default is the later side's.
        #[serde(default)]
        #[param(value_type = Option<String>)]
        from: Option<At>,
        /// Only what these modules claim.
        #[serde(default, deserialize_with = "words")]
        #[param(value_type = Vec<String>, style = Form, explode = false)]
        modules: Vec<ModuleName>,
        /// Where the stretch before ended: its `next_cursor`.
        #[serde(default)]
        cursor: Option<String>,
    }
}

/// What two scans know differently, in the order of the entities' ids; a page holds what a stretch of them differs in
#[utoipa::path(get, path = "/diff", operation_id = "diff", tag = "scans",
    params(DiffScans), responses((status = 200, body = Page<Differing>)))]
pub(crate) async fn list(
    State(gateway): Shared,
    who: Principal,
    Query(query): Query<DiffScans>,
) -> Result<Page<Differing>, Refusal> {
    let wrong = || Problem::new("bad_cursor", "it is not of this list");
    let (mut moment, mut after) = (query.moment(), None);
    if let Some(cursor) = &query.cursor {
        let (at, entity) = cursor.split_once('-').ok_or_else(wrong)?;
        after = Some(entity.parse::<EntityId>().map_err(|_| wrong())?);
        let at = at.parse().map_err(|_| wrong())?;
        moment.at = Some(At::Position(Position(at)));
    }
    if let Some(At::Position(from)) = query.from {
        moment.min_position = moment.min_position.max(Some(from));
    }
    let beside = gateway.clone();
    let compared = gateway.ask(&who, &moment, move |asking| {
        let later = &asking.catalog;
        let scan = ids::scan(asking, &query.before)?;
        let after_scan = query
            .after
            .as_ref()
            .map(|scan| ids::scan(asking, scan))
            .transpose()?;
        let after_scan = after_scan.unwrap_or_else(|| scan.clone());
        // Two moments that are read in turns each leave out in their own database what does not stand there.
        let db = beside.runner.db(Catalog::NAME)?;
        let earlier = Reader::new(&db, later.workspace_id(), None)?;
        let from = match query.from {
            None => later.position(),
            Some(At::Position(from)) => from,
            Some(At::Time(time)) => earlier.resolve_time(time)?,
        };
        let earlier = earlier.as_of(from);
        let before = Side {
            reader: &earlier,
            scan: &scan,
            modules: &query.modules,
        };
        let side = Side {
            reader: later,
            scan: &after_scan,
            modules: &query.modules,
        };
        Ok((diff(&before, &side, after)?, later.position()))
    });
    let (stretch, as_of) = compared.await?;
    Ok(Page {
        items: stretch
            .differences
            .into_iter()
            .map(Differing::from)
            .collect(),
        as_of,
        next_cursor: stretch.next.map(|next| format!("{as_of}-{next}")),
    })
}
