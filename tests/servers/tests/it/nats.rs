//! nats-server: alone and as a cluster.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use mirage_servers::{Nats, NatsNode, NatsOptions};

use crate::{Traces, http, kill, runs};

fn traces(nats: &Nats, nodes: usize) -> Traces {
    Traces::of((0..nodes).map(|index| &**nats.node(index)))
}

/// One request to JetStream in the text protocol, and its answer.
fn ask(node: &NatsNode, subject: &str, body: &str) -> String {
    let address = node.url();
    let stream =
        TcpStream::connect(address.trim_start_matches("nats://")).expect("the server answers");
    let mut writer = stream.try_clone().expect("the server answers");
    let size = body.len();
    write!(
        writer,
        "CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\nPUB {subject} answer {size}\r\n{body}\r\n"
    )
    .expect("the server answers");
    let lines = BufReader::new(stream)
        .lines()
        .map(|line| line.expect("the server answers"));
    lines
        .skip_while(|line| !line.starts_with("MSG"))
        .nth(1)
        .expect("the server answers")
}

fn varz(nats: &Nats) -> String {
    http(&nats.monitor(0), "GET /varz HTTP/1.0\r\n\r\n")
}

#[test]
fn a_single_server_keeps_its_messages_over_a_kill() {
    let Some(nats) = mirage_servers::nats(1) else {
        return;
    };
    let traces = traces(&nats, 1);
    let node = nats.node(0);
    let made = ask(
        node,
        "$JS.API.STREAM.CREATE.T",
        r#"{"name":"T","subjects":["t"],"storage":"file"}"#,
    );
    assert!(!made.contains("error"), "{made}");
    assert!(ask(node, "t", "kept").contains("\"seq\":1"));
    kill(node);
    node.restart();
    assert!(ask(node, "t", "kept too").contains("\"seq\":2"));
    let second = node.pid();
    drop(nats);
    assert!(!runs(second));
    traces.are_gone();
}

#[test]
fn a_stopped_server_answers_again_when_it_goes_on() {
    let Some(nats) = mirage_servers::nats(1) else {
        return;
    };
    nats.node(0).stop();
    nats.node(0).cont();
    assert!(ask(nats.node(0), "$JS.API.INFO", "").contains("\"streams\":0"));
    // Dropped while stopped: it ends all the same.
    let traces = traces(&nats, 1);
    nats.node(0).stop();
    drop(nats);
    traces.are_gone();
}

#[test]
fn a_cluster_keeps_three_replicas_and_elects_a_leader_anew() {
    let Some(nats) = mirage_servers::nats(3) else {
        return;
    };
    let traces = traces(&nats, 3);
    let made = r#"{"name":"T","subjects":["t"],"storage":"file","num_replicas":3}"#;
    let made = ask(nats.node(0), "$JS.API.STREAM.CREATE.T", made);
    assert!(!made.contains("error"), "{made}");
    let leader = nats.leader().expect("a cluster that is ready has a leader");
    nats.node(leader).kill();
    nats.ready();
    assert_ne!(nats.leader(), Some(leader));
    nats.node(leader).restart();
    nats.ready();
    assert!(ask(nats.node(leader), "t", "kept").contains("\"seq\":1"));
    drop(nats);
    traces.are_gone();
}

#[test]
fn it_syncs_always_unless_a_test_asks_for_a_weak_one() {
    let Some(strong) = mirage_servers::nats(1) else {
        return;
    };
    assert!(varz(&strong).contains("\"sync_always\": true"));
    let options = NatsOptions {
        sync_always: false,
        ..NatsOptions::default()
    };
    let Some(weak) = mirage_servers::nats_with(1, &options) else {
        return;
    };
    assert!(!varz(&weak).contains("\"sync_always\": true"));
}

#[test]
fn a_server_can_ask_for_a_password_and_lack_jetstream() {
    let options = NatsOptions {
        jetstream: false,
        extra: "authorization { user: mirage, password: secret }\n".to_owned(),
        ..NatsOptions::default()
    };
    let Some(nats) = mirage_servers::nats_with(1, &options) else {
        return;
    };
    let varz = varz(&nats);
    assert!(varz.contains("\"auth_required\": true"), "{varz}");
    assert!(!varz.contains("store_dir"), "{varz}");
}
