//! DNS against a server that answers as a test wants.

use std::sync::atomic::AtomicUsize;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::{RData, Record};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::AbortHandle;

use super::super::super::replay::Replay;
use super::super::dns::{read_message, write_message};
use super::*;

/// A DNS server on loopback; ends when it is dropped.
pub(super) struct Server {
    pub(super) at: SocketAddr,
    pub(super) asked: Arc<AtomicUsize>,
    tasks: Vec<AbortHandle>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// Serves what `answer` makes of each query: datagrams over UDP, the last of them over TCP.
pub(super) async fn serve(
    answer: impl Fn(&Message, bool) -> Vec<Vec<u8>> + Send + Sync + 'static,
) -> Server {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            break (udp, tcp);
        }
    };
    let at = udp.local_addr().unwrap();
    let (answer, asked) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
    let (count, respond) = (asked.clone(), answer.clone());
    let over_udp = tokio::spawn(async move {
        let mut buffer = [0; 4096];
        loop {
            let (length, from) = udp.recv_from(&mut buffer).await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            for message in respond(&Message::from_vec(&buffer[..length]).unwrap(), true) {
                udp.send_to(&message, from).await.unwrap();
            }
        }
    });
    let over_tcp = tokio::spawn(async move {
        loop {
            let (mut stream, _) = tcp.accept().await.unwrap();
            let query = read_message(&mut stream).await.unwrap();
            for message in answer(&Message::from_vec(&query).unwrap(), false) {
                if write_message(&mut stream, &message).await.is_err() {
                    break;
                }
            }
        }
    });
    let tasks = vec![over_udp.abort_handle(), over_tcp.abort_handle()];
    Server { at, asked, tasks }
}

pub(super) fn response(query: &Message, records: &[(&str, &str)]) -> Message {
    let mut message = query.clone();
    message.edns = None;
    message.metadata.message_type = MessageType::Response;
    for (kind, data) in records {
        let data = RData::try_from_str(kind.parse().unwrap(), data).unwrap();
        let name = query.queries[0].name().clone();
        message.add_answer(Record::from_rdata(name, 60, data));
    }
    message
}

fn bytes(message: &Message) -> Vec<u8> {
    message.to_vec().unwrap()
}

#[tokio::test]
async fn an_answer_comes_with_its_records_in_lower_case_and_its_evidence() {
    let server = serve(|query, _| vec![bytes(&response(query, &[("A", "192.0.2.1")]))]).await;
    let world = world(policy(server.at)).await;
    let answer = world
        .probe
        .dns("WWW.Example.com.", RecordType::A)
        .await
        .unwrap();
    assert_eq!(answer.answers[0].name.to_ascii(), "www.example.com.");
    assert_eq!(answer.answers[0].data.to_string(), "192.0.2.1");
    let exchange = world.probe.evidence(answer.evidence).await.unwrap();
    assert_eq!(
        exchange.frame,
        crate::probe::exchange::Frame::Dns {
            name: "www.example.com".into(),
            kind: "A".into(),
            server: Some(server.at.to_string()),
            transport: "udp".into(),
        }
    );
    assert_eq!(world.probe.cost(), (1, exchange.payload.len() as u64));
}

