//! How a node is: `/healthz` says that it lives, `/readyz` whether all that it needs answers.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::listener::{Listener, Peer};

/// One thing that a node needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dependency {
    pub name: String,
    pub is_ready: bool,
    /// Where it stands, or what is wrong; no cause from within, for anybody may ask.
    pub detail: String,
}

/// Who knows what a node needs; bounded in time.
#[async_trait]
pub trait Readiness: Send + Sync {
    async fn dependencies(&self) -> Vec<Dependency>;
}

#[derive(Debug, Serialize)]
struct Ready {
    is_ready: bool,
    version: &'static str,
    dependencies: Vec<Dependency>,
}

/// How a node is can be said of this moment alone; without a word, a cache may choose how long it repeats it.
const OF_NOW: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

pub fn routes(readiness: Arc<dyn Readiness>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { (OF_NOW, "ok\n") }))
        .route("/readyz", get(ready))
        .with_state(readiness)
}

async fn ready(State(readiness): State<Arc<dyn Readiness>>) -> impl IntoResponse {
    let dependencies = readiness.dependencies().await;
    let is_ready = dependencies.iter().all(|dependency| dependency.is_ready);
    let status = match is_ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let version = env!("CARGO_PKG_VERSION");
    let ready = Ready {
        is_ready,
        version,
        dependencies,
    };
    (status, OF_NOW, Json(ready))
}

/// Answers until `stop` is cancelled.
pub async fn serve(
    listener: Listener,
    mut routes: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    if listener.is_tls() {
        routes = routes.layer(from_fn(over_tls));
    }
    let service = routes.into_make_service_with_connect_info::<Peer>();
    axum::serve(listener, service)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

/// Tells a browser never to ask this host without TLS again (RFC 6797): for what is served over TLS.
async fn over_tls(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let policy = HeaderValue::from_static("max-age=31536000; includeSubDomains");
    let name = header::STRICT_TRANSPORT_SECURITY;
    response.headers_mut().insert(name, policy);
    response
}
