//! Hosts that mean harm, one per row of the threat model: `<trap>.trap.<domain>`.
//!
//! To add a trap, write its bait in the file of its phase (`bodies`, `pace`, `redirects`, `lies`,
//! `markup`) and add a row to `ALL`: name, address, certificate and the entry in `Expected` follow.
//! Baits write raw bytes, because a well-behaved HTTP library refuses to misbehave.
//! **Invariant:** no trap sends anything to a peer that did not connect to it.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use self::Bait::{Dns, Page, Records, Socket, Web};
use crate::names::DOMAIN;
use crate::records::Record;
use crate::site::WebPorts;
use crate::web::Wire;
use crate::wire::Data;
use crate::zone::{Ruse, Zone};

mod bodies;
mod lies;
mod markup;
mod pace;
mod redirects;

/// A trap at work on one connection.
type Sprung = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;
/// Bytes of a request's head that are read before a trap answers anyway.
const HEAD_MAX: usize = 64 * 1024;

/// Where the traps lead.
#[derive(Clone, Debug)]
pub(crate) struct Lure {
    pub(crate) canary: SocketAddr,
    pub(crate) ports: WebPorts,
    /// The trap's own name and address.
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
}

pub(crate) enum Bait {
    /// Takes the connection once the request's head is read; on https inside TLS.
    Web(fn(Box<dyn Wire>) -> Sprung),
    /// One raw answer, made from the path that was asked for.
    Page(fn(&Lure, &str) -> Vec<u8>),
    /// Takes the TCP connection as it comes, on both ports; the second argument is `is_https`.
    Socket(fn(TcpStream, bool) -> Sprung),
    /// Answers DNS for the name, instead of the address that all other traps have.
    Records(fn(&Lure) -> Vec<Data>),
    /// Writes the DNS answers itself.
    Dns(fn(&Lure) -> Ruse),
}

/// What one trap is, for whoever checks that a scan survived it.
#[derive(Clone, Debug, Serialize)]
pub struct Trap {
    /// Its full name.
    pub name: String,
    /// Where it listens; what DNS says may differ, where the lie is the trap.
    pub address: Ipv4Addr,
    /// What it does to its visitor.
    pub about: &'static str,
}

/// Name, what it does, and how.
type Row = (&'static str, &'static str, Bait);

/// All traps, by name. The position gives the address, 127.20.250.1 and up.
#[rustfmt::skip] // One trap, one line.
static ALL: &[Row] = &[
    ("attributes", "100 000 attributes on one element", Page(markup::attributes)),
    ("cname-loop", "a CNAME that leads back to itself over two steps", Records(lies::cname_loop)),
    ("compression-loop", "a DNS name that points at itself", Dns(lies::compression_loop)),
    ("deep-html", "200 000 nested elements", Page(markup::deep)),
    ("endless-body", "zeros for ever", Web(bodies::endless)),
    ("endless-headers", "header lines for ever", Web(pace::endless_headers)),
    ("gzip-bomb", "10 GiB of zeros in 10 MB of gzip", Web(bodies::gzip_bomb)),
    ("hostile-title", "escapes, HTML and bidi controls in the title", Page(markup::title)),
    ("hostile-txt", "escapes, HTML, NUL and bidi controls in TXT", Records(lies::hostile_txt)),
    ("huge-spf", "an SPF record of thousands of senders", Records(lies::huge_spf)),
    ("huge-txt", "a TXT record of 64 000 bytes", Records(lies::huge_txt)),
    ("long-length", "promises more than it sends", Page(bodies::long_length)),
    ("lying-chunks", "a chunk of 2^64 - 1 bytes", Page(bodies::lying_chunks)),
    ("nested-gzip", "gzip in gzip, five times", Page(bodies::nested_gzip)),
    ("points-at-canary", "resolves to the canary", Records(lies::canary)),
    ("points-at-metadata", "resolves to 169.254.169.254", Records(lies::metadata)),
    ("rebind", "every other DNS answer is the canary", Dns(lies::rebind)),
    ("redirect-canary", "sends to the canary", Page(redirects::canary)),
    ("redirect-data", "sends to a data: URL", Page(redirects::data)),
    ("redirect-decimal", "sends to loopback as one number", Page(redirects::decimal)),
    ("redirect-file", "sends to a file: URL", Page(redirects::file)),
    ("redirect-loop", "sends to itself", Page(redirects::around)),
    ("redirect-loopback", "sends to 127.0.0.1", Page(redirects::loopback)),
    ("redirect-mapped", "sends to loopback as mapped IPv6", Page(redirects::mapped)),
    ("redirect-metadata", "sends to 169.254.169.254", Page(redirects::metadata)),
    ("redirect-schemeless", "sends to //127.0.0.1", Page(redirects::schemeless)),
    ("redirect-spiral", "sends to ever new paths", Page(redirects::spiral)),
    ("short-length", "sends more than it promises", Page(bodies::short_length)),
    ("silent-dns", "never answers a DNS query", Dns(lies::silence)),
    ("silent-tcp", "accepts and never answers", Socket(pace::silent_tcp)),
    ("silent-tls", "accepts, and says nothing once TLS starts", Socket(pace::silent_tls)),
    ("slow-body", "one byte of the body a second", Web(pace::slow_body)),
    ("slow-headers", "one byte of the head a second", Web(pace::slow_headers)),
    ("slow-tls", "one byte of the handshake a second", Socket(pace::slow_tls)),
    ("spf-lookups", "an SPF record that takes eleven look-ups", Records(lies::spf_lookups)),
    ("spf-loop", "an SPF record that includes itself", Records(lies::spf_loop)),
];

