//! DNS, read with hickory-proto.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::net::UdpSocket;

use super::*;

pub(super) fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(
        Name::from_ascii(format!("{name}.")).unwrap(),
        kind,
    ));
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    message.set_edns(edns);
    message
}

/// The raw answer to one datagram.
pub(super) async fn datagram(world: &World, query: &[u8]) -> Vec<u8> {
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

pub(super) async fn ask(world: &World, name: &str, kind: RecordType) -> Message {
    let bytes = datagram(world, &question(name, kind).to_vec().unwrap()).await;
    Message::from_vec(&bytes).unwrap()
}

/// The answers to one query over TCP, until the server has sent `records` or more records.
pub(super) async fn ask_tcp(server: SocketAddr, query: &Message, records: usize) -> Vec<Message> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let bytes = query.to_vec().unwrap();
    stream.write_u16(bytes.len() as u16).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let mut messages: Vec<Message> = Vec::new();
    while messages
        .iter()
        .map(|message| message.answers.len())
        .sum::<usize>()
        < records
    {
        let mut bytes = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut bytes).await.unwrap();
        messages.push(Message::from_vec(&bytes).unwrap());
        if records == 1 {
            break;
        }
    }
    messages
}

/// The answers as `TYPE RDATA`, in order.
fn shown(message: &Message) -> Vec<String> {
    let show = |data: &RData| format!("{} {data}", data.record_type());
    message
        .answers
        .iter()
        .map(|record| show(&record.data))
        .collect()
}

#[tokio::test]
async fn numbered_hosts_have_addresses_of_their_own() {
    let world = peaceful().await;
    let message = ask(&world, "h00024.mirage-corp.example", RecordType::A).await;
    assert_eq!(shown(&message), ["A 127.20.1.24"]);
    let message = ask(&world, "h00025.mirage-corp.example", RecordType::A).await;
    assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(message.authorities.len(), 1);
    assert_eq!(world.counts().dns, 2);
}

#[tokio::test]
async fn www_is_an_alias_over_two_steps() {
    let world = peaceful().await;
    let message = ask(&world, "www.mirage-corp.example", RecordType::A).await;
    let (front, pool) = (world.facts.company.front(), world.host("pool"));
    let chain = [
        format!("CNAME {front}."),
        format!("CNAME {pool}."),
        "A 127.20.0.2".to_owned(),
    ];
    assert_eq!(shown(&message), chain);
    let owners: Vec<_> = message
        .answers
        .iter()
        .map(|record| record.name.to_string())
        .collect();
    assert_eq!(
        owners,
        [
            "www.mirage-corp.example.".to_owned(),
            format!("{front}."),
            format!("{pool}.")
        ]
    );
}

#[tokio::test]
async fn the_apex_publishes_every_common_type() {
    let world = peaceful().await;
    let cases = [
        (RecordType::A, 1),
        (RecordType::AAAA, 0),
        (RecordType::NS, 2),
        (RecordType::MX, 2),
        (RecordType::SOA, 1),
        (RecordType::TXT, 3),
        (RecordType::CAA, 2),
    ];
    for (kind, count) in cases {
        let message = ask(&world, world.domain(), kind).await;
        assert_eq!(message.answers.len(), count, "{kind}");
        assert_eq!(
            message.metadata.response_code,
            ResponseCode::NoError,
            "{kind}"
        );
    }
    let message = ask(&world, "_sip._tcp.mirage-corp.example", RecordType::SRV).await;
    assert!(shown(&message)[0].ends_with(&format!("{}.", world.host("sip"))));
    // Between them lies a name without records, which is there all the same.
    let message = ask(&world, "_tcp.mirage-corp.example", RecordType::SRV).await;
    assert_eq!(message.metadata.response_code, ResponseCode::NoError);
}

#[tokio::test]
async fn the_wildcard_answers_any_name_below_it_and_no_other() {
    let world = peaceful().await;
    for name in ["x.wild.mirage-corp.example", "a.b.wild.mirage-corp.example"] {
        assert_eq!(
            shown(&ask(&world, name, RecordType::A).await),
            ["A 127.20.0.60"]
        );
    }
    let message = ask(&world, "x.vpn.mirage-corp.example", RecordType::A).await;
    assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
    let message = ask(&world, "www.example.org", RecordType::A).await;
    assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
    assert!(message.authorities.is_empty());
}

