//! Servers that want TLS and credentials: each starts, and has nothing for who comes in the clear.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use mirage_servers::{Authority, NatsOptions, Neo4jLock, Operator, PostgresLock};

/// The first bytes that a server answers in the clear.
fn answer(port: u16, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    stream.write_all(request).expect("the server reads");
    let mut answer = vec![0; 256];
    let read = stream.read(&mut answer).unwrap_or_default();
    answer.truncate(read);
    answer
}

fn port(url: &str) -> u16 {
    let port = url.rsplit(':').next().expect("an address");
    port.parse().expect("a port")
}

#[test]
fn a_nats_server_with_tls_and_an_operator_says_so_in_its_greeting() {
    let authority = Authority::new();
    let options = NatsOptions::default()
        .with_tls(&authority.server(), Some(&authority.file()))
        .with_operator(&Operator::new());
    let Some(nats) = mirage_servers::nats_with(1, &options) else {
        return;
    };
    let stream = TcpStream::connect(("127.0.0.1", nats.node(0).port())).expect("it listens");
    let mut greeting = String::new();
    let read = BufReader::new(stream).read_line(&mut greeting);
    read.expect("it greets");
    for wanted in ["tls_required", "tls_verify", "auth_required", "nonce"] {
        assert!(greeting.contains(&format!("\"{wanted}\":")), "{greeting}");
    }
}

#[test]
fn a_bucket_behind_tls_answers_within_it_alone() {
    let authority = Authority::new();
    let Some(s3) = mirage_servers::s3_with_tls(&authority) else {
        return;
    };
    assert!(s3.endpoint().starts_with("https://") && s3.authority().is_some());
    let told = answer(port(&s3.endpoint()), b"GET /health HTTP/1.0\r\n\r\n");
    assert!(!told.starts_with(b"HTTP/1.1 200"), "{told:?}");
}

#[test]
fn a_locked_postgresql_knows_the_user_with_a_password() {
    let authority = Authority::new();
    let lock = PostgresLock {
        authority: &authority,
        password: "a-password-of-tests",
        wants_certificate: false,
    };
    let Some(postgres) = mirage_servers::postgres_locked(&lock) else {
        return;
    };
    let url = postgres.url();
    let (server, _) = url.rsplit_once('/').expect("a database");
    // Asked for TLS, it agrees.
    let asked = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
    assert_eq!(answer(port(server), &asked), b"S");
}

#[test]
fn a_locked_neo4j_does_not_speak_in_the_clear() {
    let authority = Authority::new();
    let lock = Neo4jLock {
        authority: &authority,
        password: "a-password-of-tests",
        wants_certificate: false,
    };
    let Some(neo4j) = mirage_servers::neo4j_locked(&lock) else {
        return;
    };
    assert!(neo4j.bolt().starts_with("bolt+s://"));
    let hello = [
        0x60, 0x60, 0xB0, 0x17, 0, 1, 2, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let told = answer(port(neo4j.bolt()), &hello);
    assert_ne!(told, [0, 0, 2, 5], "it chose a version");
}
