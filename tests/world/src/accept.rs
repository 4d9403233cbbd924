//! The one way in: accepts connections, of loopback peers only, for every TCP service.
//!
//! **Invariant:** a connection lives no longer than the task that accepts; a failed accept ends
//! neither.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Accepting fails when descriptors run out; they come back when connections end.
const RELIEF: Duration = Duration::from_millis(10);

/// Serves each connection in a task of its own, told the address it arrived at, until aborted.
pub(crate) async fn each<F>(listener: TcpListener, serve: impl Fn(TcpStream, Ipv4Addr) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Some(local) = local_address(&stream, peer) {
                    connections.spawn(serve(stream, local));
                }
            }
            Err(_) => tokio::time::sleep(RELIEF).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

/// The loopback address that was connected to; none if the peer is on another machine.
fn local_address(stream: &TcpStream, peer: SocketAddr) -> Option<Ipv4Addr> {
    match stream.local_addr().ok()?.ip() {
        IpAddr::V4(local) if local.is_loopback() && peer.ip().is_loopback() => Some(local),
        _ => None,
    }
}
