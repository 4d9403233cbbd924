//! Who asks: a credential becomes a principal, and a table says what that one may do.
//!
//! **Invariant:** the workspace comes from the credential; a principal is made here and nowhere else.
//! **Never:** an answer that tells whether a key, a user or a workspace exists.

pub mod api_key;
pub mod devices;
pub mod identities;
pub mod key_ring;
pub mod limiter;
pub mod oidc;
pub mod operations;
pub mod password;
pub mod refresh_token;
pub mod tickets;
pub mod token;
pub mod totp;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use jiff::Timestamp;
use mirage_domain::id::{SessionId, StreamId, UserId, WorkspaceId};
use mirage_domain::role::Role;
use mirage_log::commit::ActorKind;

use crate::error::Problem;
use api_key::Secret;
use identities::{Holder, Identities};

/// Somebody who was let in, and the proof of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    workspace: WorkspaceId,
    role: Role,
    /// As commits name the actor: `api-key:key_…`, or a user's id.
    actor: String,
    /// Of somebody who signed in.
    session: Option<(UserId, SessionId)>,
}

impl Principal {
    pub fn workspace(&self) -> &WorkspaceId {
        &self.workspace
    }
    pub fn role(&self) -> Role {
        self.role
    }
    pub fn actor(&self) -> &str {
        &self.actor
    }
    /// The user and the session of somebody who signed in; a program has none.
    pub fn session(&self) -> Option<(&UserId, &SessionId)> {
        let (user, session) = self.session.as_ref()?;
        Some((user, session))
    }
    /// As commits name the kind of the actor.
    pub fn kind(&self) -> ActorKind {
        match self.session {
            Some(_) => ActorKind::User,
            None => ActorKind::Service,
        }
    }
}

impl From<Holder> for Principal {
    fn from(holder: Holder) -> Self {
        Self {
            workspace: holder.workspace,
            role: holder.role,
            actor: holder.user.to_string(),
            session: Some((holder.user, holder.session)),
        }
    }
}

/// What a request was let in by: the token of its header, or of its ticket.
#[derive(Clone)]
pub(crate) struct Shown(pub(crate) String);

/// The text after `Bearer` (RFC 6750 §2.1).
pub fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let needed = || Problem::new("sign_in_needed", "send Authorization: Bearer");
    let value = values.next().ok_or_else(needed)?;
    if values.next().is_some() {
        return Err(Problem::new("bad_credential", "it was sent more than once"));
    }
    let text = value.to_str().unwrap_or_default();
    let (scheme, token) = text.split_once(' ').unwrap_or_default();
    match scheme.eq_ignore_ascii_case("bearer") {
        true => Ok(token.trim_start_matches(' ')),
        false => Err(needed()),
    }
}

/// Who holds this token, as the log has it now: what was revoked a moment ago opens nothing.
pub async fn principal(
    identities: &Identities,
    token: &str,
    now: Timestamp,
) -> Result<Principal, Problem> {
    let refused = || Problem::new("bad_credential", "it is not known, or has ended");
    // An API key says so itself; whatever else is shown is held for an access token.
    if !token.starts_with(api_key::PREFIX_DOT) {
        return Ok(identities.holder(token).await?.into());
    }
    let secret: Secret = token.parse().map_err(|_| refused())?;
    let stream = StreamId::workspace(&secret.workspace);
    let (workspace, _) = identities.workspaces.state(&stream).await?;
    let key = workspace.keys.get(&secret.key).ok_or_else(refused)?;
    if !secret.opens(key.secret) || !key.is_good(now) {
        return Err(refused());
    }
    Ok(Principal {
        session: None,
        role: key.role,
        actor: format!("api-key:{}", secret.key),
        workspace: secret.workspace,
    })
}