/// Whether `name` stands where traps stand.
pub(crate) fn is_trap(name: &str) -> bool {
    name.strip_suffix(DOMAIN)
        .is_some_and(|rest| rest.ends_with(".trap."))
}

/// The traps that are set: all of them in a hostile world, none otherwise.
pub(crate) struct Traps {
    set: Vec<(Lure, &'static Row)>,
}

impl Traps {
    pub(crate) fn new(is_hostile: bool, canary: SocketAddr, ports: WebPorts) -> Traps {
        let lure = |row: &Row, number: u8| Lure {
            canary,
            ports,
            name: format!("{}.trap.{DOMAIN}", row.0),
            address: Ipv4Addr::new(127, 20, 250, number),
        };
        let rows = ALL.iter().take(if is_hostile { ALL.len() } else { 0 });
        Traps {
            set: rows
                .zip(1..)
                .map(|(row, number)| (lure(row, number), row))
                .collect(),
        }
    }

    pub(crate) fn describe(&self) -> Vec<Trap> {
        let describe = |(lure, row): &(Lure, &Row)| Trap {
            name: lure.name.clone(),
            address: lure.address,
            about: row.1,
        };
        self.set.iter().map(describe).collect()
    }

    /// What the zone holds for the traps, ruses apart.
    pub(crate) fn records(&self) -> Vec<Record> {
        let records = self.set.iter().flat_map(|(lure, row)| {
            let data = match &row.2 {
                Bait::Records(records) => records(lure),
                Bait::Dns(_) => Vec::new(),
                _ => vec![Data::A(lure.address)],
            };
            data.into_iter().map(|data| (lure.name.clone(), data))
        });
        records
            .chain(self.set.first().map(|_| lies::loop_end()))
            .collect()
    }

    pub(crate) fn set_ruses(&self, zone: &mut Zone) {
        for (lure, row) in &self.set {
            if let Bait::Dns(ruse) = &row.2 {
                zone.set_ruse(&lure.name, ruse(lure));
            }
        }
    }

    pub(crate) fn at(&self, address: Ipv4Addr) -> Option<&'static Bait> {
        self.find(address).map(|(_, row)| &row.2)
    }

    fn find(&self, address: Ipv4Addr) -> Option<&(Lure, &'static Row)> {
        self.set.iter().find(|(lure, _)| lure.address == address)
    }

    /// Reads the head of a request on `wire` and lets the trap at `address` answer it.
    pub(crate) async fn spring(
        &self,
        address: Ipv4Addr,
        mut wire: Box<dyn Wire>,
    ) -> io::Result<()> {
        let Some((lure, row)) = self.find(address) else {
            return Ok(());
        };
        let path = read_path(&mut wire).await?;
        let answer = match &row.2 {
            Bait::Web(spring) => return spring(wire).await,
            Bait::Page(page) => page(lure, &path),
            _ => html("text/html", b"<title>Nothing to see</title>"),
        };
        wire.write_all(&answer).await?;
        wire.shutdown().await
    }
}

/// Reads up to the empty line, and answers the path of the request line.
pub(crate) async fn read_path(wire: &mut Box<dyn Wire>) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_MAX {
        head.push(wire.read_u8().await?);
    }
    let line = String::from_utf8_lossy(&head);
    Ok(line.split(' ').nth(1).unwrap_or("/").to_owned())
}

/// A whole answer with status 200 and an honest length.
fn html(kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
