//! `/members`: who may do what in the workspace.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use mirage_domain::id::{Position, StreamId, UserId};
use mirage_domain::role::Role;
use mirage_domain::user::{User, sign_in_name};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::Refusal;
use super::body::Body;
use super::query::{Nothing, Query};
use super::{Path, Shared, Writer};
use crate::auth::Principal;
use crate::auth::identities::manage::NewUser;
use crate::error::Problem;
use crate::gateway::Gateway;

/// A user of the workspace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Member {
    #[schema(value_type = String)]
    user_id: UserId,
    /// Null once it was erased.
    name: Option<String>,
    /// Empty where none was given, null once it was erased.
    email: Option<String>,
    #[schema(value_type = String)]
    role: Role,
    has_totp: bool,
    is_suspended: bool,
}

impl Member {
    fn of(user_id: UserId, role: Role, user: &User) -> Self {
        Self {
            user_id,
            name: user.name.as_ref().and_then(|name| name.open()).cloned(),
            email: user.email.open().cloned(),
            role,
            has_totp: user.totp.is_some(),
            is_suspended: user.is_suspended,
        }
    }
}

/// The users of a workspace, by their ids.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Members {
    items: Vec<Member>,
}

/// What came of a change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedMember {
    #[schema(value_type = String)]
    user_id: UserId,
    #[schema(value_type = u64)]
    position: Position,
}

/// The users of the workspace; those of its teams only where they have a role of their own
#[utoipa::path(get, path = "/members", operation_id = "list_members", tag = "access",
    responses((status = 200, body = Members)))]
pub(crate) async fn list(
    State(gateway): Shared,
    who: Principal,
    _: Query<Nothing>,
) -> Result<Json<Members>, Refusal> {
    let stream = StreamId::workspace(who.workspace());
    let (workspace, _) = gateway.identities.workspaces.state(&stream).await?;
    let mut items = Vec::with_capacity(workspace.members.len());
    for (id, role) in workspace.members {
        let (user, _) = gateway.identities.users.state(&StreamId::user(&id)).await?;
        items.push(Member::of(id, role, &user));
    }
    Ok(Json(Members { items }))
}

/// Who is to be let in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddMember {
    /// The sign-in name.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// `owner`, `analyst`, `viewer`, `auditor` or `service`.
    #[schema(value_type = String)]
    role: Role,
    /// Creates the user; without it there is one.
    #[serde(default)]
    #[schema(min_length = 12, max_length = 512, format = Password)]
    password: Option<String>,
    /// Of a user that is created.
    #[serde(default)]
    #[schema(max_length = 254)]
    email: String,
}

/// Let a user in, who is created where a password is given
#[utoipa::path(post, path = "/members", operation_id = "add_member", tag = "access",
    request_body = AddMember,
    responses((status = 201, body = ChangedMember, headers(("location" = String, description = "The member")))))]
pub(crate) async fn add(
    State(gateway): Shared,
    writer: Writer,
    Body { value, .. }: Body<AddMember>,
) -> Result<Response, Refusal> {
    let user_id = match value.password {
        Some(password) => {
            let new = NewUser {
                name: &value.name,
                email: &value.email,
                password,
            };
            let created = gateway.identities.create(new, writer.envelope(&gateway));
            created.await?.0
        }
        None => named(&gateway, &value.name).await?,
    };
    let set = set(&gateway, &writer, &user_id, value.role).await?;
    let location = [(header::LOCATION, format!("/api/v1/members/{user_id}"))];
    Ok((StatusCode::CREATED, location, Json(set)).into_response())
}

/// What a member is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetMember {
    /// `owner`, `analyst`, `viewer`, `auditor` or `service`.
    #[schema(value_type = String)]
    role: Role,
}

/// Give a member another role; it holds from the next request on
#[utoipa::path(put, path = "/members/{user}", operation_id = "set_member", tag = "access",
    params(("user" = String, Path, description = "Its id")),
    request_body = SetMember, responses((status = 200, body = ChangedMember)))]
pub(crate) async fn change(
    State(gateway): Shared,
    writer: Writer,
    Path(user): Path<String>,
    Body { value, .. }: Body<SetMember>,
) -> Result<Json<ChangedMember>, Refusal> {
    let user_id = member(&gateway, &writer.who, &user).await?;
    Ok(Json(set(&gateway, &writer, &user_id, value.role).await?))
}

/// Shut a member out; it opens nothing from the next request on
#[utoipa::path(delete, path = "/members/{user}", operation_id = "remove_member", tag = "access",
    params(("user" = String, Path, description = "Its id")), responses((status = 204)))]
pub(crate) async fn remove(
    State(gateway): Shared,
    writer: Writer,
    Path(user): Path<String>,
    _: Query<Nothing>,
) -> Result<StatusCode, Refusal> {
    let user_id = member(&gateway, &writer.who, &user).await?;
    let envelope = writer.envelope(&gateway);
    let removed = gateway
        .identities
        .remove_member(writer.who.workspace(), &user_id, envelope);
    removed.await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn set(
    gateway: &Gateway,
    writer: &Writer,
    user: &UserId,
    role: Role,
) -> Result<ChangedMember, Problem> {
    let envelope = writer.envelope(gateway);
    let workspace = writer.who.workspace();
    let position = gateway
        .identities
        .set_member(workspace, user, role, envelope)
        .await?;
    let user_id = user.clone();
    Ok(ChangedMember { user_id, position })
}

/// A user by its sign-in name.
pub(super) async fn named(gateway: &Gateway, name: &str) -> Result<UserId, Problem> {
    let absent = || Problem::new("no_such_user", format!("`{name}`"));
    let name = sign_in_name(name).map_err(|error| Problem::of("bad_value", &error))?;
    gateway.identities.user_id(&name).await?.ok_or_else(absent)
}

/// A member of the workspace that asks; of others nothing is told.
pub(crate) async fn member(
    gateway: &Gateway,
    who: &Principal,
    text: &str,
) -> Result<UserId, Problem> {
    let absent = || Problem::new("no_such_member", format!("`{text}`"));
    let user = UserId::new(text).map_err(|_| absent())?;
    let stream = StreamId::workspace(who.workspace());
    let (workspace, _) = gateway.identities.workspaces.state(&stream).await?;
    match workspace.members.contains_key(&user) {
        true => Ok(user),
        false => Err(absent()),
    }
}
