//! `grpc.health.v1.Health`: whether each service has what it needs, asked anew for every answer.
//!
//! **Never:** a cause from within, for anybody may ask; `/readyz` names what is missing.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::with;
use crate::health::Readiness;

/// Between two looks for somebody who watches.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Watchers at once: each look asks all that the node needs.
const WATCHERS_MAX: usize = 64;
/// Largest question, in bytes: the name of a service.
const QUESTION_BYTES_MAX: usize = 1024;

/// What each service needs, as readiness names it; the nameless one is the node and needs all there is.
const SERVICES: &[(&str, &[&str])] = &[
    ("mirage.v1.FindingService", &["catalog", "log"]),
    ("mirage.v1.ScanService", &["catalog", "evidence", "log"]),
    ("mirage.v1.WatchService", &["log"]),
    ("mirage.v1.WhyService", &["catalog", "evidence", "log"]),
];

/// Until `stop` is cancelled: a server that stops waits for its answers to end.
pub fn routes(readiness: Arc<dyn Readiness>, stop: CancellationToken) -> Router {
    let seats = Arc::new(Semaphore::new(WATCHERS_MAX));
    let health = HealthServer::new(Node {
        readiness,
        stop,
        seats,
    });
    with(
        Router::new(),
        health.max_decoding_message_size(QUESTION_BYTES_MAX),
    )
}

struct Node {
    readiness: Arc<dyn Readiness>,
    stop: CancellationToken,
    seats: Arc<Semaphore>,
}

#[tonic::async_trait]
impl Health for Node {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match look(&*self.readiness, &request.get_ref().service).await {
            ServingStatus::ServiceUnknown => Err(Status::not_found("there is no such service")),
            status => Ok(Response::new(told(status))),
        }
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let seat = self.seats.clone().try_acquire_owned();
        let seat = seat.map_err(|_| Status::resource_exhausted("as many watch as may"))?;
        let service = request.into_inner().service;
        let watch = Watch {
            readiness: self.readiness.clone(),
            service,
            last: None,
            _seat: seat,
        };
        let statuses = stream::unfold(watch, |mut watch| async {
            let status = watch.next().await;
            Some((Ok(told(status)), watch))
        });
        let until = self.stop.clone().cancelled_owned();
        Ok(Response::new(statuses.take_until(until).boxed()))
    }
}

/// Somebody who is told whenever the status changes.
struct Watch {
    readiness: Arc<dyn Readiness>,
    service: String,
    last: Option<ServingStatus>,
    _seat: OwnedSemaphorePermit,
}

impl Watch {
    async fn next(&mut self) -> ServingStatus {
        loop {
            let status = look(&*self.readiness, &self.service).await;
            if self.last.replace(status) != Some(status) {
                return status;
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}

async fn look(readiness: &dyn Readiness, service: &str) -> ServingStatus {
    let needs = SERVICES.iter().find(|(name, _)| *name == service);
    if needs.is_none() && !service.is_empty() {
        return ServingStatus::ServiceUnknown;
    }
    let is_needed = |name: &str| needs.is_none_or(|(_, needs)| needs.contains(&name));
    let dependencies = readiness.dependencies().await;
    let mut needed = dependencies
        .iter()
        .filter(|dependency| is_needed(&dependency.name));
    match needed.all(|dependency| dependency.is_ready) {
        true => ServingStatus::Serving,
        false => ServingStatus::NotServing,
    }
}

fn told(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}
