//! What the server says of itself: its descriptions by reflection, and its health.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use mirage_api::grpc;
use mirage_api::health::{self, Dependency, Readiness};
use mirage_api::listener::Listener;
use prost::Message;
use prost_types::FileDescriptorProto;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};

use super::{Wired, channel};
use crate::live::reader::PATIENCE;
use crate::rig::Rig;

const SERVICES: [&str; 4] = [
    "mirage.v1.FindingService",
    "mirage.v1.ScanService",
    "mirage.v1.WatchService",
    "mirage.v1.WhyService",
];

macro_rules! reflected {
    ($name:ident, $version:ident) => {
        /// The services by name, and the file that describes the first of ours.
        async fn $name(channel: &Channel) -> (Vec<String>, FileDescriptorProto) {
            use $version::server_reflection_client::ServerReflectionClient;
            use $version::server_reflection_request::MessageRequest;
            use $version::server_reflection_response::MessageResponse;
            let ask = |asked| $version::ServerReflectionRequest {
                host: String::new(),
                message_request: Some(asked),
            };
            let asked = [
                ask(MessageRequest::ListServices(String::new())),
                ask(MessageRequest::FileContainingSymbol(SERVICES[0].to_owned())),
            ];
            let mut client = ServerReflectionClient::new(channel.clone());
            let told = client.server_reflection_info(stream::iter(asked)).await;
            let told: Vec<_> = told.unwrap().into_inner().collect().await;
            let mut told = told.into_iter().map(|told| told.unwrap().message_response);
            let Some(Some(MessageResponse::ListServicesResponse(list))) = told.next() else {
                panic!("a list of services");
            };
            let Some(Some(MessageResponse::FileDescriptorResponse(file))) = told.next() else {
                panic!("a file");
            };
            let names = list.service.into_iter().map(|service| service.name);
            let file = FileDescriptorProto::decode(&*file.file_descriptor_proto[0]);
            (names.collect(), file.unwrap())
        }
    };
}

reflected!(by_v1, v1);
reflected!(by_v1alpha, v1alpha);

#[tokio::test]
async fn the_descriptions_are_read_from_the_server_by_anybody() {
    let wired = Wired::new().await;
    for (names, file) in [
        by_v1(&wired.channel).await,
        by_v1alpha(&wired.channel).await,
    ] {
        for service in SERVICES {
            assert!(names.iter().any(|name| name == service), "{names:?}");
        }
        assert!(names.iter().any(|name| name == "grpc.health.v1.Health"));
        assert_eq!(file.package(), "mirage.v1");
        assert_eq!(file.service[0].method.len(), 2);
    }
}

/// A node of which somebody says what it lacks.
#[derive(Default)]
struct Said {
    has_no_evidence: AtomicBool,
}

#[async_trait]
impl Readiness for Said {
    async fn dependencies(&self) -> Vec<Dependency> {
        let has_evidence = !self.has_no_evidence.load(Ordering::SeqCst);
        let dependency = |name: &str, is_ready| Dependency {
            name: name.to_owned(),
            is_ready,
            detail: String::new(),
        };
        vec![
            dependency("log", true),
            dependency("evidence", has_evidence),
            dependency("catalog", true),
        ]
    }
}

async fn status(channel: &Channel, service: &str) -> Result<ServingStatus, Code> {
    let service = service.to_owned();
    let mut client = HealthClient::new(channel.clone());
    let checked = client.check(HealthCheckRequest { service }).await;
    checked
        .map(|checked| checked.into_inner().status())
        .map_err(|status| status.code())
}

#[tokio::test]
async fn each_service_is_as_well_as_what_it_needs() {
    let said = Arc::new(Said::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let routes = grpc::health::routes(said.clone(), CancellationToken::new());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let channel = channel(at).await;
    for service in SERVICES.into_iter().chain([""]) {
        let told = status(&channel, service).await;
        assert_eq!(told, Ok(ServingStatus::Serving), "{service}");
    }
    said.has_no_evidence.store(true, Ordering::SeqCst);
    let lacking = ["mirage.v1.ScanService", "mirage.v1.WhyService", ""];
    for service in SERVICES.into_iter().chain([""]) {
        let expected = match lacking.contains(&service) {
            true => ServingStatus::NotServing,
            false => ServingStatus::Serving,
        };
        assert_eq!(status(&channel, service).await, Ok(expected), "{service}");
    }
    let nobody = status(&channel, "mirage.v1.NoService").await;
    assert_eq!(nobody, Err(Code::NotFound));
}

#[tokio::test]
async fn whoever_watches_is_told_when_the_health_changes() {
    let said = Arc::new(Said::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let routes = grpc::health::routes(said.clone(), CancellationToken::new());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let channel = channel(at).await;
    let mut client = HealthClient::new(channel);
    let mut watch = async |service: &str| {
        let service = service.to_owned();
        let watch = client.watch(HealthCheckRequest { service }).await;
        watch.unwrap().into_inner()
    };
    let mut why = watch("mirage.v1.WhyService").await;
    let mut unknown = watch("mirage.v1.NoService").await;
    let first = why.message().await.unwrap().unwrap().status();
    assert_eq!(first, ServingStatus::Serving);
    let first = unknown.message().await.unwrap().unwrap().status();
    assert_eq!(first, ServingStatus::ServiceUnknown);
    said.has_no_evidence.store(true, Ordering::SeqCst);
    let next = why.message().await.unwrap().unwrap().status();
    assert_eq!(next, ServingStatus::NotServing);
}

#[tokio::test]
async fn a_node_that_stops_waits_for_nobody_who_watches_or_might_ask_on() {
    use v1::server_reflection_client::ServerReflectionClient;
    let (rig, stop) = (Rig::new().await, CancellationToken::new());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let health = grpc::health::routes(Arc::new(Said::default()), stop.clone());
    let routes = rig.router.clone().merge(health);
    let served = tokio::spawn(health::serve(
        Listener::plain(listener).unwrap(),
        routes,
        stop.clone(),
    ));
    let channel = channel(at).await;
    let service = String::new();
    let mut client = HealthClient::new(channel.clone());
    let watch = client.watch(HealthCheckRequest { service }).await;
    let mut watch = watch.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();
    let mut client = ServerReflectionClient::new(channel);
    let asked = client.server_reflection_info(stream::pending()).await;
    let mut asked = asked.unwrap().into_inner();
    stop.cancel();
    rig.gateway.live.stop();
    timeout(PATIENCE / 3, served)
        .await
        .expect("in time")
        .unwrap()
        .unwrap();
    assert!(watch.message().await.unwrap().is_none());
    assert!(asked.message().await.unwrap().is_none());
}
