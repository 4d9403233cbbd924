//! `/oauth`: the device flow and refreshing in the words of OAuth 2.0.
//!
//! For programs that speak no other. Thin over what `/device` and `/refresh` do: forms in, and refusals as RFC 6749 has
//! them (section 5.2).
//! A client's id is what the person who decides is shown; nobody has checked it.

use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, FromRequest, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::answer::{Document, Refusal};
use super::devices::{self, Codes};
use super::sign_in::{Grant, Source};
use crate::admit;
use crate::audit::Asked;
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::router::BASE;
use crate::trace::Trace;

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const REFRESH: &str = "refresh_token";

/// A program that wants in.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Authorize {
    /// What the person who decides is shown beside the address.
    #[schema(min_length = 1, max_length = 64)]
    client_id: String,
}

/// The codes, and where a person types the one (RFC 8628, section 3.2).
#[derive(Serialize, ToSchema)]
pub(crate) struct Authorized {
    #[serde(flatten)]
    codes: Codes,
    verification_uri: String,
}

/// What a program shows for tokens: one of the two, as the type says.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Ask {
    /// `urn:ietf:params:oauth:grant-type:device_code` or `refresh_token`.
    grant_type: String,
    #[schema(format = Password)]
    device_code: Option<String>,
    #[schema(format = Password)]
    refresh_token: Option<String>,
}

/// A refusal as OAuth has it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Refused {
    error: &'static str,
    error_description: String,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, Json(self)).into_response()
    }
}

/// A form of which what is not known is passed over (RFC 6749, section 3.2).
pub(crate) struct Form<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Refused;
    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let invalid = |error_description: String| Refused {
            error: "invalid_request",
            error_description,
        };
        let media = request.headers().get(header::CONTENT_TYPE);
        let media = media.and_then(|media| media.to_str().ok());
        let essence = media.unwrap_or_default().split(';').next();
        let form = "application/x-www-form-urlencoded";
        if !essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(form)) {
            return Err(invalid(format!("send {form}")));
        }
        let sent = Bytes::from_request(request, state).await;
        let sent = sent.map_err(|_| invalid("the form is larger than is taken".to_owned()))?;
        let read = serde_urlencoded::from_bytes(&sent);
        read.map(Self).map_err(|error| invalid(error.to_string()))
    }
}

/// What a record of a refusal says of a request.
type Knock = (Source, Option<Extension<Trace>>);

/// Ask to be let in as a device, in the words of OAuth
#[utoipa::path(post, path = "/oauth/device_authorization", operation_id = "authorize_device", tag = "access", security(()),
    request_body(content = Authorize, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = Authorized),
        (status = 400, content((Refused = "application/json"), (Document = "application/problem+json")))))]
pub(crate) async fn authorize(
    State(gateway): Shared,
    knock: Knock,
    form: Result<Form<Authorize>, Refused>,
) -> Result<Response, Refusal> {
    let address = address(&gateway)?;
    let Form(Authorize { client_id }) = match form {
        Ok(form) => form,
        Err(refused) => return Ok(refused.into_response()),
    };
    let codes = devices::wait(&gateway, client_id, knock.0.0);
    let codes = match codes {
        Ok(codes) => codes,
        Err(problem) => return refused(&gateway, "authorize_device", problem, knock).await,
    };
    let verification_uri = format!("{address}/device");
    Ok(Json(Authorized {
        codes,
        verification_uri,
    })
    .into_response())
}

/// Get tokens for a device that was let in, or for a refresh token, in the words of OAuth
#[utoipa::path(post, path = "/oauth/token", operation_id = "grant_token", tag = "access", security(()),
    request_body(content = Ask, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = Grant),
        (status = 400, content((Refused = "application/json"), (Document = "application/problem+json")))))]
pub(crate) async fn token(
    State(gateway): Shared,
    knock: Knock,
    form: Result<Form<Ask>, Refused>,
) -> Result<Response, Refusal> {
    let Form(ask) = match form {
        Ok(form) => form,
        Err(refused) => return Ok(refused.into_response()),
    };
    let granted = match (ask.grant_type.as_str(), ask.device_code, ask.refresh_token) {
        (DEVICE_CODE, Some(code), _) => match gateway.devices.poll(&code, Instant::now()) {
            Ok(allowed) => gateway.identities.let_device_in(allowed).await,
            Err(error) => Err(devices::problem(error)),
        },
        (REFRESH, _, Some(token)) => gateway.identities.refresh(&token).await,
        (DEVICE_CODE | REFRESH, ..) => {
            return Ok(said(
                "invalid_request",
                "what the type of grant needs is missing",
            ));
        }
        _ => {
            let detail = format!("grant_type is {DEVICE_CODE} or {REFRESH}");
            return Ok(said("unsupported_grant_type", &detail));
        }
    };
    match granted {
        Ok(granted) => Ok(Json(Grant::from(granted)).into_response()),
        Err(problem) => refused(&gateway, "grant_token", problem, knock).await,
    }
}

fn said(error: &'static str, description: &str) -> Response {
    let error_description = description.to_owned();
    Refused {
        error,
        error_description,
    }
    .into_response()
}

/// A refusal in OAuth's words, and on record as any other; what OAuth has no word for stays as it is.
async fn refused(
    gateway: &Gateway,
    operation: &'static str,
    problem: Problem,
    (Source(from), trace): Knock,
) -> Result<Response, Refusal> {
    let error = match problem.row.code {
        "authorization_pending" => "authorization_pending",
        "slow_down" => "slow_down",
        "access_denied" => "access_denied",
        "expired_token" => "expired_token",
        "session_over" => "invalid_grant",
        "bad_value" => "invalid_request",
        _ => return Err(problem.into()),
    };
    let asked = Asked {
        operation,
        subject: String::new(),
        from,
        traceparent: trace.map(|Extension(trace)| trace.to_string()),
    };
    let problem = admit::refused(gateway, None, problem, &asked).await;
    Ok(said(error, &problem.detail))
}

/// What a program has to know, as RFC 8414 has it.
#[derive(Serialize)]
pub(crate) struct Metadata {
    issuer: String,
    token_endpoint: String,
    device_authorization_endpoint: String,
    jwks_uri: String,
    grant_types_supported: [&'static str; 2],
    response_types_supported: [&'static str; 0],
    token_endpoint_auth_methods_supported: [&'static str; 1],
}

pub(crate) async fn metadata(State(gateway): Shared) -> Result<Json<Metadata>, Refusal> {
    let address = address(&gateway)?;
    Ok(Json(Metadata {
        token_endpoint: format!("{address}{BASE}/oauth/token"),
        device_authorization_endpoint: format!("{address}{BASE}/oauth/device_authorization"),
        jwks_uri: format!("{address}/.well-known/jwks.json"),
        issuer: address.to_owned(),
        grant_types_supported: [DEVICE_CODE, REFRESH],
        response_types_supported: [],
        token_endpoint_auth_methods_supported: ["none"],
    }))
}

/// The gateway's public address. Who asks is not asked for it: the header `Host` is theirs to write.
fn address(gateway: &Gateway) -> Result<&str, Problem> {
    let unknown = || Problem::new("no_such_resource", "serve.oidc_redirect is not set");
    gateway.address.as_deref().ok_or_else(unknown)
}
