//! Servers: where WHOIS is spoken, how each wants to be asked, and which one an answer refers to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use mirage_domain::entity::{Entity, Kind};

use super::fields::Field;
use crate::collectors::CollectError;
use crate::probe::Probe;

/// RFC 3912.
const PORT: u16 = 43;

/// Fields that name the next server, the surest first.
const REFERRALS: &[&str] = &[
    "refer",
    "referralserver",
    "registrar whois server",
    "whois server",
    "whois",
];

/// Servers that answer a bare question by more, or by less, than its registration: `{}` stands for it.
const QUESTIONS: &[(&str, &str)] = &[
    ("whois.arin.net", "n + {}"),
    ("whois.denic.de", "-T dn,ace {}"),
    ("whois.jprs.jp", "{}/e"),
];

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Server {
    /// A name or an address in normal form.
    host: String,
    port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl Server {
    /// Reads `HOST`, `HOST:PORT` or `whois://HOST:PORT/`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix("whois://").unwrap_or(text);
        let text = text.trim_end_matches('/');
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::at(address, PORT));
        }
        if let Ok(socket) = text.parse::<SocketAddr>() {
            return Some(Self::at(socket.ip(), socket.port()));
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (text, PORT),
        };
        // A name of one label would be completed by the machine's own domain.
        let entity = Entity::new(Kind::Domain, host).ok()?;
        let host = entity.key().to_owned();
        (port > 0 && host.contains('.')).then_some(Self { host, port })
    }

    fn at(address: IpAddr, port: u16) -> Self {
        let host = address.to_canonical().to_string();
        Self { host, port }
    }

    pub(super) fn question(&self, entity: &Entity) -> String {
        let own = QUESTIONS.iter().find(|(host, _)| *host == self.host);
        own.map_or("{}", |(_, form)| form)
            .replace("{}", entity.key())
    }

    /// Where it may be spoken to, in sorted order.
    pub(super) async fn sockets(&self, probe: &dyn Probe) -> Result<Vec<SocketAddr>, CollectError> {
        let addresses = probe.addresses(&self.host).await?.into_iter();
        Ok(addresses.map(|ip| SocketAddr::new(ip, self.port)).collect())
    }
}

/// The server that an answer refers to.
pub(super) fn referral(fields: &[Field]) -> Option<Server> {
    let named = |key: &&str| {
        let own = fields.iter().filter(|field| field.key == **key);
        own.filter_map(|field| Server::parse(&field.value)).next()
    };
    REFERRALS.iter().find_map(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_with_or_without_a_port() {
        for (text, server) in [
            ("whois.example.net", Some("whois.example.net:43")),
            (" WHOIS.Example.net.:4343 ", Some("whois.example.net:4343")),
            (
                "whois://whois.example.net:43/",
                Some("whois.example.net:43"),
            ),
            ("192.0.2.1", Some("192.0.2.1:43")),
            ("192.0.2.1:44", Some("192.0.2.1:44")),
            ("2001:DB8::1", Some("[2001:db8::1]:43")),
            ("[2001:db8::1]:44", Some("[2001:db8::1]:44")),
            ("rwhois://a.example:4321", None),
            ("https://a.example/whois", None),
            ("a.example:0", None),
            ("a.example:port", None),
            ("localhost", None),
            ("a b.example", None),
            ("", None),
        ] {
            let parsed = Server::parse(text).map(|server| server.to_string());
            assert_eq!(parsed.as_deref(), server, "{text}");
        }
    }

    #[test]
    fn some_servers_want_more_than_the_bare_name() {
        let entity = Entity::new(Kind::Domain, "example.de").unwrap();
        let question = |server| Server::parse(server).unwrap().question(&entity);
        assert_eq!(question("whois.denic.de"), "-T dn,ace example.de");
        assert_eq!(question("whois.iana.org"), "example.de");
    }
}
