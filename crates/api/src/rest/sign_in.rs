//! `/sign-in`, `/refresh`, `/sign-out`: from a name and a password to tokens, and back.
//!
//! The first two need no credential: they give it out. **Never:** a cookie; who holds no token is nobody, so that another
//! site's page can do nothing in the name of who looks at it.

use std::net::{IpAddr, Ipv4Addr};

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use mirage_domain::id::{Position, SessionId, UserId, WorkspaceId};
use mirage_domain::role::Role;
use mirage_domain::session::Reason;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::Refusal;
use super::body::Body;
use super::query::{Nothing, Query};
use super::{Shared, Writer};
use crate::auth::identities::{Asked, EXPIRES_IN_S, Granted};
use crate::error::Problem;

/// Who wants in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    /// The sign-in name.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    #[schema(max_length = 512, format = Password)]
    password: String,
    /// What the authenticator shows, for who has set it up.
    #[serde(default)]
    #[schema(pattern = "^[0-9]{6}$")]
    code: Option<String>,
    /// The workspace that the tokens are to open.
    #[serde(default = "default_workspace")]
    #[schema(value_type = Option<String>, default = "default")]
    workspace: WorkspaceId,
}

pub(super) fn default_workspace() -> WorkspaceId {
    WorkspaceId::new("default").expect("letters")
}

/// A refresh token, which is good once.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refresh {
    #[schema(format = Password)]
    refresh_token: String,
}

/// Tokens, as RFC 6749 §5.1 names them, and for whom they are.
#[derive(Serialize, ToSchema)]
pub(crate) struct Grant {
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds that the access token lasts.
    expires_in: u64,
    /// Good once; a second use ends the session.
    refresh_token: String,
    #[schema(value_type = String)]
    session_id: SessionId,
    #[schema(value_type = String)]
    user_id: UserId,
    #[schema(value_type = String)]
    workspace: WorkspaceId,
    #[schema(value_type = String)]
    role: Role,
    #[schema(value_type = u64)]
    position: Position,
}

impl From<Granted> for Grant {
    fn from(granted: Granted) -> Self {
        Self {
            access_token: granted.access_token,
            token_type: "Bearer",
            expires_in: EXPIRES_IN_S,
            refresh_token: granted.refresh_token,
            session_id: granted.holder.session,
            user_id: granted.holder.user,
            workspace: granted.holder.workspace,
            role: granted.holder.role,
            position: granted.position,
        }
    }
}

/// The address that a request came from; the router knows.
#[derive(Clone, Copy)]
pub(crate) struct Source(pub(crate) IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for Source {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let source = parts.extensions.get::<Self>().copied();
        Ok(source.unwrap_or(Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }
}

/// Sign in: open a session and get its first tokens
#[utoipa::path(post, path = "/sign-in", operation_id = "sign_in", tag = "access", security(()),
    request_body = SignIn, responses((status = 200, body = Grant)))]
pub(crate) async fn sign_in(
    State(gateway): Shared,
    Source(address): Source,
    Body { value, .. }: Body<SignIn>,
) -> Result<Json<Grant>, Refusal> {
    let asked = Asked {
        name: value.name,
        password: value.password,
        code: value.code,
        workspace: value.workspace,
        address,
    };
    Ok(Json(gateway.identities.sign_in(asked).await?.into()))
}

/// Use a refresh token up for other tokens
#[utoipa::path(post, path = "/refresh", operation_id = "refresh", tag = "access", security(()),
    request_body = Refresh, responses((status = 200, body = Grant)))]
pub(crate) async fn refresh(
    State(gateway): Shared,
    Body { value, .. }: Body<Refresh>,
) -> Result<Json<Grant>, Refusal> {
    let granted = gateway.identities.refresh(&value.refresh_token).await?;
    Ok(Json(granted.into()))
}

/// The public halves of the keys that sign access tokens (RFC 7517); open to everybody, and kept for five minutes.
pub(crate) async fn jwks(State(gateway): Shared) -> Result<Response, Refusal> {
    let tokens = gateway.identities.tokens().await?;
    // Half of the time for which a key is shown before it signs.
    let cache = [(header::CACHE_CONTROL, "public, max-age=300")];
    Ok((cache, Json(tokens.ring.jwks())).into_response())
}

/// The end of a session.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignedOut {
    #[schema(value_type = u64)]
    position: Position,
}

/// Sign out: end the session of this access token
#[utoipa::path(post, path = "/sign-out", operation_id = "sign_out", tag = "access",
    responses((status = 200, body = SignedOut)))]
pub(crate) async fn sign_out(
    State(gateway): Shared,
    writer: Writer,
    _: Query<Nothing>,
) -> Result<Json<SignedOut>, Refusal> {
    let (user, session) = writer.who.session().ok_or_else(no_session)?;
    let ended = gateway
        .identities
        .sign_out(user, session, Reason::SignedOut);
    Ok(Json(SignedOut {
        position: ended.await?,
    }))
}

/// An API key asks for what only a user has.
pub(crate) fn no_session() -> Problem {
    Problem::new(
        "sign_in_needed",
        "an API key has no session and no password",
    )
}
