//! The shapes in which chains are told, of findings and of entities.

use axum::Json;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::ask::why::Told;
use crate::why::{Asked, prov};

/// How a chain is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Shape {
    /// Steps and proofs.
    #[default]
    Json,
    /// W3C PROV-JSON.
    Prov,
}

/// A proven chain in a shape.
pub(crate) fn tell(told: &Told, shape: Shape) -> Json<Value> {
    Json(match shape {
        Shape::Json => serde_json::to_value(&told.proven).unwrap_or_default(),
        Shape::Prov => {
            let actor = told.actor.clone().unwrap_or_else(|| "unknown".to_owned());
            prov(&told.proven, &Asked { actor })
        }
    })
}
