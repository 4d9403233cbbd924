//! Where a request comes from: its peer, or what a proxy that is trusted says of its own peer.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::ConnectInfo;
use axum::http::{Extensions, HeaderMap};
use ipnet::IpNet;

use crate::listener::Peer;

/// Hops of `X-Forwarded-For` that are looked at.
const HOPS_MAX: usize = 16;

/// The address that a request came from; one for all where the listener does not tell.
///
/// `X-Forwarded-For` counts only as far as proxies wrote it that are named: whoever else writes it says what it likes.
pub fn of(extensions: &Extensions, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let peer = extensions.get::<ConnectInfo<Peer>>();
    let mut address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.0.ip());
    let is_proxy = |address: IpAddr| {
        let address = address.to_canonical();
        proxies.iter().any(|proxy| proxy.contains(&address))
    };
    let texts = headers.get_all("x-forwarded-for").iter();
    let texts: Vec<&str> = texts.filter_map(|text| text.to_str().ok()).collect();
    // The last hop is the one that the peer itself saw.
    let hops = texts.iter().rev().flat_map(|text| text.rsplit(','));
    for hop in hops.take(HOPS_MAX) {
        if !is_proxy(address) {
            break;
        }
        match hop.trim().parse() {
            Ok(before) => address = before,
            Err(_) => break,
        }
    }
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn from(peer: &str, forwarded: &[&'static str]) -> String {
        let mut extensions = Extensions::new();
        let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
        extensions.insert(ConnectInfo(Peer(peer)));
        let mut headers = HeaderMap::new();
        for text in forwarded {
            headers.append("x-forwarded-for", text.parse().unwrap());
        }
        let proxies = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        of(&extensions, &headers, &proxies).to_string()
    }

    #[test]
    fn only_what_named_proxies_wrote_counts() {
        for (peer, forwarded, expected) in [
            ("192.0.2.1", &["198.51.100.7"][..], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            (
                "10.0.0.1",
                &["203.0.113.9, 198.51.100.7, 10.0.0.2"],
                "198.51.100.7",
            ),
            ("10.0.0.1", &["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
            ("::ffff:10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["nonsense"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7, nonsense"], "10.0.0.1"),
        ] {
            assert_eq!(from(peer, forwarded), expected, "{peer} {forwarded:?}");
        }
    }
}
