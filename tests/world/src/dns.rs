//! The DNS servers: a resolver and two name servers, UDP and TCP, on one port.
//!
//! The resolver answers for the company and knows nothing else. `ns1` refuses zone transfers,
//! `ns2` gives them to anyone who asks.
//! **Never:** allocate per UDP query.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use crate::accept;
use crate::tally::{Tally, bump};
use crate::wire::{self, Query, Refusal};
use crate::zone::{UDP_MAX, Zone};

/// Resolver, ns1, ns2: the last two as the table of `names` has them.
const ADDRESSES: [Ipv4Addr; 3] = [
    Ipv4Addr::new(127, 20, 0, 153),
    Ipv4Addr::new(127, 20, 0, 11),
    Ipv4Addr::new(127, 20, 0, 12),
];
/// The one server that gives the zone away.
const LEAKY: Ipv4Addr = ADDRESSES[2];
/// Other programs hold ephemeral ports too: how often another one is tried.
const TRIES: usize = 64;
/// Sockets that share the resolver's port. Each has a buffer of its own, and Linux gives one room
/// for some 300 queries only, less than a scanner has in flight.
const RECEIVERS: usize = 4;
/// Asked for; the kernel grants what `net.core.rmem_max` allows.
const BUFFER: usize = 4 << 20;

/// The bound sockets, before there is anything to answer.
pub(crate) struct Sockets {
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
    pub(crate) resolver: SocketAddr,
}

/// Binds the three addresses, UDP and TCP, to one free port.
pub(crate) async fn bind() -> anyhow::Result<Sockets> {
    let mut last = None;
    for _ in 0..TRIES {
        match bind_all().await {
            Ok(sockets) => return Ok(sockets),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("TRIES is not 0")).context("binding the DNS servers")
}

/// TCP first: its sockets do not share, so whoever has the port there may share it over UDP.
async fn bind_all() -> io::Result<Sockets> {
    let first = TcpListener::bind((ADDRESSES[0], 0)).await?;
    let resolver = first.local_addr()?;
    let mut sockets = Sockets {
        udp: Vec::new(),
        tcp: vec![first],
        resolver,
    };
    for address in &ADDRESSES[1..] {
        let server = SocketAddr::from((*address, resolver.port()));
        sockets.tcp.push(TcpListener::bind(server).await?);
        sockets.udp.push(shared(server)?);
    }
    for _ in 0..RECEIVERS {
        sockets.udp.push(shared(resolver)?);
    }
    Ok(sockets)
}

/// A UDP socket that lets others have the same address and port.
fn shared(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.set_reuse_port(true)?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// Serves `zone` until the task is aborted.
pub(crate) async fn serve(sockets: Sockets, zone: Arc<Zone>, tally: Arc<Tally>) {
    let mut servers = JoinSet::new();
    for socket in sockets.udp {
        servers.spawn(serve_udp(socket, Arc::clone(&zone), Arc::clone(&tally)));
    }
    for listener in sockets.tcp {
        servers.spawn(serve_tcp(listener, Arc::clone(&zone), Arc::clone(&tally)));
    }
    servers.join_all().await;
}

async fn serve_udp(socket: UdpSocket, zone: Arc<Zone>, tally: Arc<Tally>) {
    let mut query = [0; 2048];
    let mut answer = Vec::with_capacity(4096);
    while let Ok((length, peer)) = socket.recv_from(&mut query).await {
        bump(&tally.dns);
        if tally.takes_fault(&tally.dns_drops)
            || !write_datagram(&zone, &query[..length], &mut answer)
        {
            continue;
        }
        // A full buffer loses the answer, as the network may.
        let _ = socket.send_to(&answer, peer).await;
    }
}

/// Writes the answer to a datagram, cut to what the asker takes; false if there is none.
fn write_datagram(zone: &Zone, bytes: &[u8], answer: &mut Vec<u8>) -> bool {
    match Query::parse(bytes) {
        Ok(query) => {
            zone.answer(&query, answer);
            if answer.len() > query.payload.min(UDP_MAX) {
                query.open(wire::NO_ERROR, answer);
                answer[2] |= 0x02;
                query.close(answer);
            }
            !answer.is_empty()
        }
        Err(Refusal::Code(code)) => {
            wire::refuse(bytes, code, answer);
            true
        }
        Err(Refusal::Silence) => false,
    }
}

async fn serve_tcp(listener: TcpListener, zone: Arc<Zone>, tally: Arc<Tally>) {
    accept::each(listener, |stream, local| {
        bump(&tally.tcp);
        let (zone, tally) = (Arc::clone(&zone), Arc::clone(&tally));
        // It ends with an error: the end of the stream where a length should be.
        async move { drop(converse(stream, local, &zone, &tally).await) }
    })
    .await;
}

/// Answers the queries of one connection (RFC 7766) until the peer is gone.
async fn converse(
    mut stream: TcpStream,
    local: Ipv4Addr,
    zone: &Zone,
    tally: &Tally,
) -> io::Result<()> {
    let mut answer = Vec::new();
    loop {
        let mut bytes = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut bytes).await?;
        bump(&tally.dns);
        let messages = match Query::parse(&bytes) {
            Ok(query) if local == LEAKY && zone.is_transfer(&query) => zone.transfer(&query),
            Ok(query) => {
                zone.answer(&query, &mut answer);
                vec![std::mem::take(&mut answer)]
            }
            Err(Refusal::Code(code)) => {
                wire::refuse(&bytes, code, &mut answer);
                vec![std::mem::take(&mut answer)]
            }
            Err(Refusal::Silence) => return Ok(()),
        };
        for message in messages {
            let length = u16::try_from(message.len()).map_err(io::Error::other)?;
            stream
                .write_all(&[&length.to_be_bytes(), message.as_slice()].concat())
                .await?;
        }
    }
}
