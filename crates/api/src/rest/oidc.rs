//! `/oidc`: a browser goes to the issuer, comes back, and gets tokens (OpenID Connect).
//!
//! The cookie binds the steps to one browser and opens nothing by itself: who holds it alone is nobody.
//! **Never:** a token in an address; the page that is come back to sends a code for them.

use std::time::Instant;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mirage_domain::id::WorkspaceId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::answer::Refusal;
use super::body::Body;
use super::query::{Nothing, Query};
use super::sign_in::{Grant, Source, default_workspace};
use crate::audit::Asked;
use crate::auth::oidc::flows::{self, Granted};
use crate::auth::oidc::{self, Oidc, Purpose, Returned};
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::trace::Trace;

/// What stands on the button.
#[derive(Serialize, ToSchema)]
pub(crate) struct Button {
    label: String,
}

/// What a browser is to do with what it got.
#[derive(Serialize, ToSchema)]
pub(crate) struct Landed {
    /// To be sent to `/oidc/token` by the same browser; null where an identity was linked.
    #[schema(format = Password)]
    code: Option<String>,
    /// Seconds for which it is good.
    expires_in: u64,
}

/// The workspace that the tokens are to open.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Start {
    #[serde(default = "default_workspace")]
    #[param(value_type = Option<String>, default = "default")]
    workspace: WorkspaceId,
}

/// What the issuer sends back; whatever else it says is passed over (RFC 6749, section 4.1.2).
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Callback {
    state: Option<String>,
    #[param(format = Password)]
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// A code that a browser came back with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redeem {
    #[schema(format = Password)]
    code: String,
}

/// What a record of a refusal says of a request.
type Knock = (Source, Option<Extension<Trace>>);

/// Whether one can sign in by an issuer, and what the button says
#[utoipa::path(get, path = "/oidc", operation_id = "show_oidc", tag = "access", security(()),
    responses((status = 200, body = Button)))]
pub(crate) async fn show(
    State(gateway): Shared,
    _: Query<Nothing>,
) -> Result<Json<Button>, Refusal> {
    let label = on(&gateway)?.settings.label.clone();
    Ok(Json(Button { label }))
}

/// Go to the issuer to sign in
#[utoipa::path(get, path = "/oidc/start", operation_id = "begin_oidc", tag = "access", security(()),
    params(Start), responses((status = 303, description = "To the issuer, with a cookie")))]
pub(crate) async fn start(
    State(gateway): Shared,
    knock: Knock,
    Query(Start { workspace }): Query<Start>,
) -> Result<Response, Refusal> {
    let oidc = on(&gateway)?;
    let begun = oidc.begin(Purpose::SignIn(workspace), knock.0.0).await;
    let (url, cookie) = recorded(&gateway, "begin_oidc", knock, begun).await?;
    let cookie = set_cookie(oidc, &cookie, flows::LIFETIME.as_secs())?;
    Ok(see_other(url.as_str(), cookie)?)
}

/// Come back from the issuer
#[utoipa::path(get, path = "/oidc/callback", operation_id = "finish_oidc", tag = "access", security(()),
    params(Callback), responses((status = 200, body = Landed),
        (status = 303, description = "To the console, with the code in the fragment")))]
pub(crate) async fn callback(
    State(gateway): Shared,
    knock: Knock,
    headers: HeaderMap,
    query: Query<Callback>,
) -> Result<Response, Refusal> {
    let (oidc, Query(query)) = (on(&gateway)?, query);
    let returned = Returned {
        state: query.state,
        code: query.code,
        iss: query.iss,
        error: query.error,
    };
    let cookie = cookie(oidc, &headers);
    let finished = oidc.finish(returned, cookie, (gateway.now)()).await;
    let (named, purpose) = recorded(&gateway, "finish_oidc", knock, finished).await?;
    // It was right: without one nothing is finished.
    let cookie = cookie.unwrap_or_default();
    let code = match purpose {
        Purpose::SignIn(workspace) => {
            // Nobody is given a code that opens nothing.
            gateway.identities.linked(&named).await?;
            let granted = Granted { named, workspace };
            let code = oidc.flows.grant(granted, cookie, Instant::now());
            Some(code.map_err(oidc::Error::from)?)
        }
        Purpose::Link(user, session) => {
            super::identities::finish(&gateway, &user, &session, named).await?;
            None
        }
    };
    Ok(land(oidc, code, cookie)?)
}

