//! Chains, of findings and of entities: found in the catalog, proven, and told in a shape.

use std::sync::Arc;

use axum::Json;
use mirage_projections::catalog::Why;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::moment::Moment;
use crate::auth::Principal;
use crate::error::Problem;
use crate::gateway::{Asking, Gateway};
use crate::why::{Asked, Prover, prov};

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

/// What is found, held against log, evidence and keys.
pub(crate) async fn told(
    gateway: &Arc<Gateway>,
    who: &Principal,
    moment: Moment,
    shape: Shape,
    find: impl FnOnce(&Asking<'_>) -> Result<Why, Problem> + Send + 'static,
) -> Result<Json<Value>, Problem> {
    let found = gateway.ask(who, &moment, move |asking| {
        let why = find(asking)?;
        let scan = asking.catalog.scan_row(&why.scan_id)?;
        Ok((why, scan.map(|scan| scan.actor)))
    });
    let (why, actor) = found.await?;
    let commands = gateway.commands(who).await?;
    let prover = Prover {
        workspace: who.workspace(),
        log: &*gateway.log,
        evidence: Some(&*gateway.evidence),
        key: Some(&commands.key),
    };
    let proven = prover.prove(why).await;
    Ok(Json(match shape {
        Shape::Json => serde_json::to_value(&proven).unwrap_or_default(),
        Shape::Prov => {
            let actor = actor.unwrap_or_else(|| "unknown".to_owned());
            prov(&proven, &Asked { actor })
        }
    }))
}
