//! gRPC on the gateway's own listener: `schemas/proto` describes it, one service a file here.
//!
//! A call passes what a request passes: the same credentials, table of operations, limits and errors. To add a method: its
//! description, its row in `methods.rs`, its function; a test compares descriptions and rows.
//! **Invariant:** a method runs only for an operation that stands in the table, and a role that the table lets in.
//! **Never:** an answer in other words than the messages', nor a question that `ask` does not ask.

mod auth;
mod call;
mod convert;
mod finding;
pub mod health;
mod message;
pub mod methods;
mod reflection;
mod scan;
pub mod status;
mod watch;
mod why;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use tonic::codegen::Service;
use tonic::server::NamedService;

use crate::gateway::Gateway;
pub(crate) use auth::{speaks, unimplemented};
use finding::Findings;
use scan::Scans;
use v1::finding_service_server::FindingServiceServer;
use v1::scan_service_server::ScanServiceServer;
use v1::watch_service_server::WatchServiceServer;
use v1::why_service_server::WhyServiceServer;
use watch::Watches;
use why::Whys;

/// Messages, servers and clients, as they are generated.
#[allow(clippy::all, unreachable_pub, reason = "nobody wrote it")]
pub mod v1 {
    include!("generated/mirage.v1.rs");
}

/// The descriptions, compiled.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/mirage.v1.binpb");

/// Every service, behind its door, and the descriptions, which anybody may read.
pub(crate) fn routes(gateway: &Arc<Gateway>) -> Router {
    let own = Router::new();
    let own = with(own, FindingServiceServer::new(Findings(gateway.clone())));
    let own = with(own, ScanServiceServer::new(Scans(gateway.clone())));
    let own = with(own, WatchServiceServer::new(Watches(gateway.clone())));
    let own = with(own, WhyServiceServer::new(Whys(gateway.clone())));
    own.route_layer(from_fn_with_state(gateway.clone(), auth::let_in))
        .merge(reflection::routes(gateway))
}

/// The routes of a service, which is called by its name.
fn with<S>(routes: Router, service: S) -> Router
where
    S: Service<Request, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
{
    routes.route_service(&format!("/{}/{{*method}}", S::NAME), service)
}