#[tokio::test]
async fn a_forged_id_a_wrong_case_and_another_name_are_ignored() {
    let server = serve(|query, _| {
        let good = response(query, &[("A", "192.0.2.1")]);
        let bad = |change: fn(&mut Message)| {
            let mut message = response(query, &[("A", "203.0.113.66")]);
            change(&mut message);
            bytes(&message)
        };
        vec![
            bad(|message| message.metadata.id ^= 1),
            bad(|message| {
                let other = message.queries[0].name().to_ascii();
                let swap = |c: char| match c.is_ascii_lowercase() {
                    true => c.to_ascii_uppercase(),
                    false => c.to_ascii_lowercase(),
                };
                let other: String = other.chars().map(swap).collect();
                message.queries[0].set_name(other.parse().unwrap());
            }),
            bad(|message| {
                message.queries[0].set_name("evil.example.".parse().unwrap());
            }),
            bad(|message| message.metadata.message_type = MessageType::Query),
            b"x".to_vec(),
            bytes(&good),
        ]
    })
    .await;
    let world = world(policy(server.at)).await;
    let answer = world.probe.dns("example.com", RecordType::A).await.unwrap();
    assert_eq!(answer.answers[0].data.to_string(), "192.0.2.1");
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_over_tcp() {
    let server = serve(|query, is_udp| {
        let text = ["a".repeat(200), "b".repeat(200)].join(" ");
        let mut message = response(query, &[("TXT", text.as_str())]);
        if is_udp {
            message.answers.clear();
            message.metadata.truncation = true;
        }
        vec![bytes(&message)]
    })
    .await;
    let world = world(policy(server.at)).await;
    let answer = world
        .probe
        .dns("example.com", RecordType::TXT)
        .await
        .unwrap();
    assert_eq!(answer.answers.len(), 1);
    assert_eq!(world.probe.cost().0, 2);
}

#[tokio::test]
async fn a_server_that_changes_the_case_is_asked_over_tcp() {
    let server = serve(|query, _| {
        let mut message = response(query, &[("A", "192.0.2.1")]);
        let name = query.queries[0].name().to_lowercase();
        message.queries[0].set_name(name);
        vec![bytes(&message)]
    })
    .await;
    let world = world(impatient(server.at)).await;
    let name = "a-long-name-whose-letters-are-never-all-drawn-in-lower-case.example";
    let answer = world.probe.dns(name, RecordType::A).await.unwrap();
    assert_eq!(answer.answers.len(), 1);
}

#[tokio::test]
async fn two_who_ask_the_same_at_once_send_one_query() {
    let server = serve(|query, _| vec![bytes(&response(query, &[("A", "192.0.2.1")]))]).await;
    let world = world(policy(server.at)).await;
    let ask = || world.probe.dns("example.com", RecordType::A);
    let (first, second) = tokio::join!(ask(), ask());
    assert_eq!(first.unwrap().evidence, second.unwrap().evidence);
    ask().await.unwrap();
    assert_eq!(server.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn no_such_domain_is_an_answer_and_a_failing_server_is_unavailable() {
    let server = serve(|query, _| {
        let mut message = response(query, &[]);
        let is_there = query.queries[0].name().to_ascii().starts_with(['n', 'N']);
        message.metadata.response_code = match is_there {
            true => ResponseCode::NXDomain,
            false => ResponseCode::ServFail,
        };
        vec![bytes(&message)]
    })
    .await;
    let world = world(policy(server.at)).await;
    let answer = world.probe.dns("no.example", RecordType::A).await.unwrap();
    assert_eq!(answer.code, ResponseCode::NXDomain);
    let failed = world
        .probe
        .dns("x.example", RecordType::A)
        .await
        .unwrap_err();
    assert_eq!(failed.reason(), "unavailable");
    assert_eq!(server.asked.load(Ordering::Relaxed), 4, "three tries");
}

#[tokio::test]
async fn a_resolver_that_is_silent_is_left_for_the_next() {
    let dead = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = serve(|query, _| vec![bytes(&response(query, &[("A", "192.0.2.1")]))]).await;
    let mut policy = impatient(dead.local_addr().unwrap());
    policy.resolvers.push(server.at);
    let world = world(policy).await;
    for name in ["a.example", "b.example"] {
        assert!(world.probe.dns(name, RecordType::A).await.is_ok());
    }
}

#[tokio::test]
async fn garbage_and_compression_loops_are_malformed() {
    let server = serve(|query, _| {
        let mut message = bytes(&response(query, &[]));
        message[7] = 1;
        let start = u8::try_from(message.len()).unwrap();
        message.extend_from_slice(&[0xc0, start, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        vec![message]
    })
    .await;
    let world = world(policy(server.at)).await;
    let failed = world
        .probe
        .dns("example.com", RecordType::A)
        .await
        .unwrap_err();
    assert_eq!(failed.reason(), "malformed");
    assert_eq!(world.kept.all().len(), 1, "the garbage is kept as evidence");
}

#[tokio::test]
async fn a_spent_budget_limits_and_spends_nothing_more() {
    let server = serve(|query, _| vec![bytes(&response(query, &[("A", "192.0.2.1")]))]).await;
    let mut policy = policy(server.at);
    (policy.requests_max, policy.requests_used) = (Some(10), 9);
    let world = world(policy).await;
    assert!(world.probe.dns("a.example", RecordType::A).await.is_ok());
    let failed = world
        .probe
        .dns("b.example", RecordType::A)
        .await
        .unwrap_err();
    assert_eq!(failed, CollectError::Budget("max-requests".into()));
    assert!(
        world.probe.dns("a.example", RecordType::A).await.is_ok(),
        "cached"
    );
    assert_eq!(server.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_replay_of_the_evidence_answers_as_the_resolver_did() {
    let server = serve(|query, _| {
        let records = [("CNAME", "b.example."), ("A", "192.0.2.1")];
        vec![bytes(&response(query, &records))]
    })
    .await;
    let world = world(policy(server.at)).await;
    let live = world.probe.dns("A.example", RecordType::A).await.unwrap();
    let exchange = world.probe.evidence(live.evidence).await.unwrap();
    let replay = Replay::new(vec![exchange]);
    let again = replay.dns("a.example.", RecordType::A).await.unwrap();
    assert_eq!(format!("{again:?}"), format!("{live:?}"));
    assert!(replay.dns("a.example", RecordType::MX).await.is_err());
    let addresses = world.probe.addresses("a.example").await.unwrap();
    assert_eq!(replay.addresses("a.example").await.unwrap(), addresses);
}

#[tokio::test]
async fn a_source_is_asked_at_its_pace_over_all_scans() {
    static SLOW: Manifest = Manifest {
        name: "slow",
        requests_per_minute_max: 600,
        ..Manifest::DEFAULT
    };
    let server = serve(|query, _| vec![bytes(&response(query, &[]))]).await;
    let live = Live::new(LiveConfig::default()).await.unwrap();
    let started = std::time::Instant::now();
    for scan in 0..2 {
        let scan_probe = live.scan(policy(server.at), Arc::new(Kept::default()));
        let task = scan_probe.task(&SLOW);
        for n in 0..4 {
            let name = format!("{n}.{scan}.example");
            task.dns(&name, RecordType::A).await.unwrap();
        }
    }
    // Five at once, then one in 100 ms.
    assert!(started.elapsed() >= Duration::from_millis(290));
}
