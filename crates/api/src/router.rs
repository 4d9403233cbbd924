//! Every route on one screen, and what each request passes before its handler and after it.
//!
//! **Invariant:** a handler runs only for an operation that stands in the table, and a role that the table lets in.

use std::future::ready;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, MatchedPath, OriginalUri, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use mirage_log::trace::TARGET;
use tracing::field::Empty;
use tracing::{Instrument, Span};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admit;
use crate::audit::Asked;
use crate::auth::operations::Operation;
use crate::auth::{self, Shown, operations};
use crate::error::{self, Problem};
use crate::gateway::Gateway;
use crate::grpc;
use crate::live::{replay, sse, ws};
use crate::metrics;
use crate::openapi;
use crate::origin;
use crate::rest::answer::Refusal;
use crate::rest::sign_in::Source;
use crate::rest::*;
use crate::trace::{self, Trace};

/// Where the interface lies.
pub const BASE: &str = "/api/v1";
/// Largest body of a request, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Longest time that an answer may take to begin.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(30);

/// The same for what reads a whole file or a whole scan before.
const LONG_ANSWER_MAX: Duration = Duration::from_hours(1);

/// The operations and their description.
fn operations() -> (Router<Arc<Gateway>>, OpenApi) {
    OpenApiRouter::with_openapi(openapi::base())
        .merge(access())
        .routes(routes!(api_keys::list, api_keys::issue))
        .routes(routes!(api_keys::revoke))
        .routes(routes!(audit::list))
        .routes(routes!(diff::list))
        .routes(routes!(entities::list))
        .routes(routes!(entities::get))
        .routes(routes!(entities::chains))
        .routes(routes!(sse::stream))
        .routes(routes!(tickets::issue))
        .routes(routes!(ws::open))
        .routes(routes!(evidence::get))
        .routes(routes!(findings::list))
        .routes(routes!(findings::get))
        .routes(routes!(findings::chains))
        .routes(routes!(graph::neighbors))
        .routes(routes!(graph::paths))
        .routes(routes!(imports::create))
        .routes(routes!(log::head))
        .routes(routes!(log::commit))
        .routes(routes!(log::verify))
        .routes(routes!(marks::list))
        .routes(routes!(marks::set, marks::clear))
        .routes(routes!(members::list, members::add))
        .routes(routes!(members::change, members::remove))
        .routes(routes!(modules::list))
        .routes(routes!(modules::get))
        .routes(routes!(scans::list, scans::start))
        .routes(routes!(scans::get, scans::change))
        .routes(routes!(exports::get))
        .routes(routes!(rederivations::create))
        .routes(routes!(replay::stream))
        .routes(routes!(search::list))
        .routes(routes!(search::facets))
        .routes(routes!(subscriptions::list, subscriptions::create))
        .routes(routes!(
            subscriptions::get,
            subscriptions::change,
            subscriptions::remove
        ))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::resend))
        .routes(routes!(subscriptions::rotate))
        .routes(routes!(teams::list, teams::create))
        .routes(routes!(teams::change, teams::remove))
        .routes(routes!(teams::add, teams::leave))
        .routes(routes!(users::change))
        .routes(routes!(users::password))
        .routes(routes!(users::offer, users::totp))
        .routes(routes!(views::list))
        .routes(routes!(views::rebuild))
        .routes(routes!(whoami::get))
        .routes(routes!(workspaces::list, workspaces::create))
        .split_for_parts()
}

/// How somebody gets in, and out again.
fn access() -> OpenApiRouter<Arc<Gateway>> {
    OpenApiRouter::new()
        .routes(routes!(devices::begin))
        .routes(routes!(devices::poll))
        .routes(routes!(devices::show))
        .routes(routes!(devices::confirm))
        .routes(routes!(identities::list, identities::begin))
        .routes(routes!(identities::unlink))
        .routes(routes!(oauth::authorize))
        .routes(routes!(oauth::token))
        .routes(routes!(oidc::show))
        .routes(routes!(oidc::callback))
        .routes(routes!(oidc::start))
        .routes(routes!(oidc::token))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
        .routes(routes!(sign_in::sign_in))
        .routes(routes!(sign_in::refresh))
        .routes(routes!(sign_in::sign_out))
}

/// The description of the interface, complete.
pub fn description() -> OpenApi {
    openapi::complete(operations().1)
}

