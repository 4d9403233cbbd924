//! `/whoami`: what a credential is good for.

use axum::Json;
use mirage_domain::id::WorkspaceId;
use mirage_domain::role::Role;
use serde::Serialize;
use utoipa::ToSchema;

use super::query::{Nothing, Query};
use crate::auth::Principal;
use crate::auth::operations;

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Whoami {
    actor: String,
    #[schema(value_type = String)]
    workspace: WorkspaceId,
    #[schema(value_type = String)]
    role: Role,
    /// What that role may do.
    operations: Vec<&'static str>,
}

/// Who this credential is, and what it may do
#[utoipa::path(get, path = "/whoami", operation_id = "whoami", tag = "access",
    responses((status = 200, body = Whoami)))]
pub(crate) async fn get(who: Principal, _: Query<Nothing>) -> Json<Whoami> {
    let may = operations::ALL.iter();
    let may = may.filter(|operation| operation.roles.contains(&who.role()));
    Json(Whoami {
        actor: who.actor().to_owned(),
        workspace: who.workspace().clone(),
        role: who.role(),
        operations: may.map(|operation| operation.id).collect(),
    })
}
