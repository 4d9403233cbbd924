//! ports: which TCP ports of an address are open, and what is said there first.
//!
//! A whole connection is made, so that no right beyond a user's is needed. The name of a protocol is a guess by banner.

use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use futures::StreamExt;
use mirage_domain::entity::{Entity, Kind, Transport};
use mirage_domain::module::{Manifest, Profile, Setting};
use mirage_domain::relation::Relation;

use super::{Claim, CollectError, Collector, Found, Input, sockets};
use crate::probe::{OpenPort, Probe};

pub(super) struct Ports;

/// Connections of one input at a time; the probe bounds them further.
const PARALLEL: usize = 32;
/// Bytes of a banner that are kept as an attribute; all of it is evidence.
const BANNER_BYTES_MAX: usize = 256;

static MANIFEST: Manifest = Manifest {
    name: "ports",
    summary: "Open TCP ports of an address, with what is said there first",
    consumes: &[Kind::Ip],
    produces: &[Kind::Service],
    profile: Profile::Active,
    parallel: 8,
    deadline_s: 600,
    settings: &[Setting {
        key: "ports",
        help: "TCP ports to connect to, such as 22,80,8000-8010",
        default: TOP,
        is_secret: false,
        is_operators: false,
    }],
    ..Manifest::DEFAULT
};

/// A hundred ports where something worth knowing listens: remote access, mail, files, the web, data, control.
const TOP: &str = "21,22,23,25,53,80,81,82,83,88,102,110,111,113,119,135,139,143,179,389,427,443,444,445,465,502,\
    512,513,514,515,548,554,587,593,623,631,636,646,873,902,990,993,995,1025,1080,1099,1194,1433,1521,1720,1723,1883,\
    2000,2049,2082,2083,2121,2181,2222,2375,2376,3000,3128,3268,3306,3389,4443,5000,5060,5432,5601,5672,5900,5984,5985,\
    6000,6379,6443,7001,8000,8008,8009,8080,8081,8088,8443,8500,8883,8888,9000,9042,9090,9092,9100,9200,9443,10000,\
    10250,11211,27017";

