//! `service`: `ADDRESS:PORT/tcp` or `/udp`, an IPv6 address in brackets.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Entity, KeyError, Kind};

const FORM: KeyError =
    KeyError::Form("a service is ADDRESS:PORT/tcp or /udp, such as 192.0.2.1:443/tcp");

/// What a service is spoken to over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Tcp,
    Udp,
}

impl Transport {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let (socket, transport) = parse(text).ok_or(FORM)?;
    Ok(key(socket, transport))
}

fn key(socket: SocketAddr, transport: Transport) -> String {
    format!("{socket}/{transport}")
}

/// Zone ids are refused, as for `ip`; port 0 is none.
fn parse(text: &str) -> Option<(SocketAddr, Transport)> {
    let (socket, transport) = text.rsplit_once('/')?;
    let transport = [Transport::Tcp, Transport::Udp]
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(transport))?;
    let socket: SocketAddr = socket.parse().ok().filter(|_| !socket.contains('%'))?;
    let socket = SocketAddr::new(socket.ip().to_canonical(), socket.port());
    (socket.port() != 0).then_some((socket, transport))
}

impl Entity {
    /// The `service` at an address; none at port 0.
    pub fn service(socket: SocketAddr, transport: Transport) -> Result<Self, KeyError> {
        let socket = SocketAddr::new(socket.ip().to_canonical(), socket.port());
        Self::new(Kind::Service, &key(socket, transport))
    }

    /// Where a `service` is spoken to.
    pub fn service_socket(&self) -> Option<(SocketAddr, Transport)> {
        (self.kind() == Kind::Service)
            .then(|| parse(self.key()))
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_service_has_one_key() {
        for (text, key) in [
            ("192.0.2.1:443/TCP", "192.0.2.1:443/tcp"),
            ("[2001:DB8:0::1]:53/udp", "[2001:db8::1]:53/udp"),
            ("[::ffff:192.0.2.1]:0080/tcp", "192.0.2.1:80/tcp"),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key));
        }
        for text in [
            "192.0.2.1:0/tcp",
            "192.0.2.1:65536/tcp",
            "192.0.2.1:80",
            "192.0.2.1/tcp",
            "2001:db8::1:53/udp",
            "[fe80::1%1]:80/tcp",
            "example.com:80/tcp",
            "192.0.2.1:80/sctp",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
    }

    #[test]
    fn a_service_gives_its_socket() {
        let socket: SocketAddr = "[2001:db8::1]:53".parse().unwrap();
        let service = Entity::service(socket, Transport::Udp).unwrap();
        assert_eq!(service.key(), "[2001:db8::1]:53/udp");
        assert_eq!(service.service_socket(), Some((socket, Transport::Udp)));
        assert_eq!(
            Entity::recorded(Kind::Ip, "192.0.2.1").service_socket(),
            None
        );
        assert!(Entity::service(SocketAddr::new(socket.ip(), 0), Transport::Tcp).is_err());
    }
}