/// The whole interface.
pub fn routes(gateway: Arc<Gateway>) -> Router {
    let document = Bytes::from(openapi::document());
    let (operations, _) = operations();
    let keys = gateway.clone();
    let calls = grpc::routes(&gateway);
    let operations = operations
        .route_layer(from_fn_with_state(gateway.clone(), let_in))
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(gateway);
    let json = [(header::CONTENT_TYPE, "application/json")];
    let text = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
    let errors = Bytes::from(error::markdown());
    Router::new()
        .route(
            &format!("{BASE}/openapi.json"),
            get(move || ready((json, document.clone()))),
        )
        .route(
            "/.well-known/jwks.json",
            get(crate::rest::sign_in::jwks).with_state(keys.clone()),
        )
        .route(
            "/.well-known/oauth-authorization-server",
            get(oauth::metadata).with_state(keys),
        )
        .route("/errors", get(move || ready((text, errors.clone()))))
        .route("/errors/{code}", get(error_page))
        .nest(BASE, operations)
        .merge(calls)
        .method_not_allowed_fallback(no_method)
        .fallback(nothing)
        .layer(from_fn(dress))
}

/// Lets a request through to its handler, with its principal.
async fn let_in(
    State(gateway): State<Arc<Gateway>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let path = matched
        .as_ref()
        .and_then(|path| path.as_str().strip_prefix(BASE))
        .unwrap_or_default();
    let from = origin::of(request.extensions(), request.headers(), &gateway.proxies);
    request.extensions_mut().insert(Source(from));
    let traceparent = request.extensions().get::<Trace>().map(ToString::to_string);
    let open = operations::open(request.method(), path);
    Called::tell(&request, open.or(operations::of(request.method(), path)));
    if let Some(operation) = open {
        let asked = Asked {
            operation: operation.id,
            subject: String::new(),
            from,
            traceparent,
        };
        return open_to_all(&gateway, asked, request, next).await;
    }
    let operation = operations::of(request.method(), path);
    let answer_max = match operation.is_some_and(Operation::is_long) {
        true => LONG_ANSWER_MAX,
        false => ANSWER_MAX,
    };
    let ticket = ticket(&request, path);
    // As it was sent: what is nested sees the rest of its path alone. A ticket is a secret for as long as it is good.
    let sent = request.extensions().get::<OriginalUri>();
    let sent = sent.map_or(request.uri(), |sent| &sent.0);
    let subject = match ticket {
        Some(_) => sent.path().to_owned(),
        None => sent.to_string(),
    };
    let token = shown(&gateway, request.headers(), ticket);
    let knock = admit::Request {
        operation,
        token: token.as_deref().map_err(Problem::clone),
        subject,
        from,
        traceparent,
    };
    let (who, left) = admit::admit(&gateway, knock).await?;
    request.extensions_mut().insert(who);
    request.extensions_mut().insert(Shown(token?));
    let mut response = in_time(answer_max, next.run(request)).await?;
    left.tell(response.headers_mut());
    Ok(response)
}

/// The ticket in the address of a live stream.
fn ticket(request: &Request, path: &str) -> Option<String> {
    let query = request.uri().query().unwrap_or_default();
    let is_live = matches!(path, "/events" | "/events/ws");
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).ok()?;
    let mut pairs = pairs.into_iter().filter(|_| is_live);
    pairs.find_map(|(name, value)| (name == "ticket").then_some(value))
}

/// The token of who asks: of its header, or of its ticket, and never of both.
fn shown(
    gateway: &Gateway,
    headers: &HeaderMap,
    ticket: Option<String>,
) -> Result<String, Problem> {
    let Some(ticket) = ticket else {
        return Ok(auth::bearer(headers)?.to_owned());
    };
    if headers.contains_key(header::AUTHORIZATION) {
        return Err(Problem::new("bad_credential", "it was sent more than once"));
    }
    let taken = gateway.tickets.take(&ticket, Instant::now());
    taken.ok_or_else(|| Problem::new("bad_credential", "it is not known, or has ended"))
}

/// What gives a credential out needs none; that it was refused is on record too.
async fn open_to_all(
    gateway: &Gateway,
    asked: Asked,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    gateway.rates.knock(asked.from, Instant::now())?;
    let response = in_time(ANSWER_MAX, next.run(request)).await?;
    if let Some(problem) = response.extensions().get::<Arc<Problem>>() {
        admit::refused(gateway, None, Problem::clone(problem), &asked).await;
    }
    Ok(response)
}

