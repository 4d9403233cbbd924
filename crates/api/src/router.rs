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
use crate::auth::{self, operations};
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
        .routes(routes!(api_keys::list, api_keys::issue))
        .routes(routes!(api_keys::revoke))
        .routes(routes!(audit::list))
        .routes(routes!(devices::begin))
        .routes(routes!(devices::poll))
        .routes(routes!(devices::show))
        .routes(routes!(devices::confirm))
        .routes(routes!(diff::list))
        .routes(routes!(entities::list))
        .routes(routes!(entities::get))
        .routes(routes!(entities::chains))
        .routes(routes!(sse::stream))
        .routes(routes!(ws::open))
        .routes(routes!(evidence::get))
        .routes(routes!(findings::list))
        .routes(routes!(findings::get))
        .routes(routes!(findings::chains))
        .routes(routes!(graph::neighbors))
        .routes(routes!(graph::paths))
        .routes(routes!(identities::list, identities::begin))
        .routes(routes!(identities::unlink))
