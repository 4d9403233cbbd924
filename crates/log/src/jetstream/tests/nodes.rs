//! Live nodes on a real server: who is there, who has gone, and what strangers say.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use mirage_domain::id::Position;
use serde_json::{Value, json};

use super::world::{fresh, options};
use crate::jetstream::{Announcement, JetStream, Load, Look, Options};
use crate::{EventLog, ReadError};

const WAIT: Duration = Duration::from_secs(20);

fn announcement(role: &str) -> Announcement {
    Announcement {
        version: "0.1.0".into(),
        roles: vec![role.into(), "project".into()],
        workspace: "default".into(),
        listen: "127.0.0.1:8640".into(),
        holder: "host-1".into(),
        started_at: Timestamp::UNIX_EPOCH,
    }
}

fn busy(tasks: u64) -> (Load, Look) {
    let load = Load {
        tasks,
        tasks_max: 32,
        lag: Some(7),
        ..Load::default()
    };
    let look: Look = Box::new(move || async move { load }.boxed());
    (load, look)
}

async fn stranger(options: &Options) -> async_nats::Client {
    async_nats::connect(options.servers.join(","))
        .await
        .unwrap()
}

/// Answers every question about nodes with these words, under the log's name where they leave it open.
async fn says(options: &Options, answers: Vec<Vec<u8>>) -> tokio::task::JoinHandle<()> {
    let client = stranger(options).await;
    let mut asked = client.subscribe("$SRV.STATS.mirage").await.unwrap();
    // An answer from the server proves that it knows of the subscription.
    let nobody = client.request("nobody", "".into()).await;
    nobody.unwrap_err();
    tokio::spawn(async move {
        while let Some(question) = asked.next().await {
            let to = question.reply.unwrap();
            for answer in &answers {
                let sent = client.publish(to.clone(), answer.clone().into());
                sent.await.unwrap();
            }
            client.flush().await.unwrap();
        }
    })
}

/// A right answer of a node with this id.
fn right(log: &str, id: &str) -> Value {
    json!({
        "type": "io.nats.micro.v1.stats_response", "name": "mirage", "id": id, "version": "1.0.0",
        "started": "2026-01-01T00:00:00Z", "endpoints": [{ "name": "load", "data": { "tasks": 1 } }],
        "metadata": { "log": log, "workspace": "w", "roles": "collect", "listen": "l", "holder": "h" },
    })
}

async fn ids(log: &JetStream) -> Result<Vec<String>, ReadError> {
    let nodes = log.nodes(WAIT).await?;
    Ok(nodes.into_iter().map(|node| node.id).collect())
}

#[tokio::test]
async fn nodes_that_live_are_listed_with_what_they_say_and_gone_ones_are_not() {
    let Some((log, options)) = fresh(1).await else {
        return;
    };
    let other = JetStream::open(options).await.unwrap();
    assert_eq!(log.nodes(WAIT).await.unwrap(), []);
    let (load, look) = busy(3);
    let first = log
        .announce(announcement("orchestrate"), look)
        .await
        .unwrap();
    let second = other.announce(announcement("collect"), busy(5).1).await;
    let second = second.unwrap();
    let nodes = log.nodes(WAIT).await.unwrap();
    assert_eq!(nodes, other.nodes(WAIT).await.unwrap());
    assert_eq!(nodes.len(), 2);
    assert_eq!(nodes[0].id, first.id);
    assert_eq!(nodes[0].said, announcement("orchestrate"));
    assert_eq!(nodes[0].load, Some(load));
    assert_eq!(nodes[1].load.unwrap().tasks, 5);
    drop(first);
    let mut left = ids(&log).await.unwrap();
    while left.len() > 1 {
        // The server hears of it a moment later.
        left = ids(&log).await.unwrap();
    }
    assert_eq!(left, std::slice::from_ref(&second.id));
}

#[tokio::test]
async fn a_node_that_cannot_say_how_it_is_lives_all_the_same() {
    let Some((log, _)) = fresh(1).await else {
        return;
    };
    let look: Look = Box::new(|| std::future::pending().boxed());
    let node = log.announce(announcement("collect"), look).await.unwrap();
    let nodes = log.nodes(WAIT).await.unwrap();
    assert_eq!((&nodes[0].id, nodes[0].load), (&node.id, None));
}

#[tokio::test]
async fn every_question_of_the_protocol_is_answered_in_its_form() {
    let Some((log, options)) = fresh(1).await else {
        return;
    };
    let node = log.announce(announcement("collect"), busy(1).1).await;
    let node = node.unwrap();
    let client = stranger(&options).await;
    for (verb, kind) in [("PING", "ping"), ("INFO", "info"), ("STATS", "stats")] {
        let subject = format!("$SRV.{verb}.mirage.{}", node.id);
        let answer = client.request(subject, "".into()).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!(answer["type"], format!("io.nats.micro.v1.{kind}_response"));
        assert_eq!(
            (&answer["id"], &answer["name"]),
            (&json!(node.id), &json!("mirage"))
        );
        assert_eq!(answer["metadata"]["roles"], "collect,project");
    }
}