/// An answer that begins in time.
async fn in_time(
    answer_max: Duration,
    answer: impl Future<Output = Response>,
) -> Result<Response, Refusal> {
    match tokio::time::timeout(answer_max, answer).await {
        Ok(response) => Ok(response),
        Err(_) => Err(Problem::new("overloaded", "the answer took too long").into()),
    }
}

/// Whoever calls is told so in the words of gRPC.
async fn nothing(headers: HeaderMap) -> Response {
    match grpc::speaks(&headers) {
        true => grpc::unimplemented(),
        false => no_path().await.into_response(),
    }
}

async fn no_path() -> Refusal {
    Problem::new("no_such_resource", "nothing lies here").into()
}

async fn no_method() -> Refusal {
    Problem::new("method_not_allowed", "this path has other methods").into()
}

/// The page of one error, which its document names as its type.
async fn error_page(axum::extract::Path(code): axum::extract::Path<String>) -> Response {
    match error::ALL.iter().find(|row| row.code == code) {
        None => no_path().await.into_response(),
        Some(row) => {
            let text = format!("# {}\n\n{}.\n\n{}.\n", row.code, row.title, row.hint);
            (
                [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")],
                text,
            )
                .into_response()
        }
    }
}

/// The operation that a request turned out to call.
#[derive(Clone, Default)]
pub(crate) struct Called(Arc<OnceLock<&'static str>>);

impl Called {
    /// Tells whoever counts requests.
    pub(crate) fn tell(request: &Request, operation: Option<&'static Operation>) {
        let called = request.extensions().get::<Self>();
        if let (Some(Self(called)), Some(operation)) = (called, operation) {
            // A request calls one operation, and is told of once.
            let _ = called.set(operation.id);
        }
    }
}

/// Gives a request its trace, an answer its safe headers, and a refusal its document.
async fn dress(mut request: Request, next: Next) -> Response {
    let (began, called) = (Instant::now(), Called::default());
    let trace = trace::of(request.headers());
    request.extensions_mut().insert(trace);
    request.extensions_mut().insert(called.clone());
    let method = request.method().clone();
    let span = span(&trace, &method);
    let mut response = next.run(request).instrument(span.clone()).await;
    let (operation, took) = (called.0.get().copied(), began.elapsed());
    end(span, operation, response.status());
    metrics::answered(operation, response.status(), took);
    tracing::info!(
        trace_id = trace.id(),
        operation,
        method = method.as_str(),
        status = response.status().as_u16(),
        duration_ms = took.as_secs_f64() * 1_000.0,
        "answered"
    );
    if let Some(problem) = response.extensions_mut().remove::<Arc<Problem>>() {
        metrics::refused(problem.row.code);
        response = told(response, &problem, &trace);
    }
    let headers = response.headers_mut();
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    let policy = HeaderValue::from_static("no-referrer");
    headers.insert(header::REFERRER_POLICY, policy);
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(id) = HeaderValue::from_str(&trace.id()) {
        headers.insert("trace-id", id);
    }
    response
}

/// What a request is within its trace; it names neither who asks nor for what.
fn span(trace: &Trace, method: &Method) -> Span {
    tracing::error_span!(
        target: TARGET,
        "request",
        trace_id = trace.id(),
        span_id = trace.span(),
        parent_id = trace.parent(),
        is_sampled = trace.is_sampled(),
        otel.kind = "server",
        otel.name = Empty,
        otel.status = Empty,
        http.request.method = method.as_str(),
        http.response.status_code = Empty,
    )
}

fn end(span: Span, operation: Option<&str>, status: StatusCode) {
    span.record("otel.name", operation.unwrap_or("no operation"));
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status", "error");
    }
}

/// The document of a refusal.
fn told(refused: Response, problem: &Problem, trace: &Trace) -> Response {
    let trace_id = trace.id();
    let mut document = problem.document();
    document["detail"] = problem.safe_detail(&trace_id).into();
    document["trace_id"] = trace_id.into();
    let (mut parts, _) = refused.into_parts();
    let media = HeaderValue::from_static("application/problem+json");
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, media);
    Response::from_parts(parts, document.to_string().into())
}

/// The status of an answer that has a document in the description.
pub(crate) const REFUSALS: &[StatusCode] = &[
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::CONFLICT,
    StatusCode::PRECONDITION_FAILED,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::UNPROCESSABLE_ENTITY,
    StatusCode::PRECONDITION_REQUIRED,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::INSUFFICIENT_STORAGE,
];
