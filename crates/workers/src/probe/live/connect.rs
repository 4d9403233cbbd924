//! Connecting: the one place where a TCP connection to somebody else's machine is opened.
//!
//! **Invariant:** the egress policy judges the very address that is connected, immediately before.
//! **Invariant:** a connection holds a place at its host and one of the process until it is closed.

use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit};

use super::TaskProbe;
use super::resolve::Purpose;
use crate::collectors::CollectError;
use crate::probe::addresses::{self, Choice};

/// An open connection with its places.
pub(super) struct Connection<'a> {
    pub(super) stream: TcpStream,
    pub(super) places: Places<'a>,
}

/// What a connection occupies until it is dropped.
pub(super) struct Places<'a> {
    _host: OwnedSemaphorePermit,
    _process: SemaphorePermit<'a>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum NoConnection {
    /// Nothing was sent: policy, budget.
    Denied(CollectError),
    /// The machine says no, or nothing.
    Closed(String),
}

impl From<NoConnection> for CollectError {
    fn from(cause: NoConnection) -> Self {
        match cause {
            NoConnection::Denied(error) => error,
            NoConnection::Closed(reason) => Self::Unavailable(reason),
        }
    }
}

impl TaskProbe {
    /// Connects to `remote` if the egress policy and the budget allow.
    pub(super) async fn connect(&self, remote: SocketAddr) -> Result<Connection<'_>, NoConnection> {
        // Before anything waits, so that a refused address costs nothing.
        self.permit(remote.ip()).map_err(NoConnection::Denied)?;
        self.at_source_pace().await;
        let host = self.scan.hosts.enter(remote.ip()).await;
        let process = self.scan.live.connections.acquire().await;
        let places = Places {
            _host: host,
            _process: process.expect("never closed"),
        };
        self.charge().map_err(NoConnection::Denied)?;
        let wait = self.scan.policy.timeouts.connect;
        let closed = |reason: String| NoConnection::Closed(format!("{remote}: {reason}"));
        match tokio::time::timeout(wait, TcpStream::connect(remote)).await {
            Ok(Ok(stream)) => {
                // Requests are small and sent at once; a socket that refuses this still works.
                let _ = stream.set_nodelay(true);
                Ok(Connection { stream, places })
            }
            Ok(Err(error)) => Err(closed(error.to_string())),
            Err(_) => Err(closed("no connection in time".into())),
        }
    }

    /// Records and answers a refusal of the egress policy.
    pub(super) fn permit(&self, address: IpAddr) -> Result<(), CollectError> {
        self.scan.egress.check(address).map_err(|rule| {
            self.refuse(rule, address.to_string());
            CollectError::Forbidden(rule.to_owned())
        })
    }

    fn refuse(&self, rule: &'static str, detail: String) {
        let mut refused = self.refused();
        // Every refusal has its rule; a task that meets more than this shows its kind by then.
        if refused.len() < super::REFUSALS_MAX {
            refused.push((rule.to_owned(), detail));
        }
    }

    /// The addresses of a host that may be contacted.
    pub(super) async fn allowed(&self, host: &str) -> Result<Vec<IpAddr>, CollectError> {
        let found = match addresses::literal(host) {
            Some(address) => vec![address],
            None => {
                let [four, six] = addresses::KINDS;
                let ask = |kind| self.resolve(host, kind, Purpose::Connection);
                let (four, six) = tokio::join!(ask(four), ask(six));
                addresses::listed(four, six)?
            }
        };
        let choice = Choice::of(&self.scan.egress, found);
        for (address, rule) in &choice.refused {
            self.refuse(rule, format!("{host} {address}"));
        }
        choice.outcome()
    }
}
