//! Proof that every server answers, over real sockets and through codecs that are not the world's.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::names::HOSTS_MAX;
use super::start::CRTSH;
use super::{Config, World, names, tls, web};

mod doors;
mod lookups;
mod pages;
mod snares;

/// Longer than any honest answer takes, shorter than a person waits.
const PATIENCE: Duration = Duration::from_secs(10);

async fn peaceful() -> World {
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

/// The address of a machine of the table.
fn address(world: &World, label: &str) -> Ipv4Addr {
    world
        .facts
        .company
        .host(&world.host(label))
        .unwrap()
        .address
}

/// Everything a server says to `words` until it closes.
async fn talk(server: SocketAddr, words: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(words.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    answer
}

#[tokio::test]
async fn services_greet_on_the_machines_that_have_them() {
    let world = peaceful().await;
    let ports = world.ports();
    let smtp = talk(
        (address(&world, "mail"), ports.smtp).into(),
        "EHLO me\r\nQUIT\r\n",
    )
    .await;
    let smtp = String::from_utf8(smtp).unwrap();
    assert!(
        smtp.starts_with("220 mail.mirage-corp.example ESMTP"),
        "{smtp}"
    );
    assert!(
        smtp.contains("250-SIZE") && smtp.ends_with("221 2.0.0 Bye\r\n"),
        "{smtp}"
    );
    let mut ssh = TcpStream::connect((address(&world, ""), ports.banner))
        .await
        .unwrap();
    let mut banner = [0; 19];
    ssh.read_exact(&mut banner).await.unwrap();
    assert_eq!(&banner, b"SSH-2.0-OpenSSH_9.6");
    // Elsewhere the port is closed.
    TcpStream::connect((address(&world, "mail"), ports.banner))
        .await
        .unwrap_err();
}

#[tokio::test]
async fn a_dropped_world_listens_no_more() {
    let world = peaceful().await;
    let (apex, ports, resolver) = (address(&world, ""), world.ports(), world.resolver());
    let ca_file = world.ca_file().to_owned();
    TcpStream::connect((apex, ports.http)).await.unwrap();
    drop(world);
    TcpStream::connect((apex, ports.http)).await.unwrap_err();
    TcpStream::connect(resolver).await.unwrap_err();
    assert!(!ca_file.exists());
}

#[tokio::test]
async fn the_canary_counts_on_its_own_port_and_its_own_address() {
    let world = peaceful().await;
    assert_eq!(world.canary(), 0);
    talk(world.canary_address(), "").await;
    talk(
        (Ipv4Addr::LOCALHOST, world.canary_address().port()).into(),
        "",
    )
    .await;
    talk((web::CANARY, world.ports().http).into(), "").await;
    talk((web::CANARY, world.ports().https).into(), "").await;
    assert_eq!(world.canary(), 4);
    assert_eq!(world.counts().tcp, 0);
}

#[tokio::test]
async fn a_world_too_large_for_its_addresses_is_refused() {
    assert!(
        World::start(Config {
            hosts: HOSTS_MAX + 1,
            ..Config::default()
        })
        .await
        .is_err()
    );
}

#[tokio::test]
async fn two_worlds_run_side_by_side_with_the_same_content() {
    let (one, two) = tokio::join!(peaceful(), peaceful());
    assert_ne!(one.resolver(), two.resolver());
    assert_eq!(one.chain(None), two.chain(None));
    let names = |world: &World| {
        let only = world
            .expected()
            .only
            .iter()
            .filter(|claim| claim.kind == "domain");
        only.cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(&one), names(&two));
}

#[tokio::test]
async fn every_expected_collector_has_something_to_prove() {
    let world = peaceful().await;
    let modules = [
        "asn",
        "bruteforce",
        "crawl",
        "crtsh",
        "dns",
        "dns-records",
        "extract",
        "geoip",
        "http",
        "mail-policy",
        "ports",
        "rdap",
        "reverse-dns",
        "tls",
        "well-known",
        "whois",
        "zone",
    ];
    for module in modules {
        assert!(world.expected().of(module).next().is_some(), "{module}");
    }
    assert_eq!(world.expected().of("crtsh").count(), 24 + 4);
}
