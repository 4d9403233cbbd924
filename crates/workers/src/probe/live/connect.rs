//! Connecting: the one place where a TCP connection to somebody else's machine is opened.
//!
//! **Invariant:** the egress policy judges the very address that is connected, immediately before.
//! **Invariant:** an exchange holds a place at its host, and one of the process among those that work or that wait.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit};

use super::resolve::Purpose;
use super::{Live, TaskProbe, tunnel};
use crate::collectors::CollectError;
use crate::probe::addresses::{self, Choice};

/// After this long a connection that waits for its server stops counting as active.
const PATIENCE: Duration = Duration::from_millis(500);

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Target {
    At(SocketAddr),
    /// A name and a port, for a proxy to resolve.
    Named(Box<str>, u16),
}

impl Target {
    pub(super) fn text(&self) -> String {
        match self {
            Self::At(address) => address.to_string(),
            Self::Named(name, port) => format!("{name}:{port}"),
        }
    }

    /// As it stands in evidence; empty if only the proxy knows.
    pub(super) fn address(&self) -> String {
        match self {
            Self::At(address) => address.to_string(),
            Self::Named(..) => String::new(),
        }
    }

    /// The same machine, whatever the port.
    pub(super) fn host(&self) -> Self {
        match self {
            Self::At(address) => Self::At(SocketAddr::new(address.ip(), 0)),
            Self::Named(name, _) => Self::Named(name.clone(), 0),
        }
    }
}

/// What a connection is for: a host has places for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// To talk.
    Web,
    /// To see whether anybody is there; most ports of a filtered host never say.
    Port,
}

/// What a connection occupies until it is dropped.
pub(super) struct Places<'a> {
    _host: OwnedSemaphorePermit,
    process: SemaphorePermit<'a>,
}

impl<'a> Places<'a> {
    /// Runs what waits for a server. One that keeps silent is moved to a place among those that wait, if there is one,
    /// so that many of them do not keep others from being asked.
    pub(super) async fn patiently<T>(
        &mut self,
        live: &'a Live,
        mut waiting: impl Future<Output = T> + Unpin,
    ) -> T {
        if let Ok(outcome) = tokio::time::timeout(PATIENCE, &mut waiting).await {
            return outcome;
        }
        if let Ok(place) = live.waiting.try_acquire() {
            self.process = place;
        }
        waiting.await
    }
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
    /// Lets a request to `target` through once the egress policy, the paces, the places and the budget allow.
    pub(super) async fn enter(
        &self,
        target: &Target,
        door: Door,
    ) -> Result<Places<'_>, CollectError> {
        // Before anything waits, so that a refused address costs nothing.
        self.judge(target)?;
        self.at_source_pace().await;
        let host = self.scan.hosts.enter(target, door).await;
        let process = self.scan.live.connections.acquire().await;
        self.charge()?;
        Ok(Places {
            _host: host,
            process: process.expect("never closed"),
        })
    }

    /// The egress policy's word on what Mirage knows of a target (`proxy.rs` says what that is).
    fn judge(&self, target: &Target) -> Result<(), CollectError> {
        match target {
            Target::At(remote) => self.permit(remote.ip()),
            Target::Named(name, _) => tunnel::local(name).map_or(Ok(()), |at| self.permit(at)),
        }
    }

    /// Connects, through the scan's proxy if there is one, for whoever has entered.
    pub(super) async fn open(
        &self,
        target: &Target,
        wait: Duration,
    ) -> Result<TcpStream, NoConnection> {
        self.judge(target).map_err(NoConnection::Denied)?;
        match (&self.scan.policy.proxy, target) {
            (Some(proxy), _) => tunnel::open(proxy, target, wait).await,
            (None, Target::At(remote)) => direct(*remote, wait).await,
            // Without a proxy a name is an address before it gets here.
            (None, Target::Named(..)) => Err(NoConnection::Closed(target.text())),
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

async fn direct(remote: SocketAddr, wait: Duration) -> Result<TcpStream, NoConnection> {
    let closed = |reason: String| NoConnection::Closed(format!("{remote}: {reason}"));
    match tokio::time::timeout(wait, TcpStream::connect(remote)).await {
        Ok(Ok(stream)) => {
            // Requests are small and sent at once; a socket that refuses this still works.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(error)) => Err(closed(error.to_string())),
        Err(_) => Err(closed("no connection in time".into())),
    }
}
