//! `/api-keys`: keys for programs; a secret is shown once, when it is issued.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use mirage_domain::id::{KeyId, Position, StreamId};
use mirage_domain::role::Role;
use mirage_domain::workspace::{ApiKey, Command, IssueKey, RevokeKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::Refusal;
use super::body::Body;
use super::query::{Nothing, Query};
use super::{Path, Shared, Writer};
use crate::auth::Principal;
use crate::auth::api_key::Secret;
use crate::error::Problem;

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Key {
    #[schema(value_type = String)]
    key_id: KeyId,
    /// Null once it was erased.
    name: Option<String>,
    #[schema(value_type = String)]
    role: Role,
    #[schema(value_type = String, format = DateTime)]
    issued_at: Timestamp,
    /// Null: until it is revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    is_revoked: bool,
}

impl Key {
    fn of(key_id: KeyId, key: ApiKey) -> Self {
        Self {
            key_id,
            name: key.name.open().cloned(),
            role: key.role,
            issued_at: key.issued_at,
            expires_at: key.expires_at,
            is_revoked: key.is_revoked,
        }
    }
}

/// The keys of a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Keys {
    items: Vec<Key>,
}

/// The keys of the workspace, revoked ones too
#[utoipa::path(get, path = "/api-keys", operation_id = "list_api_keys", tag = "access",
    responses((status = 200, body = Keys)))]
pub(crate) async fn list(
    State(gateway): Shared,
    who: Principal,
    _: Query<Nothing>,
) -> Result<Json<Keys>, Refusal> {
    let stream = StreamId::workspace(who.workspace());
    let (workspace, _) = gateway.identities.workspaces.state(&stream).await?;
    let items = workspace.keys.into_iter().map(|(id, key)| Key::of(id, key));
    Ok(Json(Keys {
        items: items.collect(),
    }))
}

/// A key to be issued.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssueApiKey {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// `owner`, `analyst`, `viewer`, `auditor` or `service`.
    #[schema(value_type = String)]
    role: Role,
    /// Null: until it is revoked.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// A key that was issued.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Issued {
    #[schema(value_type = String)]
    key_id: KeyId,
    /// The whole key, shown this once.
    api_key: String,
    #[schema(value_type = u64)]
    position: Position,
}

/// Issue a key; each request issues another one
#[utoipa::path(post, path = "/api-keys", operation_id = "issue_api_key", tag = "access",
    request_body = IssueApiKey,
    responses((status = 201, body = Issued, headers(("location" = String, description = "The key")))))]
pub(crate) async fn issue(
    State(gateway): Shared,
    writer: Writer,
    Body { value, .. }: Body<IssueApiKey>,
) -> Result<Response, Refusal> {
    let secret = Secret::random(writer.who.workspace());
    let secret = secret.map_err(|error| Problem::of("internal", &error))?;
    let command = IssueKey {
        key: secret.key.clone(),
        name: value.name,
        role: value.role,
        secret: secret.digest(),
        now: (gateway.now)(),
        expires_at: value.expires_at,
    };
    let envelope = writer.envelope(&gateway);
    let stream = StreamId::workspace(writer.who.workspace());
    let command = Command::IssueKey(command);
    let issued = gateway
        .identities
        .workspaces
        .execute(&stream, command, envelope)
        .await;
    let position = issued.map_err(Problem::from)?;
    let location = [(header::LOCATION, format!("/api/v1/api-keys/{}", secret.key))];
    let issued = Issued {
        api_key: secret.reveal(),
        key_id: secret.key,
        position,
    };
    Ok((StatusCode::CREATED, location, Json(issued)).into_response())
}

/// Revoke a key: it opens nothing from the next request on
#[utoipa::path(delete, path = "/api-keys/{key}", operation_id = "revoke_api_key", tag = "access",
    params(("key" = String, Path, description = "Its id")),
    responses((status = 204)))]
pub(crate) async fn revoke(
    State(gateway): Shared,
    writer: Writer,
    Path(key): Path<String>,
) -> Result<StatusCode, Refusal> {
    let absent = |_| Problem::new("no_such_api_key", format!("`{key}`"));
    let command = Command::RevokeKey(RevokeKey {
        key: KeyId::new(&key).map_err(absent)?,
    });
    let envelope = writer.envelope(&gateway);
    let stream = StreamId::workspace(writer.who.workspace());
    let revoked = gateway
        .identities
        .workspaces
        .execute(&stream, command, envelope)
        .await;
    revoked.map_err(Problem::from)?;
    Ok(StatusCode::NO_CONTENT)
}