/// Get the tokens for a code that the browser came back with
#[utoipa::path(post, path = "/oidc/token", operation_id = "redeem_oidc", tag = "access", security(()),
    request_body = Redeem, responses((status = 200, body = Grant)))]
pub(crate) async fn token(
    State(gateway): Shared,
    headers: HeaderMap,
    Body { value, .. }: Body<Redeem>,
) -> Result<Response, Refusal> {
    let oidc = on(&gateway)?;
    let cookie = cookie(oidc, &headers);
    let redeemed = oidc.flows.redeem(&value.code, cookie, Instant::now());
    let Granted { named, workspace } = redeemed.map_err(oidc::Error::from)?;
    let granted = gateway.identities.sign_in_named(&named, workspace).await?;
    let over = [(header::SET_COOKIE, set_cookie(oidc, "", 0)?)];
    Ok((over, Json(Grant::from(granted))).into_response())
}

/// Sign-in by the issuer, where there is one.
pub(super) fn on(gateway: &Gateway) -> Result<&Oidc, Problem> {
    let off = || Problem::new("oidc_off", "no issuer is set");
    gateway.oidc.as_ref().ok_or_else(off)
}

/// What came of it; that the issuer is of no use is on record too, for somebody may be at work on it.
async fn recorded<T>(
    gateway: &Gateway,
    operation: &'static str,
    (Source(from), trace): Knock,
    came: Result<T, oidc::Error>,
) -> Result<T, Problem> {
    let problem = match came {
        Ok(came) => return Ok(came),
        Err(error) => Problem::from(error),
    };
    if problem.row.code == "issuer_unusable" {
        let asked = Asked {
            operation,
            subject: String::new(),
            from,
            traceparent: trace.map(|Extension(trace)| trace.to_string()),
        };
        gateway.audit.refused(None, problem.row.code, &asked).await;
    }
    Err(problem)
}

/// To the console with the code in the fragment, which no server sees; or the code as it is.
fn land(oidc: &Oidc, code: Option<String>, cookie: &str) -> Result<Response, Problem> {
    let expires_in = flows::GRANT_LIFETIME.as_secs();
    let lasting = if code.is_some() { expires_in } else { 0 };
    let cookie = set_cookie(oidc, cookie, lasting)?;
    let Some(page) = &oidc.settings.landing else {
        let landed = Json(Landed { code, expires_in });
        return Ok(([(header::SET_COOKIE, cookie)], landed).into_response());
    };
    let said = code.map_or("oidc_linked".to_owned(), |code| format!("oidc_code={code}"));
    see_other(&format!("{page}#{said}"), cookie)
}

fn see_other(to: &str, cookie: HeaderValue) -> Result<Response, Problem> {
    let to = HeaderValue::from_str(to).map_err(|error| Problem::of("internal", &error))?;
    let headers: [(HeaderName, HeaderValue); 2] =
        [(header::LOCATION, to), (header::SET_COOKIE, cookie)];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

/// A cookie that no script reads, no other site sends along but by following a link, and, with TLS, no other host sets.
pub(super) fn set_cookie(oidc: &Oidc, value: &str, lasts_s: u64) -> Result<HeaderValue, Problem> {
    let secure = if oidc.is_secure() { "; Secure" } else { "" };
    let name = name(oidc);
    let text = format!("{name}={value}; Path=/; Max-Age={lasts_s}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).map_err(|error| Problem::of("internal", &error))
}

fn name(oidc: &Oidc) -> &'static str {
    match oidc.is_secure() {
        true => "__Host-mirage-oidc",
        false => "mirage-oidc",
    }
}

/// The cookie, if it is there once.
fn cookie<'a>(oidc: &Oidc, headers: &'a HeaderMap) -> Option<&'a str> {
    let sent = headers.get_all(header::COOKIE).iter();
    let pairs = sent.filter_map(|value| value.to_str().ok());
    let pairs = pairs.flat_map(|text| text.split(';'));
    let mut own = pairs.filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == self::name(oidc)).then_some(value)
    });
    let value = own.next().filter(|value| !value.is_empty())?;
    own.next().is_none().then_some(value)
}