#[async_trait]
impl Collector for Ports {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn collect(
        &self,
        input: &Input,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError> {
        let wrong = |_| CollectError::Malformed(format!("`{}` is no address", input.key()));
        let address: IpAddr = input.key().parse().map_err(wrong)?;
        let ports = sockets::ports(input.setting("ports"))?;
        let knocks = ports.into_iter().map(|port| async move {
            let socket = SocketAddr::new(address, port);
            (socket, probe.tcp(socket, None).await)
        });
        let mut knocks = futures::stream::iter(knocks).buffer_unordered(PARALLEL);
        while let Some((socket, outcome)) = knocks.next().await {
            match outcome {
                Ok(Some(open)) => report(socket, &open, found),
                Ok(None) => {}
                // What forbids one port of an address forbids all.
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn report(socket: SocketAddr, open: &OpenPort, found: &Found) {
    let Ok(entity) = Entity::service(socket, Transport::Tcp) else {
        return;
    };
    let mut claim = Claim::out(Relation::Offers, entity, open.evidence);
    if !open.said.is_empty() {
        claim = claim.with("banner", escaped(&open.said));
    }
    if let Some(protocol) = protocol(&open.said) {
        claim = claim.with("protocol", protocol);
    }
    found.add(claim);
}

/// The first bytes as one line of ASCII: what is not printable is `\xNN`.
fn escaped(banner: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in banner.iter().take(BANNER_BYTES_MAX) {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => write!(text, "\\x{byte:02x}").expect("memory takes all"),
        }
    }
    text
}

/// The protocol of which a server begins like this. Only protocols whose server speaks first can be told.
fn protocol(banner: &[u8]) -> Option<&'static str> {
    let has = |word: &[u8]| {
        let lower = banner.to_ascii_lowercase();
        lower.windows(word.len()).any(|own| own == word)
    };
    match banner {
        [b'S', b'S', b'H', b'-', ..] => Some("ssh"),
        [b'R', b'F', b'B', b' ', ..] => Some("vnc"),
        [b'H', b'T', b'T', b'P', b'/', ..] => Some("http"),
        [b'@', b'R', b'S', b'Y', b'N', b'C', b'D', b':', ..] => Some("rsync"),
        [b'+', b'O', b'K', ..] => Some("pop3"),
        [b'*', b' ', b'O', b'K', ..] | [b'*', b' ', b'P', b'R', b'E', ..] => Some("imap"),
        [b'2', b'2', b'0', b' ' | b'-', ..] if has(b"smtp") => Some("smtp"),
        [b'2', b'2', b'0', b' ' | b'-', ..] if has(b"ftp") => Some("ftp"),
        [b'2', b'0', b'0' | b'1', b' ', ..] if has(b"nntp") || has(b"news") => Some("nntp"),
        // A packet's length in three bytes, number 0, then version 10 of the protocol, or an error.
        [_, _, 0, 0, 0x0a | 0xff, ..] => Some("mysql"),
        // IAC and WILL, WONT, DO or DONT (RFC 854).
        [0xff, 0xfb..=0xfe, _, ..] => Some("telnet"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{Tape, given, replay};

    #[tokio::test]
    async fn open_ports_are_services_with_their_banner() {
        let tape = Tape::new()
            .tcp("192.0.2.1:22", "SSH-2.0-OpenSSH_9.6\r\n")
            .tcp("192.0.2.1:9200", "")
            .tcp("192.0.2.1:4", "not asked");
        let (ssh, silent) = ("service:192.0.2.1:22/tcp", "service:192.0.2.1:9200/tcp");
        let outcome = replay(&Ports, &["192.0.2.1"], tape)
            .await
            .finds(&[ssh, silent]);
        outcome
            .attribute(ssh, "banner", "SSH-2.0-OpenSSH_9.6\\x0d\\x0a")
            .attribute(ssh, "protocol", "ssh")
            .claims(&[
                &format!("ip:192.0.2.1 offers {ssh}"),
                &format!("ip:192.0.2.1 offers {silent}"),
            ]);
    }

    #[tokio::test]
    async fn a_wrong_list_of_ports_is_malformed() {
        let given = given().setting("ports", "22,0");
        let outcome = given.replay(&Ports, &["192.0.2.1"], Tape::new()).await;
        outcome.fails("malformed").finds(&[]);
    }

    #[tokio::test]
    async fn a_hostile_banner_is_escaped_and_bounded() {
        let banner = ["\u{1b}]0;x\u{7}\\".as_bytes(), &[0xff; 2000]].concat();
        let tape = Tape::new().tcp("192.0.2.1:22", &banner);
        let shown = format!("\\x1b]0;x\\x07\\\\{}", "\\xff".repeat(BANNER_BYTES_MAX - 7));
        let outcome = replay(&Ports, &["192.0.2.1"], tape).await;
        outcome.attribute("service:192.0.2.1:22/tcp", "banner", shown);
    }

    #[test]
    fn a_protocol_is_told_by_how_its_server_begins() {
        for (banner, name) in [
            (&b"220 mail.example ESMTP Postfix\r\n"[..], Some("smtp")),
            (b"220 (vsFTPd 3.0.5)\r\n", Some("ftp")),
            (b"220 hello", None),
            (b"+OK ready", Some("pop3")),
            (b"* OK IMAP4rev1", Some("imap")),
            (b"J\0\0\0\x0a8.0.36\0", Some("mysql")),
            (b"\xff\xfd\x18", Some("telnet")),
            (b"HTTP/1.1 400 Bad Request", Some("http")),
            (b"", None),
        ] {
            assert_eq!(protocol(banner), name, "{banner:?}");
        }
    }

    #[test]
    fn the_list_of_ports_is_sorted_and_has_a_hundred() {
        let ports = sockets::ports(TOP).unwrap();
        let list: Vec<String> = ports.iter().map(u16::to_string).collect();
        assert_eq!((ports.len(), list.join(",")), (100, TOP.replace(' ', "")));
    }

    proptest::proptest! {
        #[test]
        fn no_banner_makes_it_panic(banner: Vec<u8>) {
            assert!(escaped(&banner).bytes().all(|byte| matches!(byte, b' '..=b'~')));
            let _ = protocol(&banner);
        }
    }
}
