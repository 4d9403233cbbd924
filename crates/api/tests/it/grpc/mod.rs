//! gRPC by real clients over real sockets: what it answers, whom, and what it refuses.

mod bytes;
mod matrix;
mod offered;
mod reads;
mod requests;
mod watch;
mod writes;

use std::net::SocketAddr;

use mirage_api::grpc::v1::finding_service_client::FindingServiceClient;
use mirage_api::grpc::v1::scan_service_client::ScanServiceClient;
use mirage_api::grpc::v1::why_service_client::WhyServiceClient;
use mirage_domain::role::Role;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::rig::Rig;

pub(crate) async fn channel(at: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{at}")).unwrap();
    endpoint.connect().await.unwrap()
}

/// A call with a credential.
pub(crate) fn call<T>(key: &str, asked: T) -> Request<T> {
    let mut request = Request::new(asked);
    let value = format!("Bearer {key}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

/// The code of the row that a status tells.
pub(crate) fn code(status: &Status) -> &str {
    let code = status.metadata().get("code");
    code.map_or("none", |code| code.to_str().unwrap())
}

/// A gateway behind a socket, and clients of it.
struct Wired {
    rig: Rig,
    channel: Channel,
}

impl Wired {
    async fn new() -> Self {
        let rig = Rig::new().await;
        let channel = channel(rig.serve().await).await;
        // So that two questions are of one moment, whoever asks.
        let head = rig.head().await;
        rig.get(&format!("/scans?min_position={head}")).await.good();
        Self { rig, channel }
    }

    /// A call of the owner of the first workspace.
    fn owner<T>(&self, asked: T) -> Request<T> {
        call(&self.rig.key(0, Role::Owner), asked)
    }

    fn scans(&self) -> ScanServiceClient<Channel> {
        ScanServiceClient::new(self.channel.clone())
    }

    fn findings(&self) -> FindingServiceClient<Channel> {
        FindingServiceClient::new(self.channel.clone())
    }

    fn why(&self) -> WhyServiceClient<Channel> {
        WhyServiceClient::new(self.channel.clone())
    }
}
