//! `/workspaces`: the tenants of the installation.
//!
//! **Invariant:** only an owner of the workspace `system` sees or makes another one than its own.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use mirage_domain::id::{Position, StreamId, UserId, WorkspaceId};
use mirage_domain::role::Role;
use mirage_log::keys;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::Refusal;
use super::body::Body;
use super::members::named;
use super::query::{Nothing, Query};
use super::{Shared, Writer};
use crate::auth::Principal;
use crate::error::Problem;
use crate::gateway::Gateway;

/// A tenant: everything belongs to exactly one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Workspace {
    #[schema(value_type = String)]
    workspace: WorkspaceId,
    /// Users who have a role of their own in it.
    members: usize,
    /// Teams that have a role in it.
    teams: usize,
    /// API keys that are not revoked, also those that have expired.
    api_keys: usize,
}

/// Workspaces, in order of name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Workspaces {
    items: Vec<Workspace>,
}

/// What came of a new workspace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedWorkspace {
    #[schema(value_type = String)]
    workspace: WorkspaceId,
    #[schema(value_type = String)]
    owner: UserId,
    #[schema(value_type = u64)]
    position: Position,
}

/// One's own workspace; for an owner of `system` all whose id key this node has
#[utoipa::path(get, path = "/workspaces", operation_id = "list_workspaces", tag = "access",
    responses((status = 200, body = Workspaces)))]
pub(crate) async fn list(
    State(gateway): Shared,
    who: Principal,
    _: Query<Nothing>,
) -> Result<Json<Workspaces>, Refusal> {
    let mut seen = vec![who.workspace().clone()];
    if *who.workspace() == WorkspaceId::system() {
        seen.extend(keys::held(gateway.keys()));
        seen.sort_unstable();
        seen.dedup();
    }
    let mut items = Vec::with_capacity(seen.len());
    for workspace in seen {
        let stream = StreamId::workspace(&workspace);
        let (state, _) = gateway.identities.workspaces.state(&stream).await?;
        // A key without a workspace is of another installation.
        if state.fingerprint.is_some() {
            items.push(Workspace {
                workspace,
                members: state.members.len(),
                teams: state.teams.len(),
                api_keys: state.keys.len(),
            });
        }
    }
    Ok(Json(Workspaces { items }))
}

/// A workspace that is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateWorkspace {
    /// Its name, for ever.
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    name: WorkspaceId,
    /// The sign-in name of its first owner; without one whoever asks.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64)]
    owner: Option<String>,
}

/// Make a workspace with its id key and its first owner; nodes that have the key work for it from then on
#[utoipa::path(post, path = "/workspaces", operation_id = "create_workspace", tag = "access",
    request_body = CreateWorkspace, responses((status = 201, body = CreatedWorkspace)))]
pub(crate) async fn create(
    State(gateway): Shared,
    writer: Writer,
    Body { value, .. }: Body<CreateWorkspace>,
) -> Result<Response, Refusal> {
    if *writer.who.workspace() != WorkspaceId::system() {
        let detail = "only an owner of the workspace `system` makes another one";
        return Err(Problem::new("forbidden", detail).into());
    }
    let owner = owner(&gateway, &writer.who, value.owner.as_deref()).await?;
    // Before anything is made: a workspace without an owner would be nobody's.
    gateway.identities.known(&owner).await?;
    let workspace = value.name;
    if keys::fingerprint(&*gateway.log, &workspace)
        .await?
        .is_some()
    {
        return Err(Problem::new("workspace_exists", format!("`{workspace}`")).into());
    }
    let actor = writer.caller(&[], None).actor;
    let (log, now) = (gateway.log.clone(), gateway.now);
    keys::workspace(log, gateway.keys(), &workspace, actor, now).await?;
    let envelope = writer.envelope(&gateway);
    let set = gateway
        .identities
        .set_member(&workspace, &owner, Role::Owner, envelope);
    let created = CreatedWorkspace {
        position: set.await?,
        workspace,
        owner,
    };
    let location = [(header::LOCATION, "/api/v1/workspaces")];
    Ok((StatusCode::CREATED, location, Json(created)).into_response())
}

async fn owner(gateway: &Gateway, who: &Principal, name: Option<&str>) -> Result<UserId, Problem> {
    match (name, who.session()) {
        (Some(name), _) => named(gateway, name).await,
        (None, Some((user, _))) => Ok(user.clone()),
        (None, None) => {
            let detail = "an API key owns no workspace: name the sign-in name of an `owner`";
            Err(Problem::new("bad_value", detail))
        }
    }
}