#[tokio::test]
async fn a_question_cannot_make_a_node_write_into_the_log() {
    let Some((log, options)) = fresh(1).await else {
        return;
    };
    let node = log.announce(announcement("collect"), busy(1).1).await;
    let node = node.unwrap();
    let client = stranger(&options).await;
    let (to, reply) = (
        format!("$SRV.PING.mirage.{}", node.id),
        format!("{}.default._.scan.x", options.prefix),
    );
    client
        .publish_with_reply(to.clone(), reply, "".into())
        .await
        .unwrap();
    // Questions are answered in order: after this answer the first one has been dealt with.
    client.request(to, "".into()).await.unwrap();
    assert_eq!(log.head().await.unwrap().position, Position(0));
}

#[tokio::test]
async fn wrong_answers_are_passed_over_and_right_ones_beside_them_heard() {
    // A server of its own: these words reach whoever asks.
    let Some(nats) = mirage_servers::nats(1) else {
        return;
    };
    let options = options(&nats, 1);
    let log = JetStream::open(options.clone()).await.unwrap();
    let changed = |id: &str, path: &str, value: Value| {
        let mut answer = right(&options.name, id);
        *answer.pointer_mut(path).unwrap() = value;
        answer.to_string().into_bytes()
    };
    let long = "x".repeat(1 << 10);
    let hostile = vec![
        b"".to_vec(),
        b"null".to_vec(),
        b"{\"type\":".to_vec(),
        vec![b'['; 8000],
        changed("a", "/type", json!("io.nats.micro.v1.ping_response")),
        changed("b", "/name", json!("other")),
        changed("c", "/metadata/log", json!("another")),
        changed("d", "/metadata", json!([1, 2])),
        changed("e", "/endpoints/0/data/tasks", json!(-1)),
        changed("f", "/started", json!("yesterday")),
        changed("g", "/id", json!("../../etc\u{1b}[2J")),
        changed("h", "/version", json!("v".repeat(900_000))),
        changed("one", "/metadata/holder", json!(long)),
        changed("one", "/metadata/holder", json!("a second word")),
        right(&options.name, "two").to_string().into_bytes(),
    ];
    let stranger = says(&options, hostile).await;
    let nodes = log.nodes(WAIT).await.unwrap();
    let ids: Vec<&str> = nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids, ["one", "two"]);
    assert_eq!(nodes[0].said.holder, "x".repeat(128));
    stranger.abort();
}

#[tokio::test]
async fn ten_thousand_answers_are_a_thousand_nodes() {
    // A server of its own: these words reach whoever asks.
    let Some(nats) = mirage_servers::nats(1) else {
        return;
    };
    let options = options(&nats, 1);
    let log = JetStream::open(options.clone()).await.unwrap();
    let answers = (0..10_000).map(|n| right(&options.name, &format!("n{n}")).to_string());
    let stranger = says(&options, answers.map(String::into_bytes).collect()).await;
    assert_eq!(ids(&log).await.unwrap().len(), 1000);
    stranger.abort();
    let wrong = says(&options, vec![b"{}".to_vec(); 10_000]).await;
    assert_eq!(ids(&log).await.unwrap(), [""; 0]);
    wrong.abort();
}

#[tokio::test]
async fn a_log_says_how_full_it_is() {
    let Some((log, options)) = fresh(1).await else {
        return;
    };
    for n in 1..=3 {
        log.append(crate::contract::encoded(n, None), None)
            .await
            .unwrap();
    }
    let facts = log.facts().await.unwrap();
    assert_eq!((facts.messages, facts.subjects), (3, 3));
    assert_eq!((facts.replicas, facts.replicas_current), (1, 1));
    assert_eq!(facts.bytes_max, options.bytes_max);
    assert!(facts.bytes > 0);
}

#[tokio::test]
async fn a_node_on_one_server_of_a_cluster_is_heard_from_the_others() {
    let Some((log, options)) = fresh(3).await else {
        return;
    };
    let elsewhere = Options {
        servers: options.servers[1..2].to_vec(),
        ..options
    };
    let other = JetStream::open(elsewhere).await.unwrap();
    let node = other.announce(announcement("collect"), busy(1).1).await;
    let node = node.unwrap();
    // The servers tell one another a moment later.
    let mut heard = Vec::new();
    while heard.is_empty() {
        heard = ids(&log).await.unwrap();
    }
    assert_eq!(heard, std::slice::from_ref(&node.id));
    assert_eq!(log.facts().await.unwrap().replicas, 3);
}
