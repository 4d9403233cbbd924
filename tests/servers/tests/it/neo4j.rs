//! Neo4j: shared, and one to hurt.

use std::io::{Read, Write};
use std::net::TcpStream;

use mirage_servers::Neo4j;

use crate::{Traces, kill};

/// One statement over Bolt 5.2, and the bytes of what it answers.
fn run(neo4j: &Neo4j, statement: &str) -> String {
    let address = neo4j.bolt().trim_start_matches("bolt://");
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let mut send = |bytes: &[u8]| stream.write_all(bytes).expect("the server reads");
    send(&[
        0x60, 0x60, 0xB0, 0x17, 0, 0, 2, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ]);
    let size = u8::try_from(statement.len()).expect("a short statement");
    let messages = [
        b"\xB1\x01\xA1\x8Auser_agent\x86mirage".to_vec(),
        b"\xB1\x6A\xA1\x86scheme\x84none".to_vec(),
        [
            b"\xB3\x10\xD0",
            &[size][..],
            statement.as_bytes(),
            b"\xA0\xA0",
        ]
        .concat(),
        b"\xB1\x3F\xA1\x81n\xFF".to_vec(),
    ];
    for message in messages {
        let size = u16::try_from(message.len()).expect("a short message");
        send(&[&size.to_be_bytes()[..], &message, &[0, 0]].concat());
    }
    let mut answer = String::new();
    // What the last message says of a statement that succeeded, or of any that failed.
    while !["t_last", "Neo."].iter().any(|end| answer.contains(end)) {
        let mut bytes = [0; 4096];
        let size = stream.read(&mut bytes).expect("the server answers");
        assert!(size > 0, "the server closed after {answer}");
        answer += &String::from_utf8_lossy(&bytes[..size]);
    }
    answer
}

#[test]
fn tests_share_a_server() {
    let (Some(one), Some(other)) = (mirage_servers::neo4j(), mirage_servers::neo4j()) else {
        return;
    };
    assert_eq!(one.bolt(), other.bolt());
    assert!(run(&one, "RETURN 'an' + 'swer' AS it").contains("answer"));
}

#[test]
fn a_server_of_ones_own_keeps_its_nodes_over_a_kill() {
    let Some(neo4j) = mirage_servers::neo4j_alone() else {
        return;
    };
    run(&neo4j, "CREATE (:Kept {name: 'the node'})");
    kill(neo4j.process());
    neo4j.restart();
    assert!(run(&neo4j, "MATCH (kept:Kept) RETURN kept.name").contains("the node"));
    let traces = Traces::of([neo4j.process()]);
    drop(neo4j);
    traces.are_gone();
}
