//! How a node is: `/healthz` says that it lives, `/readyz` whether all that it needs answers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

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

pub fn routes(readiness: Arc<dyn Readiness>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(readiness)
}

async fn ready(State(readiness): State<Arc<dyn Readiness>>) -> (StatusCode, Json<Ready>) {
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
    (status, Json(ready))
}

/// Answers until `stop` is cancelled.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}
