//! `/me/identities`: as whom issuers of OpenID Connect know the one who asks; linked and unlinked.
//!
//! **Invariant:** an identity is linked by who is in and knows the password: a token alone may be stolen.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use mirage_domain::id::{IdentityId, SessionId, StreamId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::Refusal;
use super::body::Body;
use super::oidc::{on, set_cookie};
use super::query::{Nothing, Query};
use super::sign_in::Source;
use super::users::{ChangedUser, own};
use super::{Path, Shared, Writer};
use crate::auth::Principal;
use crate::auth::oidc::flows::LIFETIME;
use crate::auth::oidc::{Named, Purpose};
use crate::error::Problem;
use crate::gateway::Gateway;

/// One identity.
#[derive(Serialize, ToSchema)]
pub(crate) struct IdentityRow {
    #[schema(value_type = String)]
    identity_id: IdentityId,
    issuer: String,
    /// As the issuer calls the user; null once it was erased.
    subject: Option<String>,
}

/// All of them.
#[derive(Serialize, ToSchema)]
pub(crate) struct IdentityList {
    items: Vec<IdentityRow>,
}

/// The password that holds now.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BeginIdentity {
    #[schema(max_length = 512, format = Password)]
    password: String,
}

/// Where the browser is to go.
#[derive(Serialize, ToSchema)]
pub(crate) struct GoTo {
    location: String,
}

/// The identities by which one may sign in
#[utoipa::path(get, path = "/me/identities", operation_id = "list_identities", tag = "access",
    responses((status = 200, body = IdentityList)))]
pub(crate) async fn list(
    State(gateway): Shared,
    who: Principal,
    _: Query<Nothing>,
) -> Result<Json<IdentityList>, Refusal> {
    let user = gateway.identities.known(&own(&who)?).await?;
    let row = |(identity_id, known): (IdentityId, mirage_domain::user::Known)| IdentityRow {
        identity_id,
        issuer: known.issuer,
        subject: known.subject.open().cloned(),
    };
    let items = user.identities.into_iter().map(row).collect();
    Ok(Json(IdentityList { items }))
}

/// Begin to link an identity: the browser goes to the issuer, and whoever comes back is linked
#[utoipa::path(post, path = "/me/identities", operation_id = "begin_identity", tag = "access",
    request_body = BeginIdentity, responses((status = 200, body = GoTo)))]
pub(crate) async fn begin(
    State(gateway): Shared,
    who: Principal,
    Source(address): Source,
    Body { value, .. }: Body<BeginIdentity>,
) -> Result<Response, Refusal> {
    let user = own(&who)?;
    let oidc = on(&gateway)?;
    let (_, session) = who.session().ok_or_else(super::sign_in::no_session)?;
    let purpose = Purpose::Link(user.clone(), session.clone());
    let identities = &gateway.identities;
    identities.prove(&user, value.password, address).await?;
    let (url, cookie) = oidc.begin(purpose, address).await.map_err(Problem::from)?;
    let cookie = set_cookie(oidc, &cookie, LIFETIME.as_secs())?;
    let location = url.to_string();
    Ok(([(header::SET_COOKIE, cookie)], Json(GoTo { location })).into_response())
}

/// Links whom the issuer named, if who began it is still in.
pub(super) async fn finish(
    gateway: &Gateway,
    user: &UserId,
    session: &SessionId,
    named: Named,
) -> Result<(), Problem> {
    let identities = &gateway.identities;
    let stream = StreamId::session(session);
    let is_good = identities.sessions.state(&stream).await?.0;
    let state = identities.known(user).await?;
    if !is_good.is_good((gateway.now)()) || !state.sessions.contains(session) {
        return Err(Problem::new(
            "session_over",
            "who began it is not in any more",
        ));
    }
    let envelope = identities.envelope(user);
    identities.link(user, named, envelope).await?;
    Ok(())
}

/// Unlink an identity, which ends every session, this one too
#[utoipa::path(delete, path = "/me/identities/{identity}", operation_id = "unlink_identity", tag = "access",
    params(("identity" = String, Path, description = "Its id")),
    responses((status = 200, body = ChangedUser)))]
pub(crate) async fn unlink(
    State(gateway): Shared,
    writer: Writer,
    Path(identity): Path<String>,
) -> Result<Json<ChangedUser>, Refusal> {
    let user_id = own(&writer.who)?;
    let absent = |_| Problem::new("no_such_identity", format!("`{identity}`"));
    let id = IdentityId::new(&identity).map_err(absent)?;
    let envelope = writer.envelope(&gateway);
    let position = gateway.identities.unlink(&user_id, id, envelope).await?;
    Ok(Json(ChangedUser { user_id, position }))
}
