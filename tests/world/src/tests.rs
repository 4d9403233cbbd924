//! Proof that every server answers, over real sockets and with other people's codecs.

use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::*;

/// Longer than any honest answer takes, shorter than a person waits.
const PATIENCE: Duration = Duration::from_secs(10);

async fn small() -> World {
    World::start(Config::default()).await.unwrap()
}

async fn hostile() -> World {
    World::start(Config {
        hostile: true,
        ..Config::default()
    })
    .await
    .unwrap()
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(
        Name::from_ascii(format!("{name}.")).unwrap(),
        kind,
    ));
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    message.set_edns(edns);
    message
}

/// The raw answer to one datagram.
async fn udp(world: &World, query: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(world.resolver()).await.unwrap();
    socket.send(query).await.unwrap();
    let mut bytes = vec![0; 4096];
    let length = timeout(PATIENCE, socket.recv(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    bytes.truncate(length);
    bytes
}

async fn ask(world: &World, name: &str, kind: RecordType) -> Message {
    let bytes = udp(world, &question(name, kind).to_vec().unwrap()).await;
    Message::from_vec(&bytes).unwrap()
}

async fn ask_tcp(server: SocketAddr, query: &Message, answers: usize) -> Vec<Message> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let bytes = query.to_vec().unwrap();
    stream.write_u16(bytes.len() as u16).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let mut messages: Vec<Message> = Vec::new();
    while messages
        .iter()
        .map(|message| message.answers.len())
        .sum::<usize>()
        < answers
    {
        let mut bytes = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut bytes).await.unwrap();
        messages.push(Message::from_vec(&bytes).unwrap());
    }
    messages
}

fn address_of(message: &Message) -> IpAddr {
    let addresses = message
        .answers
        .iter()
        .filter_map(|record| record.data.ip_addr());
    addresses.last().unwrap()
}

#[tokio::test]
async fn numbered_hosts_have_addresses_of_their_own() {
    let world = small().await;
    let message = ask(&world, "h00024.mirage-corp.example", RecordType::A).await;
    assert_eq!(address_of(&message).to_string(), "127.20.1.24");
    let message = ask(&world, "h00025.mirage-corp.example", RecordType::A).await;
    assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(message.authorities.len(), 1);
}
