//! `/sessions`: where one is in, and how that ends.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use mirage_domain::id::{SessionId, StreamId, UserId};
use mirage_domain::role::Role;
use mirage_domain::session::{Reason, Session};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answer::Refusal;
use super::members::member;
use super::query::{Nothing, Query};
use super::sign_in::no_session;
use super::{Path, Shared, Writer};
use crate::auth::Principal;
use crate::error::Problem;
use crate::gateway::Gateway;

/// A session that holds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionRow {
    #[schema(value_type = String)]
    session_id: SessionId,
    #[schema(value_type = String)]
    user_id: UserId,
    #[schema(value_type = String)]
    workspace: mirage_domain::id::WorkspaceId,
    /// `password`, `password-and-totp` or `device`.
    method: &'static str,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// Whether it is the one that asks.
    is_own: bool,
}

/// Sessions, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sessions {
    items: Vec<SessionRow>,
}

/// Whose sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListSessions {
    /// A member's, by its id, as far as they open this workspace; one's own where it is not given.
    #[serde(default)]
    user: Option<String>,
}

/// One's own sessions; an owner or auditor may ask for those of a member
#[utoipa::path(get, path = "/sessions", operation_id = "list_sessions", tag = "access",
    params(ListSessions), responses((status = 200, body = Sessions)))]
pub(crate) async fn list(
    State(gateway): Shared,
    who: Principal,
    Query(query): Query<ListSessions>,
) -> Result<Json<Sessions>, Refusal> {
    let user = match &query.user {
        None => who.session().ok_or_else(no_session)?.0.clone(),
        Some(_) if !matches!(who.role(), Role::Owner | Role::Auditor) => {
            let detail = "only owners and auditors see the sessions of others";
            return Err(Problem::new("forbidden", detail).into());
        }
        Some(user) => member(&gateway, &who, user).await?,
    };
    let is_own_list = query.user.is_none();
    let (state, _) = gateway
        .identities
        .users
        .state(&StreamId::user(&user))
        .await?;
    let mut items = Vec::new();
    for session_id in state.sessions {
        let (session, _) = gateway
            .identities
            .sessions
            .state(&StreamId::session(&session_id))
            .await?;
        let is_seen = is_own_list || session.workspace() == Some(who.workspace());
        if is_seen && session.is_good((gateway.now)()) {
            items.extend(row(&who, session_id, session));
        }
    }
    Ok(Json(Sessions { items }))
}

fn row(who: &Principal, session_id: SessionId, session: Session) -> Option<SessionRow> {
    let opened = session.opened?;
    let is_own = who.session().is_some_and(|(_, own)| *own == session_id);
    Some(SessionRow {
        session_id,
        user_id: opened.user,
        workspace: opened.workspace,
        method: opened.method.as_str(),
        expires_at: opened.expires_at,
        is_own,
    })
}

/// End a session: one's own, or as an owner one that opens this workspace
#[utoipa::path(delete, path = "/sessions/{session}", operation_id = "end_session", tag = "access",
    params(("session" = String, Path, description = "Its id")), responses((status = 204)))]
pub(crate) async fn end(
    State(gateway): Shared,
    writer: Writer,
    Path(session): Path<String>,
    _: Query<Nothing>,
) -> Result<StatusCode, Refusal> {
    let session = in_reach(&gateway, &writer.who, &session).await?;
    let command = mirage_domain::session::Command::Revoke(mirage_domain::session::RevokeSession {
        reason: Reason::Revoked,
    });
    let envelope = writer.envelope(&gateway);
    let stream = StreamId::session(&session);
    let ended = gateway
        .identities
        .sessions
        .execute(&stream, command, envelope);
    ended.await.map_err(Problem::from)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A session that the principal may end; of others nothing is told.
async fn in_reach(gateway: &Gateway, who: &Principal, text: &str) -> Result<SessionId, Problem> {
    let absent = || Problem::new("no_such_session", format!("`{text}`"));
    let id = SessionId::new(text).map_err(|_| absent())?;
    let (session, _) = gateway
        .identities
        .sessions
        .state(&StreamId::session(&id))
        .await?;
    let is_own = who
        .session()
        .is_some_and(|(user, _)| session.user() == Some(user));
    let is_owners = who.role() == Role::Owner && session.workspace() == Some(who.workspace());
    match is_own || is_owners {
        true => Ok(id),
        false => Err(absent()),
    }
}