#[tokio::test]
async fn addresses_have_names_in_the_reverse_zone() {
    let world = peaceful().await;
    let message = ask(&world, "200.0.20.127.in-addr.arpa", RecordType::PTR).await;
    assert_eq!(shown(&message), [format!("PTR {}.", world.host("printer"))]);
    let message = ask(&world, "31.0.20.127.in-addr.arpa", RecordType::PTR).await;
    assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
}

#[tokio::test]
async fn the_question_comes_back_in_the_letter_case_it_had() {
    let world = peaceful().await;
    let message = ask(&world, "WwW.mIrAgE-cOrP.eXaMpLe", RecordType::A).await;
    assert_eq!(
        message.queries[0].name().to_string(),
        "WwW.mIrAgE-cOrP.eXaMpLe."
    );
    assert_eq!(message.answers.len(), 3);
}

#[tokio::test]
async fn ns2_gives_its_old_zone_away_and_the_others_refuse() {
    let world = peaceful().await;
    let port = world.resolver().port();
    let query = question(world.domain(), RecordType::AXFR);
    let messages = ask_tcp((address(&world, "ns2"), port).into(), &query, 10).await;
    assert!(messages.len() > 1);
    let records: Vec<String> = messages.iter().flat_map(shown).collect();
    assert!(
        records[0].starts_with("SOA ") && records[0] == records[9],
        "{records:?}"
    );
    let names: Vec<String> = messages
        .iter()
        .flat_map(|message| message.answers.iter().map(|record| record.name.to_string()))
        .collect();
    for label in ["dmz", "vault", "backup"] {
        assert!(
            names.contains(&format!("{}.", world.host(label))),
            "{label}"
        );
    }
    for label in ["shop", "vpn", "portal"] {
        assert!(
            !names.contains(&format!("{}.", world.host(label))),
            "{label}"
        );
    }
    for server in [world.resolver(), (address(&world, "ns1"), port).into()] {
        let messages = ask_tcp(server, &query, 1).await;
        assert_eq!(messages[0].metadata.response_code, ResponseCode::Refused);
    }
}

#[tokio::test]
async fn an_answer_too_large_for_a_datagram_is_cut_and_whole_over_tcp() {
    let world = hostile().await;
    let query = question("huge-txt.trap.mirage-corp.example", RecordType::TXT);
    let cut = Message::from_vec(&datagram(&world, &query.to_vec().unwrap()).await).unwrap();
    assert!(cut.metadata.truncation && cut.answers.is_empty());
    let whole = ask_tcp(world.resolver(), &query, 1).await.remove(0);
    assert!(!whole.metadata.truncation);
    let RData::TXT(text) = &whole.answers[0].data else {
        panic!("{whole}")
    };
    assert_eq!(
        text.txt_data.iter().map(|piece| piece.len()).sum::<usize>(),
        64_000
    );
}

#[tokio::test]
async fn what_is_no_query_gets_an_error_and_what_is_too_short_gets_nothing() {
    let world = peaceful().await;
    let mut garbled = question(world.domain(), RecordType::A).to_vec().unwrap();
    garbled[12] = 0xc0;
    let answer = Message::from_vec(&datagram(&world, &garbled).await).unwrap();
    assert_eq!(answer.metadata.response_code, ResponseCode::FormErr);
    assert_eq!(answer.metadata.id, 4711);
    for bytes in [&[][..], &[1, 2, 3], &garbled[..12]] {
        // The world must live through each; whether it answers is its own affair.
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(bytes, world.resolver()).await.unwrap();
    }
    assert_eq!(
        ask(&world, world.domain(), RecordType::A)
            .await
            .answers
            .len(),
        1
    );
}

#[tokio::test]
async fn dropped_queries_are_as_many_as_were_asked_for() {
    let world = peaceful().await;
    world.drop_dns(2);
    let query = question(world.domain(), RecordType::A).to_vec().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(world.resolver()).await.unwrap();
    for _ in 0..3 {
        socket.send(&query).await.unwrap();
    }
    let mut bytes = [0; 512];
    timeout(PATIENCE, socket.recv(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(world.counts().dns, 3);
    assert!(socket.try_recv(&mut bytes).is_err());
}
