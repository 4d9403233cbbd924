//! Sockets: where a name or a service may be spoken to, and the lists of ports that settings name.
//!
//! **Invariant:** a name without an address is no failure: there is nobody to speak to.

use std::net::{IpAddr, SocketAddr};

use hickory_proto::rr::RecordType;
use mirage_domain::entity::Transport;

use crate::collectors::{CollectError, Input};
use crate::probe::Probe;

/// Ports that one setting may name.
const PORTS_MAX: usize = 10_000;

/// Reads `22,80,8000-8010`: sorted, each once, none for an empty text.
pub(in crate::collectors) fn ports(text: &str) -> Result<Vec<u16>, CollectError> {
    let wrong = |part: &str| {
        let form = "write ports as in 22,80,8000-8010";
        CollectError::Malformed(format!("`{part}` is no port: {form}"))
    };
    let parts = text.split(',').map(str::trim);
    let mut ports = Vec::new();
    for part in parts.filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
        let (Some(first), Some(last)) = (port(first), port(last)) else {
            return Err(wrong(part));
        };
        if first > last {
            return Err(wrong(part));
        }
        ports.extend(first..=last);
        if ports.len() > PORTS_MAX {
            let reason = format!("more than {PORTS_MAX} ports");
            return Err(CollectError::Malformed(reason));
        }
    }
    ports.sort_unstable();
    ports.dedup();
    Ok(ports)
}

/// Whether a failure's reason says that nobody listens there, or that no exchange with such a port is on record.
pub(in crate::collectors) fn is_closed(reason: &str) -> bool {
    [
        "refused",
        "unreachable",
        "no connection in time",
        "not recorded",
    ]
    .iter()
    .any(|closed| reason.contains(closed))
}

/// The addresses of a name that may be contacted, sorted; none if it has none.
pub(in crate::collectors) async fn addresses(
    host: &str,
    probe: &dyn Probe,
) -> Result<Vec<IpAddr>, CollectError> {
    let error = match probe.addresses(host).await {
        Ok(addresses) => return Ok(addresses),
        Err(error) => error,
    };
    // Asked again from the scan's cache: whether the resolver failed, or has answered that there is none.
    let is_answered = probe.dns(host, RecordType::A).await.is_ok()
        && probe.dns(host, RecordType::AAAA).await.is_ok();
    match error {
        CollectError::Unavailable(_) if is_answered => Ok(Vec::new()),
        error => Err(error),
    }
}

/// Where an input is spoken to over TCP: a service at its socket, a name at each address and each of `ports`.
pub(in crate::collectors) async fn of(
    input: &Input,
    ports: &str,
    probe: &dyn Probe,
) -> Result<Vec<SocketAddr>, CollectError> {
    match input.entity.service_socket() {
        Some((socket, Transport::Tcp)) => return Ok(vec![socket]),
        Some((_, Transport::Udp)) => return Ok(Vec::new()),
        None => {}
    }
    let ports = self::ports(ports)?;
    let addresses = addresses(input.key(), probe).await?;
    let at = |address| {
        ports
            .iter()
            .map(move |port| SocketAddr::new(address, *port))
    };
    Ok(addresses.into_iter().flat_map(at).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_open_and_says_nothing_is_not_closed() {
        assert!(is_closed("192.0.2.1:80: Connection refused (os error 111)"));
        assert!(is_closed("192.0.2.1:80: no connection in time"));
        assert!(!is_closed("example.com: no answer in time"));
        assert!(!is_closed("example.com: connection reset by peer"));
    }

    #[test]
    fn a_list_of_ports_is_sorted_and_each_stands_once() {
        assert_eq!(
            ports("80, 22,8000-8002,80").unwrap(),
            [22, 80, 8000, 8001, 8002]
        );
        assert_eq!(ports("").unwrap(), [0_u16; 0]);
        assert_eq!(ports("1-10000").unwrap().len(), PORTS_MAX);
    }

    #[test]
    fn what_is_no_port_is_named_in_the_refusal() {
        for text in ["0", "65536", "a", "9-1", "1-", "-", "80;81", "1-65535"] {
            let error = ports(text).unwrap_err();
            assert_eq!(error.reason(), "malformed", "{text}");
        }
        let error = ports("22,http").unwrap_err();
        assert!(error.detail().contains("`http`"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = ports(&text);
        }
    }
}
