//! `/users`, for who looks after all of them; `/me`: one's own password and second factor.
//!
//! **Invariant:** a user belongs to several workspaces, so only an owner of the workspace `system` changes one from outside.

use axum::Json;
use axum::extract::State;
use mirage_domain::id::{Position, UserId, WorkspaceId};
use mirage_domain::user::{Command, Reinstate, RemoveTotp, Suspend};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::Refusal;
use super::body::Body;
use super::query::{Nothing, Query};
use super::sign_in::{Source, no_session};
use super::{Path, Shared, Writer};
use crate::auth::Principal;
use crate::auth::totp;
use crate::error::Problem;

/// A change of a user: one of its members.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeUser {
    #[serde(default)]
    is_suspended: Option<bool>,
    /// Another password, which ends every session.
    #[serde(default)]
    #[schema(min_length = 12, max_length = 512, format = Password)]
    password: Option<String>,
    /// `false`: no one-time code is asked for any more.
    #[serde(default)]
    has_totp: Option<bool>,
}

/// What came of a change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedUser {
    #[schema(value_type = String)]
    pub(super) user_id: UserId,
    #[schema(value_type = u64)]
    pub(super) position: Position,
}

/// Suspend a user or take that back, set a lost password anew, or remove a lost second factor
#[utoipa::path(patch, path = "/users/{user}", operation_id = "change_user", tag = "access",
    params(("user" = String, Path, description = "Its id")),
    request_body = ChangeUser, responses((status = 200, body = ChangedUser)))]
pub(crate) async fn change(
    State(gateway): Shared,
    writer: Writer,
    Path(user): Path<String>,
    Body { value, .. }: Body<ChangeUser>,
) -> Result<Json<ChangedUser>, Refusal> {
    if *writer.who.workspace() != WorkspaceId::system() {
        let detail = format!("`{user}`: only an owner of the workspace `system` changes users");
        return Err(Problem::new("no_such_user", detail).into());
    }
    let absent = |_| Problem::new("no_such_user", format!("`{user}`"));
    let user_id = UserId::new(&user).map_err(absent)?;
    let (identities, envelope) = (&gateway.identities, writer.envelope(&gateway));
    let command = match (value.is_suspended, value.password, value.has_totp) {
        (Some(true), None, None) => Command::Suspend(Suspend),
        (Some(false), None, None) => Command::Reinstate(Reinstate),
        (None, None, Some(false)) => Command::RemoveTotp(RemoveTotp),
        (None, Some(password), None) => {
            let position = identities
                .set_password(&user_id, password, envelope)
                .await?;
            return Ok(Json(ChangedUser { user_id, position }));
        }
        _ => {
            let detail = "one of is_suspended, password, and has_totp: false";
            return Err(Problem::new("bad_body", detail).into());
        }
    };
    let position = identities.command(&user_id, command, envelope).await?;
    Ok(Json(ChangedUser { user_id, position }))
}

/// Another password for oneself.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePassword {
    /// The one that holds now.
    #[schema(max_length = 512, format = Password)]
    password: String,
    #[schema(min_length = 12, max_length = 512, format = Password)]
    new_password: String,
}

/// Set another password for oneself, which ends every session, this one too
#[utoipa::path(put, path = "/me/password", operation_id = "change_password", tag = "access",
    request_body = ChangePassword, responses((status = 200, body = ChangedUser)))]
pub(crate) async fn password(
    State(gateway): Shared,
    Source(address): Source,
    writer: Writer,
    Body { value, .. }: Body<ChangePassword>,
) -> Result<Json<ChangedUser>, Refusal> {
    let user_id = own(&writer.who)?;
    let identities = &gateway.identities;
    identities.prove(&user_id, value.password, address).await?;
    let envelope = writer.envelope(&gateway);
    let set = identities.set_password(&user_id, value.new_password, envelope);
    let position = set.await?;
    Ok(Json(ChangedUser { user_id, position }))
}

/// A secret for an authenticator, kept nowhere before a code of it was shown.
#[derive(Serialize, ToSchema)]
pub(crate) struct Offer {
    /// Base 32.
    secret: String,
    /// The same, as an authenticator reads it from a picture.
    uri: String,
}

/// A fresh secret for an authenticator; nothing changes before a code of it is sent to PUT
#[utoipa::path(post, path = "/me/totp", operation_id = "offer_totp", tag = "access",
    responses((status = 200, body = Offer)))]
pub(crate) async fn offer(
    State(gateway): Shared,
    who: Principal,
    _: Query<Nothing>,
) -> Result<Json<Offer>, Refusal> {
    let user = gateway.identities.known(&own(&who)?).await?;
    let name = user.name.as_ref().and_then(|name| name.open());
    let random = || Problem::new("internal", "the system gives no random bytes");
    let secret = totp::fresh_secret().ok_or_else(random)?;
    let uri = totp::uri(&secret, name.map_or("", String::as_str));
    Ok(Json(Offer { secret, uri }))
}

/// The second factor to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetTotp {
    /// The password that holds now.
    #[schema(max_length = 512, format = Password)]
    password: String,
    /// The secret that was offered; null: no second factor any more.
    #[serde(default)]
    secret: Option<String>,
    /// A code that was made with it.
    #[serde(default)]
    code: Option<String>,
}

/// Set up one-time codes for oneself, or remove them
#[utoipa::path(put, path = "/me/totp", operation_id = "set_totp", tag = "access",
    request_body = SetTotp, responses((status = 200, body = ChangedUser)))]
pub(crate) async fn totp(
    State(gateway): Shared,
    Source(address): Source,
    writer: Writer,
    Body { value, .. }: Body<SetTotp>,
) -> Result<Json<ChangedUser>, Refusal> {
    let user_id = own(&writer.who)?;
    let identities = &gateway.identities;
    identities.prove(&user_id, value.password, address).await?;
    let envelope = writer.envelope(&gateway);
    let position = match value.secret {
        Some(secret) => {
            let code = value.code.unwrap_or_default();
            identities
                .set_totp(&user_id, secret, &code, envelope)
                .await?
        }
        None => {
            let command = Command::RemoveTotp(RemoveTotp);
            identities.command(&user_id, command, envelope).await?
        }
    };
    Ok(Json(ChangedUser { user_id, position }))
}

/// The user who asks.
pub(super) fn own(who: &Principal) -> Result<UserId, Problem> {
    let (user, _) = who.session().ok_or_else(no_session)?;
    Ok(user.clone())
}
