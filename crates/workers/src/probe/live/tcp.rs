//! Ports: whether one is open, and what it says first.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::TaskProbe;
use super::connect::{Door, NoConnection, Target};
use crate::collectors::CollectError;
use crate::probe::exchange::{Exchange, Frame};
use crate::probe::{OpenPort, answer};

/// Bytes of a banner that are kept.
const BANNER_BYTES_MAX: usize = 1024;
/// How long a port may take to open: a filtered one never does, and an open one answers within two retransmissions.
const CONNECT_WAIT: Duration = Duration::from_millis(1500);
/// How long a server may take before it counts as one that waits for us to speak.
const BANNER_WAIT: Duration = Duration::from_millis(500);

impl TaskProbe {
    pub(super) async fn knock(&self, remote: SocketAddr) -> Result<Option<OpenPort>, CollectError> {
        let target = Target::At(remote);
        let mut places = self.enter(&target, Door::Port).await?;
        let hearing = pin!(self.hear_banner(&target));
        let banner = match places.patiently(&self.scan.live, hearing).await {
            Ok(banner) => banner,
            Err(NoConnection::Closed(_)) => return Ok(None),
            Err(NoConnection::Denied(error)) => return Err(error),
        };
        self.received(banner.len());
        let frame = Frame::Tcp {
            remote: remote.to_string(),
        };
        let exchange = Exchange {
            frame,
            payload: banner,
        };
        let evidence = self.keep(&exchange).await?;
        Ok(Some(answer::open_port(
            exchange,
            BANNER_BYTES_MAX,
            evidence,
        )))
    }

    async fn hear_banner(&self, target: &Target) -> Result<Vec<u8>, NoConnection> {
        let wait = CONNECT_WAIT.min(self.scan.policy.timeouts.connect);
        let mut stream = self.open(target, wait).await?;
        let mut banner = vec![0; BANNER_BYTES_MAX];
        let read = tokio::time::timeout(BANNER_WAIT, stream.read(&mut banner));
        // A reset is as silent as silence: the port was open.
        let length = read.await.map_or(0, |read| read.unwrap_or(0));
        banner.truncate(length);
        Ok(banner)
    }
}
